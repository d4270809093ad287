"""When SAs are replaced and when they stop, by time and by use (RFC 7296 section 2.8, RFC 4301 section 4.4.2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fynx.events import SequenceExhausted
from fynx.ike import recovery, standby, twins
from fynx.ike.child import ChildSa
from fynx.ike.effects import Remove
from fynx.ike.policy import Lifetime
from fynx.ike.sa import IkeSa
from fynx.ike.states import ChildEvent, ChildState, IkeState
from fynx.ike.timers import Timer
from fynx.plugin.dataplane import Expire
from fynx.wire.iana import ExchangeType

if TYPE_CHECKING:
    from fynx.ike.endpoint import Endpoint

LINGER_S = 5.0
"""How long a replaced Child SA still receives: what was in flight when it was deleted arrives in this time."""
RETRY_S = 5.0
"""Longest pause before a rekey that the peer put off is tried again; the pause is random (section 2.25)."""
IDS_SOFT, IDS_HARD = 0xF000_0000, 0xFFFF_FF00
"""Message ids from which an IKE SA is replaced, and from which it ends."""


def watch_child(endpoint: Endpoint, sa: IkeSa, child: ChildSa) -> None:
    """Sets the timers of a Child SA that was just installed."""
    policy = sa.policy.named.get(child.name)
    if policy is not None:
        _watch(endpoint, policy.lifetime, (Timer.CHILD_SOFT, child.handle), (Timer.CHILD_HARD, child.handle))


def watch_ike(endpoint: Endpoint, sa: IkeSa) -> None:
    _watch(endpoint, sa.policy.lifetime, (Timer.IKE_SOFT, sa.serial), (Timer.IKE_HARD, sa.serial))


def _watch(endpoint: Endpoint, lifetime: Lifetime, soft: tuple[Timer, int], hard: tuple[Timer, int]) -> None:
    if lifetime.soft_s:
        share = int.from_bytes(endpoint.random(2), "big") / 65535
        endpoint.timers.set(soft, endpoint.now + lifetime.soft_s * (1 - lifetime.jitter * share))
    if lifetime.hard_s:
        endpoint.timers.set(hard, endpoint.now + lifetime.hard_s)


def rekey_child(endpoint: Endpoint, sa: IkeSa, child: ChildSa) -> None:
    """Queues the rekey, once; waits where the SA is busy with itself."""
    if child.state is not ChildState.ACTIVE or any(options.get("rekey") == child.handle for _, options in sa.queue):
        return
    if sa.successor is not None or sa.rival is not None or sa.state is not IkeState.ESTABLISHED:
        again_soon(endpoint, (Timer.CHILD_SOFT, child.handle))
        return
    sa.start(ExchangeType.CREATE_CHILD_SA, child=child.name, rekey=child.handle)
    endpoint.pump(sa)


def rekey_ike(endpoint: Endpoint, sa: IkeSa) -> None:
    if sa.state is not IkeState.ESTABLISHED or any("rekey_ike" in options for _, options in sa.queue):
        return
    if sa.rival is not None or sa.successor is not None:
        return
    sa.start(ExchangeType.CREATE_CHILD_SA, rekey_ike=True)
    endpoint.pump(sa)


def message_ids(endpoint: Endpoint, sa: IkeSa) -> None:
    """Ids never wrap: a new IKE SA well before, and the end of this one when there is none in time (section 2.2)."""
    used = max(sa.window.next_request, sa.window.expected)
    if used < IDS_SOFT or not sa.established or sa.successor is not None:
        return
    if used >= IDS_HARD:
        sa.queue.clear()
        sa.start(ExchangeType.INFORMATIONAL, delete="its message ids are used up")
        return
    when = endpoint.timers.deadline((Timer.IKE_SOFT, sa.serial))
    if when is None or when > endpoint.now + RETRY_S:
        again_soon(endpoint, (Timer.IKE_SOFT, sa.serial))


def again_soon(endpoint: Endpoint, timer: tuple[Timer, int]) -> None:
    share = int.from_bytes(endpoint.random(2), "big") / 65535
    endpoint.timers.set(timer, endpoint.now + RETRY_S * (0.2 + 0.8 * share))


def ask_again(endpoint: Endpoint, sa: IkeSa) -> None:
    """For the children that the peer put off."""
    sa.queue.extend((ExchangeType.CREATE_CHILD_SA, options) for options in sa.put_off)
    sa.put_off.clear()
    endpoint.pump(sa)


def follow_up(endpoint: Endpoint, sa: IkeSa) -> None:
    """After an exchange: children that the peer lost are made anew (section 2.25)."""
    while sa.forgotten:
        child_gone = sa.children.pop(sa.forgotten.pop(), None)
        if child_gone is None:
            continue
        child_gone.advance(ChildEvent.GONE)
        endpoint.handles.pop(child_gone.handle, None)
        standby.settle(sa)
        retire(endpoint, child_gone, confirmed=False, linger=False)
        if sa.child_of(child_gone.name) is None:
            sa.start(ExchangeType.CREATE_CHILD_SA, child=child_gone.name)


def fire_child(endpoint: Endpoint, handle: int, timer: Timer) -> None:
    if timer is Timer.LINGER:
        endpoint.effect(Remove(handle, confirmed=True))
        return
    sa = endpoint.handles.get(handle)
    child = sa.children.get(handle) if sa is not None else None
    if sa is None or child is None:
        return
    if timer is Timer.CHILD_SOFT:
        rekey_child(endpoint, sa, child)
    elif timer is Timer.IDLE:
        recovery.look(endpoint, sa, child)
    elif timer is Timer.REDUNDANT:
        twins.redundant(endpoint, sa, child, sa.policy.retransmission.patience_s)
    else:
        _stop(endpoint, sa, child)


def _stop(endpoint: Endpoint, sa: IkeSa, child: ChildSa) -> None:
    """The hard limit: no packet more, and the peer is told. What should have replaced it in time is made anew."""
    if child.state not in (ChildState.ACTIVE, ChildState.REKEYING, ChildState.REKEYED):
        return
    replaced = child.state is ChildState.REKEYED
    child.advance(ChildEvent.LIMIT)
    _silence(endpoint, child)
    waiting = [one for one in sa.queue if one[1].get("rekey") != child.handle]
    sa.queue.clear()
    sa.queue.extend(waiting)
    sa.start(ExchangeType.INFORMATIONAL, delete_child=child.handle)
    if sa.initiator and not replaced and sa.established:
        sa.start(ExchangeType.CREATE_CHILD_SA, child=child.name)
    endpoint.pump(sa)


def _silence(endpoint: Endpoint, child: ChildSa) -> None:
    """At once, whenever the peer may confirm the DELETE; and what it protected stays closed."""
    child.stopped, child.sends, child.held = True, False, False
    endpoint.effect(Remove(child.handle, confirmed=False))


def expired(endpoint: Endpoint, expire: Expire) -> None:
    """The plane reports a limit of use: soft asks for a rekey; at the hard one it has stopped (RFC 4303 section
    3.3.3)."""
    sa = endpoint.handles.get(expire.handle)
    child = sa.children.get(expire.handle) if sa is not None else None
    if sa is None or child is None:
        return
    if not expire.hard:
        rekey_child(endpoint, sa, child)
        return
    if expire.reason == "sequence":
        sa.emit(SequenceExhausted(sa.peer, child.name, f"{child.spi_out:08x}"))
    _stop(endpoint, sa, child)


def used(endpoint: Endpoint, handle: int, packets: int, octets: int) -> None:
    """Limits of octets and packets, in whichever direction comes first."""
    sa = endpoint.handles.get(handle)
    child = sa.children.get(handle) if sa is not None else None
    if sa is None or child is None:
        return
    policy = sa.policy.named.get(child.name)
    if policy is None:
        return
    limit = policy.lifetime
    if 0 < limit.hard_bytes <= octets or 0 < limit.hard_packets <= packets:
        _stop(endpoint, sa, child)
    elif 0 < limit.soft_bytes <= octets or 0 < limit.soft_packets <= packets:
        rekey_child(endpoint, sa, child)


def retire(endpoint: Endpoint, child: ChildSa, *, confirmed: bool, linger: bool) -> None:
    handle = child.handle
    endpoint.handles.pop(handle, None)
    endpoint.timers.cancel((Timer.CHILD_SOFT, handle))
    endpoint.timers.cancel((Timer.CHILD_HARD, handle))
    endpoint.timers.cancel((Timer.IDLE, handle))
    endpoint.timers.cancel((Timer.REDUNDANT, handle))
    if child.stopped:
        return
    if linger:
        endpoint.timers.set((Timer.LINGER, handle), endpoint.now + LINGER_S)
        return
    endpoint.timers.cancel((Timer.LINGER, handle))
    endpoint.effect(Remove(handle, confirmed))

"""Which of several IKE SAs takes the children over, when one or both ends rekey (RFC 7296 sections 2.8.2, 2.25.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fynx.events import IkeRekeyed
from fynx.ike import lifetimes, reauth, reconfigure, standby, upkeep, virtual
from fynx.ike.children import Children
from fynx.ike.sa import IkeSa, Successor
from fynx.ike.states import IkeEvent, IkeState
from fynx.ike.timers import Timer
from fynx.wire.iana import ExchangeType

if TYPE_CHECKING:
    from fynx.ike.endpoint import Endpoint

REPLACED = "replaced by a rekeyed IKE SA"
REDUNDANT = "redundant after a simultaneous rekey"


def rekeyed(endpoint: Endpoint, old: IkeSa, ours: Successor) -> None:
    """Our rekey is through. With a rival, the SA with the lowest nonce is redundant; its maker deletes it at once."""
    _establish(endpoint, old, ours.sa)
    rival = _rival(endpoint, old)
    if old.successor is None and (rival is None or ours.low > rival.low):
        hand_over(endpoint, old, ours.sa, by_us=True)
        if rival is not None:
            _await_delete(endpoint, rival.sa, ours.sa)
        old.start(ExchangeType.INFORMATIONAL, delete=REPLACED)
        return
    if old.successor is None and rival is not None:
        _yield(endpoint, old, rival.sa)
    ours.sa.successor = old.successor
    ours.sa.start(ExchangeType.INFORMATIONAL, delete=REDUNDANT)
    endpoint.pump(ours.sa)


def not_rekeyed(endpoint: Endpoint, old: IkeSa) -> bool:
    """The peer refused ours: its own, if there is one, stands."""
    rival = _rival(endpoint, old)
    if rival is not None and old.successor is None:
        _yield(endpoint, old, rival.sa)
    return old.successor is not None


def offered(endpoint: Endpoint, old: IkeSa, new: IkeSa) -> None:
    """We answer the peer's rekey: the peer deletes the old SA when it has our answer."""
    _establish(endpoint, old, new)
    if old.state is IkeState.REKEYING:
        new.heir_of = old  # the nonces decide, when the answer to ours is here
        return
    _yield(endpoint, old, new)


def chosen(endpoint: Endpoint, new: IkeSa) -> None:
    """Its maker uses it, so it has won there, or our own request came too late and will be refused."""
    old = new.heir_of
    if old is not None and old.successor is None:
        _yield(endpoint, old, new)


def dropped(endpoint: Endpoint, old: IkeSa) -> None:
    """The old SA ends while our own rekey is under way: the peer never noticed ours, so its own stands."""
    if old.serial in endpoint.sas:
        not_rekeyed(endpoint, old)


def hand_over(endpoint: Endpoint, old: IkeSa, new: IkeSa, *, by_us: bool) -> None:
    """Children, waiting exchanges and what is known of the peer go on; once."""
    old.successor, new.heir_of = new, None
    new.children, old.children = old.children, Children()
    for handle in new.children:
        endpoint.handles[handle] = new
    standby.moved(new)
    waiting = [(number, options) for number, options in old.queue if "rekey_ike" not in options]
    new.queue.extend(waiting)
    old.queue.clear()
    new.put_off, old.put_off = old.put_off, []
    if new.put_off:
        lifetimes.again_soon(endpoint, (Timer.PUT_OFF, new.serial))
    for timer in (Timer.PUT_OFF, Timer.LIVENESS, Timer.KEEPALIVE, Timer.IKE_SOFT, Timer.IKE_HARD):
        endpoint.timers.cancel((timer, old.serial))
    upkeep.stands(endpoint, new)
    lifetimes.watch_ike(endpoint, new)
    reauth.inherit(endpoint, old, new)
    endpoint.count("ike_sa_rekeyed")
    new.emit(IkeRekeyed(new.peer, old.spi_i.hex(), old.spi_r.hex(), new.spi_i.hex(), new.spi_r.hex(), by_us))
    reconfigure.refresh(endpoint, new)
    endpoint.pump(new)


def _yield(endpoint: Endpoint, old: IkeSa, new: IkeSa) -> None:
    """The peer's rekey stands."""
    hand_over(endpoint, old, new, by_us=False)
    _await_delete(endpoint, old, new)


def _await_delete(endpoint: Endpoint, sa: IkeSa, winner: IkeSa) -> None:
    """The peer is to delete it. It has as long as it may repeat the request that made the new one."""
    sa.successor, sa.heir_of = winner, None
    endpoint.timers.set((Timer.REPLACED, sa.serial), endpoint.now + sa.policy.retransmission.patience_s)


def _rival(endpoint: Endpoint, old: IkeSa) -> Successor | None:
    rival = old.rival
    return rival if rival is not None and rival.sa.serial in endpoint.sas and not rival.sa.closing else None


def _establish(endpoint: Endpoint, old: IkeSa, new: IkeSa) -> None:
    new.advance(IkeEvent.INHERIT)
    new.local_id, new.remote_id, new.nat = old.local_id, old.remote_id, old.nat
    new.fragmenting = replace(old.fragmenting)
    new.established_at = new.heard_at = endpoint.now
    new.notes, new.quota = old.notes, old.quota
    virtual.share(old, new)

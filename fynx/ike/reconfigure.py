"""Swaps the policy under living SAs: what is unchanged goes on untouched, the rest is rekeyed, remade or deleted.

An SA that is in the middle of an exchange is changed when the exchange is over (``refresh``, after every message).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fynx.ike import lifetimes, reauth, recovery
from fynx.ike.admission import Peers
from fynx.ike.changes import ChildChange, Outcome, PeerChange, compare_peer
from fynx.ike.policy import HostPolicy, PeerPolicy
from fynx.ike.sa import IkeSa
from fynx.ike.states import ChildState, IkeState
from fynx.ike.timers import Timer
from fynx.wire.iana import ExchangeType

if TYPE_CHECKING:
    from fynx.ike.endpoint import Endpoint

REMOVED = "no longer configured"
CHANGED = "its configuration has changed"


def reconfigure(endpoint: Endpoint, now: float, policy: HostPolicy) -> None:
    """The new policy holds for everything from now on; SAs follow at once, or after the exchange under way."""
    endpoint.now = now
    endpoint.policy = policy
    before, endpoint.peers = endpoint.peers, Peers(policy.peers)
    endpoint.peers.follow(before)
    endpoint.admission.limits(policy)
    for sa in list(endpoint.sas.values()):
        refresh(endpoint, sa)


def refresh(endpoint: Endpoint, sa: IkeSa) -> None:
    """Brings one SA in line with the policy of its peer; does nothing where it is so already, or has to wait."""
    if not sa.peer:
        _undecided(endpoint, sa)
        return
    new = endpoint.peers.by_name.get(sa.peer)
    if new is sa.policy or sa.state in (IkeState.DELETING, IkeState.DELETED) or sa.successor is not None:
        return
    change = compare_peer(sa.policy, new)
    if new is None or change.outcome is Outcome.REMAKE:
        _end(endpoint, sa, REMOVED if new is None else CHANGED)
    elif not _in_hand(sa):
        _apply(endpoint, sa, new, change)


def _in_hand(sa: IkeSa) -> bool:
    """In the middle of an exchange, ours or the peer's, or on its way up."""
    return sa.working or sa.exchange is not None or not sa.established


def _undecided(endpoint: Endpoint, sa: IkeSa) -> None:
    """A responder that does not know yet who calls: who may be meant is asked again."""
    if sa.state is not IkeState.INIT_DONE or sa.working:
        return
    sa.belongs_to(endpoint.candidates(sa.path))
    if not sa.policies:
        endpoint.drop(sa, REMOVED)


def _end(endpoint: Endpoint, sa: IkeSa, reason: str) -> None:
    if not sa.established:
        endpoint.drop(sa, reason)
        return
    if any("delete" in options for _, options in sa.queue):
        return
    sa.queue.clear()
    sa.start(ExchangeType.INFORMATIONAL, delete=reason)
    endpoint.pump(sa)


def _apply(endpoint: Endpoint, sa: IkeSa, new: PeerPolicy, change: PeerChange) -> None:
    sa.belongs_to(new.alone)
    gone = {name for name, one in change.children.items() if one.outcome in (Outcome.DROP, Outcome.REMAKE)}
    kept = [one for one in sa.queue if one[1].get("child") not in gone]
    sa.queue.clear()
    sa.queue.extend(kept)
    for child_sa in list(sa.children.values()):
        _child(endpoint, sa, child_sa.handle, change.children.get(child_sa.name))
    if "lifetime" in change.changed:
        endpoint.timers.cancel((Timer.IKE_SOFT, sa.serial))
        endpoint.timers.cancel((Timer.IKE_HARD, sa.serial))
        lifetimes.watch_ike(endpoint, sa)
    if "reauth_s" in change.changed:
        endpoint.timers.cancel((Timer.REAUTH, sa.serial))
        reauth.watch(endpoint, sa)
    if {"liveness_s", "keepalive_s"} & set(change.changed):
        _restart_timers(endpoint, sa)
    if change.outcome is Outcome.REKEY:
        lifetimes.rekey_ike(endpoint, sa)
    endpoint.pump(sa)


def _child(endpoint: Endpoint, sa: IkeSa, handle: int, change: ChildChange | None) -> None:
    child = sa.children[handle]
    if change is None or child.state not in (ChildState.ACTIVE, ChildState.REKEYING):
        return
    if change.outcome in (Outcome.DROP, Outcome.REMAKE):
        if change.outcome is Outcome.REMAKE:  # the new one first: what both carry is never without an SA
            sa.start(ExchangeType.CREATE_CHILD_SA, child=child.name, remake=True)
        sa.start(ExchangeType.INFORMATIONAL, delete_child=handle)
        return
    if "lifetime" in change.changed:
        endpoint.timers.cancel((Timer.CHILD_SOFT, handle))
        endpoint.timers.cancel((Timer.CHILD_HARD, handle))
        lifetimes.watch_child(endpoint, sa, child)
    if "inactivity_s" in change.changed:
        recovery.watch(endpoint, sa, child)
    if change.outcome is Outcome.REKEY:
        lifetimes.rekey_child(endpoint, sa, child)


def _restart_timers(endpoint: Endpoint, sa: IkeSa) -> None:
    for timer, interval in ((Timer.LIVENESS, sa.policy.liveness_s), (Timer.KEEPALIVE, sa.policy.keepalive_s)):
        wanted = timer is Timer.LIVENESS or (sa.nat is not None and sa.nat.local)
        endpoint.timers.cancel((timer, sa.serial))
        if interval and wanted:
            endpoint.timers.set((timer, sa.serial), endpoint.now + interval)

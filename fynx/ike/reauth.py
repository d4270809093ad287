"""Authenticating a peer again, make before break: a whole new IKE SA with the same children, then the old one goes
(RFC 7296 section 2.8.3, RFC 4478)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fynx.ike import standby, twins
from fynx.ike.conversation import INIT
from fynx.ike.sa import IkeSa
from fynx.ike.tasks.auth_lifetime import NOTE
from fynx.ike.tasks.childless import NOTE as CHILDLESS
from fynx.ike.timers import Timer
from fynx.wire.iana import ExchangeType

if TYPE_CHECKING:
    from fynx.ike.endpoint import Endpoint

UNIQUE = "replaced by a newer SA of the same identity"
SUPERSEDE_S = 2.0
"""How long a peer that authenticates again has to delete its old SA, once the new one carries the traffic."""
RETRY_S = 30.0
SHOWN = "core/shown"
"""The peer knows that we have all its answers on this IKE SA."""
SHARE = 0.9
"""Of the peer's limit: the new SA stands before the old authentication ends."""


def watch(endpoint: Endpoint, sa: IkeSa) -> None:
    """Only the initiator can authenticate again; its own limit or the peer's, whichever comes first."""
    if not sa.initiator:
        return
    told = sa.notes.get(NOTE)
    limits = [float(told) * SHARE] if isinstance(told, int) else []
    limits += [sa.policy.reauth_s] if sa.policy.reauth_s else []
    if limits:
        endpoint.timers.set((Timer.REAUTH, sa.serial), endpoint.now + min(limits))


def start(endpoint: Endpoint, sa: IkeSa) -> None:
    """A new IKE SA beside the old one, with the children that the old one carries."""
    if not sa.established or sa.successor is not None:
        return
    if endpoint.timers.deadline((Timer.SUPERSEDED, sa.serial)) is not None:
        return  # the peer was first
    if any(_current(one.replaces) is sa for one in endpoint.sas.values() if one.replaces is not None):
        return
    carriers = (sa, *(endpoint.siblings(sa) if sa.policy.unique == "replace" else ()))
    children = (child for one in carriers for child in one.children.values())
    names = tuple(dict.fromkeys(child.name for child in children if child.current))
    if not names and CHILDLESS not in sa.notes:  # it carries nothing, and the peer takes no new one that does not
        endpoint.timers.set((Timer.REAUTH, sa.serial), endpoint.now + RETRY_S)
        return
    new = endpoint.new_initiator(sa.policy, sa.path, names)
    new.replaces = sa
    new.notes[twins.AGAIN] = True
    new.start(INIT)
    endpoint.pump(new)


def supersede(endpoint: Endpoint, sa: IkeSa) -> None:
    if sa.successor is not None:
        return  # what it was rekeyed to goes, and the peer deletes this one
    endpoint.timers.set((Timer.SUPERSEDED, sa.serial), endpoint.now + SUPERSEDE_S)


def superseded(endpoint: Endpoint, sa: IkeSa, patience_s: float) -> None:
    """The peer did not delete it. Perhaps it does not have the new one yet, or not all children of it: our answers
    were lost, and it asks again. An empty message on the new one finds out."""
    siblings = [one for one in endpoint.siblings(sa) if one.established and one.successor is None and not _leaves(one)]
    if not siblings:
        return  # what it was to give way to has gone
    lasting = [one for one in siblings if endpoint.timers.deadline((Timer.SUPERSEDED, one.serial)) is None]
    siblings = lasting or siblings
    for one in siblings:
        if standby.unheard(one) and one.exchange is None and not one.queue:
            one.start(ExchangeType.INFORMATIONAL, liveness=True)
            endpoint.pump(one)
    if _awaited(endpoint, sa, siblings, patience_s):
        supersede(endpoint, sa)
        return
    sa.queue.clear()
    sa.start(ExchangeType.INFORMATIONAL, delete=UNIQUE, superseded=True)
    endpoint.pump(sa)


def _leaves(sa: IkeSa) -> bool:
    return any("delete" in options for _, options in sa.queue)


def _awaited(endpoint: Endpoint, sa: IkeSa, siblings: list[IkeSa], patience_s: float) -> bool:
    """The peer may lack our answer that brings what ``sa`` carries, or ask for it yet, its request lost as often as it
    repeats it; or we are making it anew."""
    names = {child.name for child in sa.children.values() if child.current}
    if any(standby.waits(one, name, patience_s) for one in siblings for name in names):
        return True
    missing = [name for name in names if not any(one.child_of(name) for one in siblings)]
    young = any(endpoint.now - (one.established_at or 0.0) < patience_s for one in siblings)
    return bool(missing) and (young or any(one.asks(name) for one in siblings for name in missing))


def inherit(endpoint: Endpoint, old: IkeSa, new: IkeSa) -> None:
    """A rekey authenticates nobody: the time goes on, for whoever has to do it; so does what it began."""
    new.replaces, old.replaces, new.wanted = old.replaces, None, old.wanted
    new.asked_at, new.authenticated_at, new.begun = old.asked_at, old.authenticated_at, old.begun
    if twins.AGAIN in old.notes:
        new.notes[twins.AGAIN] = True
    for timer in (Timer.REAUTH, Timer.SUPERSEDED):
        when = endpoint.timers.deadline((timer, old.serial))
        if when is not None:
            endpoint.timers.cancel((timer, old.serial))
            endpoint.timers.set((timer, new.serial), when)


def follow_up(endpoint: Endpoint, sa: IkeSa) -> None:
    """The old SA, or what it was rekeyed to meanwhile, goes when the new one carries all its children, and when the
    peer, asked for nothing, has seen that we have its answers: of several IKE SAs it could not tell."""
    old = sa.replaces
    if old is None or not sa.established or sa.queue or sa.put_off or sa.exchange or sa.successor:
        return
    old = _current(old)
    if old is not sa and old.established and old.serial in endpoint.sas:
        missing = [child.name for child in old.children.values() if child.current and child.name not in sa.wanted]
        for name in dict.fromkeys(missing):
            sa.wanted = (*sa.wanted, name)
            sa.start(ExchangeType.CREATE_CHILD_SA, child=name)
        if missing:
            sa.notes.pop(SHOWN, None)
            return
        if SHOWN not in sa.notes:
            sa.notes[SHOWN] = True
            sa.start(ExchangeType.INFORMATIONAL, liveness=True)
            return
        old.start(ExchangeType.INFORMATIONAL, delete="authenticated again")
        endpoint.pump(old)
    sa.replaces = None


def failed(endpoint: Endpoint, sa: IkeSa) -> None:
    """The new SA did not come up: the old one carries on, and it is tried again."""
    old = _current(sa.replaces) if sa.replaces is not None else None
    if old is not None and not sa.established and old.serial in endpoint.sas:
        endpoint.timers.set((Timer.REAUTH, old.serial), endpoint.now + RETRY_S)


def _current(sa: IkeSa) -> IkeSa:
    """What it was rekeyed to meanwhile."""
    while sa.successor is not None:
        sa = sa.successor
    return sa

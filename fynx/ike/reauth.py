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
PATIENCE_S = 15.0
"""The same, as long as the peer has not shown that it has the new one: its request or our answer may be lost twice."""
RETRY_S = 30.0
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
    names = tuple(dict.fromkeys(child.name for child in sa.children.values() if child.current))
    if (
        not names and CHILDLESS not in sa.notes
    ):  # it carries nothing, and the peer takes no new one that carries nothing
        endpoint.timers.set((Timer.REAUTH, sa.serial), endpoint.now + RETRY_S)
        return
    new = endpoint.new_initiator(sa.policy, sa.path, names)
    new.replaces = sa
    new.notes[twins.AGAIN] = True
    new.start(INIT)
    endpoint.pump(new)


def supersede(endpoint: Endpoint, sa: IkeSa) -> None:
    endpoint.timers.set((Timer.SUPERSEDED, sa.serial), endpoint.now + SUPERSEDE_S)


def superseded(endpoint: Endpoint, sa: IkeSa) -> None:
    """The peer did not delete it. Perhaps our answer was lost, and it does not have the new one yet."""
    siblings = [one for one in endpoint.siblings(sa) if one.established and one.successor is None]
    if not siblings:
        return  # what it was to give way to has gone
    if any(standby.waits(one) and endpoint.now - one.started_at < PATIENCE_S for one in siblings):
        supersede(endpoint, sa)
        return
    for sibling in siblings:
        standby.use(sibling)
    sa.queue.clear()
    sa.start(ExchangeType.INFORMATIONAL, delete=UNIQUE)
    endpoint.pump(sa)


def inherit(endpoint: Endpoint, old: IkeSa, new: IkeSa) -> None:
    """A rekey authenticates nobody: the time goes on, for whoever has to do it."""
    for timer in (Timer.REAUTH, Timer.SUPERSEDED):
        when = endpoint.timers.deadline((timer, old.serial))
        if when is not None:
            endpoint.timers.cancel((timer, old.serial))
            endpoint.timers.set((timer, new.serial), when)


def follow_up(endpoint: Endpoint, sa: IkeSa) -> None:
    """The old SA, or what it was rekeyed to meanwhile, goes when the new one carries all its children."""
    old = sa.replaces
    if old is None or not sa.established or sa.queue or sa.exchange is not None or sa.successor is not None:
        return
    old = _current(old)
    if old is not sa and old.established and old.serial in endpoint.sas:
        missing = [child.name for child in old.children.values() if child.current and child.name not in sa.wanted]
        for name in dict.fromkeys(missing):
            sa.wanted = (*sa.wanted, name)
            sa.start(ExchangeType.CREATE_CHILD_SA, child=name)
        if missing:
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

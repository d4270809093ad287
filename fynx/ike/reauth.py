"""Authenticating a peer again, make before break: a whole new IKE SA with the same children, then the old one goes
(RFC 7296 section 2.8.3, RFC 4478)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fynx.ike.conversation import INIT
from fynx.ike.sa import IkeSa
from fynx.ike.tasks.auth_lifetime import NOTE
from fynx.ike.timers import Timer
from fynx.wire.iana import ExchangeType

if TYPE_CHECKING:
    from fynx.ike.endpoint import Endpoint

UNIQUE = "replaced by a newer SA of the same identity"
SUPERSEDE_S = 2.0
"""How long a peer that authenticates again has to delete its old SA, once the new one carries the traffic."""
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
    names = tuple(dict.fromkeys(child.name for child in sa.children.values() if child.current))
    new = endpoint.new_initiator(sa.policy, sa.path, names)
    new.replaces = sa
    new.start(INIT)
    endpoint.pump(new)


def supersede(endpoint: Endpoint, sa: IkeSa) -> None:
    endpoint.timers.set((Timer.SUPERSEDED, sa.serial), endpoint.now + SUPERSEDE_S)


def follow_up(endpoint: Endpoint, sa: IkeSa) -> None:
    """The old SA goes when the new one carries all its children."""
    old = sa.replaces
    if old is None or not sa.established or sa.queue or sa.exchange is not None:
        return
    sa.replaces = None
    if old.established and old.serial in endpoint.sas:
        old.start(ExchangeType.INFORMATIONAL, delete="authenticated again")
        endpoint.pump(old)

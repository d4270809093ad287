"""A Child SA that a peer makes while another IKE SA of the same peer carries it: it receives at once, and sends when
the peer is known to have it (RFC 7296 sections 1.2, 2.8).

Whoever authenticates again installs when it has our answer. What we sent before that, it could not open.
"""

from __future__ import annotations

from fynx.ike.child import ChildSa
from fynx.ike.effects import Activate
from fynx.ike.sa import IkeSa
from fynx.plugin.dataplane import Selector

Pairs = tuple[tuple[Selector, ...], tuple[Selector, ...]]
"""Selectors of a child: ours and the peer's."""


def covered(sa: IkeSa, name: str, selectors: Pairs) -> bool:
    """Another IKE SA of this peer sends for the same networks; one that it replaces, or will delete."""
    if sa.policy.unique != "replace":
        return False
    return any(
        child.name == name and child.current and not child.held and (child.local_ts, child.remote_ts) == selectors
        for sibling in sa.services.siblings(sa)
        if sibling.established and sibling.successor is None
        for child in sibling.children.values()
    )


def use(sa: IkeSa) -> None:
    """The peer has spoken on this IKE SA: it has what we answered."""
    for child in sa.children.values():
        _send(sa, child)


def waits(sa: IkeSa) -> bool:
    return any(child.held for child in sa.children.values())


def heard(sa: IkeSa, handle: int) -> None:
    """The peer uses this child."""
    if handle in sa.children:
        _send(sa, sa.children[handle])


def settle(sa: IkeSa) -> None:
    """A child of ``sa`` has gone: those that waited behind it send."""
    for sibling in sa.services.siblings(sa):
        for child in sibling.children.values():
            if child.held and not covered(sibling, child.name, (child.local_ts, child.remote_ts)):
                _send(sibling, child)


def outlived(sa: IkeSa, child: ChildSa) -> bool:
    """Another IKE SA carries what ``child``, which goes, has carried. One that was made before it sends again."""
    found = [other for one in sa.services.siblings(sa) if (other := one.child_of(child.name)) is not None]
    sending = max((other.handle for other in found if not other.held), default=child.handle)
    if sending < child.handle:
        sa.services.effect(Activate(sending))
    return bool(found)


def _send(sa: IkeSa, child: ChildSa) -> None:
    if child.held and sa.established and not _overtaken(sa, child):
        child.held = False
        sa.services.effect(Activate(child.handle))


def _overtaken(sa: IkeSa, child: ChildSa) -> bool:
    """One that was made later sends already: this one would put itself before it."""
    return any(
        other.name == child.name and other.current and not other.held and other.handle > child.handle
        for sibling in sa.services.siblings(sa)
        if sibling.established and sibling.successor is None
        for other in sibling.children.values()
    )

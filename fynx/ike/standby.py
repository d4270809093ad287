"""A Child SA that a peer makes while another IKE SA of the same peer carries it: it receives at once, and sends when
the peer is known to have it (RFC 7296 sections 1.2, 2.8).

Whoever authenticates again installs when it has our answer. What we sent before that, it could not open.
"""

from __future__ import annotations

from fynx.ike.child import ChildSa
from fynx.ike.effects import Activate
from fynx.ike.sa import IkeSa
from fynx.ike.states import ChildState
from fynx.plugin.dataplane import Selector

Pairs = tuple[tuple[Selector, ...], tuple[Selector, ...]]
"""Selectors of a child: ours and the peer's."""


def covered(sa: IkeSa, name: str, selectors: Pairs) -> bool:
    """Another IKE SA of this peer sends for the same networks; one that it replaces, or will delete."""
    if sa.policy.unique != "replace":
        return False
    siblings = (one for one in sa.services.siblings(sa) if one.established and one.successor is None)
    return any(_carries(sibling, name, selectors) for sibling in siblings)


def _carries(sa: IkeSa, name: str, selectors: Pairs) -> bool:
    return any(
        child.name == name and _lasts(child) and not child.held and (child.local_ts, child.remote_ts) == selectors
        for child in sa.children.values()
    )


def answered(sa: IkeSa, child: ChildSa, request: int | None) -> None:
    """``child`` is the answer to this request; None: to IKE_AUTH. A peer that asks X has the answers to all up to X - N
    (section 2.3); what it answers proves nothing, but that it has the IKE SA."""
    child.proved, child.since = False, sa.services.now
    child.proof = request + sa.window.size if request is not None else 0


def spoken(sa: IkeSa, request: int) -> None:
    """The peer has spoken on this IKE SA: it has what we answered before, see ``answered``."""
    for child in sa.children.values():
        child.proved = child.proved or request >= child.proof or not child.proof
        if child.proved:
            _send(sa, child)


def moved(sa: IkeSa) -> None:
    """The children are another IKE SA's now: who lacks an answer rekeys none (section 2.25.2)."""
    for child in sa.children.values():
        child.proof = 0


def waits(sa: IkeSa, name: str, patience_s: float) -> bool:
    """The peer has not shown yet that it has our answer which made the child of that name. Who repeats no request any
    more has it, or wants it not."""
    now = sa.services.now
    alike = (child for child in sa.children.named(name) if child.current)
    return any(not child.proved and now - child.since < patience_s for child in alike)


def unheard(sa: IkeSa) -> bool:
    """Any message of the peer would show that it has the IKE SA."""
    return any(not child.proved and not child.proof for child in sa.children.values())


def heard(sa: IkeSa, handle: int) -> None:
    """The peer uses this child."""
    if handle in sa.children:
        sa.children[handle].proved = True
        _send(sa, sa.children[handle])


def settle(sa: IkeSa) -> None:
    """A child of ``sa`` has gone: one that waited behind it sends. Of several that the peer is known to have, else that
    it asked for last."""
    waiting = [(one, child) for one in sa.services.siblings(sa) for child in one.children.values() if child.held]
    for sibling, child in sorted(waiting, key=lambda pair: (pair[1].proved, pair[1].handle), reverse=True):
        selectors = child.local_ts, child.remote_ts
        if not covered(sibling, child.name, selectors) and not _carries(sibling, child.name, selectors):
            _send(sibling, child)


def outlived(sa: IkeSa, child: ChildSa) -> bool:
    """Another carries what ``child``, which goes, has carried, or is being made: the peer, which has sent the answer
    that brings it, may delete before we have that. One of a worker (RFC 9611) that is not made anew goes at once: as
    long as the plane has it, its worker sends on it."""
    near = (sa, *sa.services.siblings(sa), *sa.services.authenticating(sa.peer))
    return any(
        other is not child and _alike(other, child) and other.current for one in near for other in one.children.values()
    ) or any(one.asks(child.name, child.resource) for one in near)


def succeed(sa: IkeSa, child: ChildSa, *, known: bool = False) -> None:
    """``child`` goes; if it sent, the newest of those that stay does. ``known``: to the peer, for certain."""
    near = (one for one in (sa, *sa.services.siblings(sa)) if one.established and not one.closing)
    alike = [other for one in near for other in one.children.values() if _alike(other, child) and other is not child]
    sending = [other for other in alike if other.sends and (other.proved or not known) and _lasts(other)]
    if child.sends and sending:
        child.sends = False
        activate(sa, max(sending, key=lambda one: (one.current, one.handle)))


def _lasts(child: ChildSa) -> bool:
    """One that the peer rekeys carries on until the peer deletes it, having our answer (section 2.8)."""
    return child.current or child.state is ChildState.REKEYED


def activate(sa: IkeSa, child: ChildSa) -> None:
    child.sends, child.held = True, False
    sa.services.effect(Activate(child.handle))


def _send(sa: IkeSa, child: ChildSa) -> None:
    if child.held and sa.established and not _overtaken(sa, child):
        activate(sa, child)


def _overtaken(sa: IkeSa, child: ChildSa) -> bool:
    """One that was made later sends already: this one would put itself before it."""
    return any(
        _alike(other, child) and other.current and not other.held and other.handle > child.handle
        for sibling in sa.services.siblings(sa)
        if sibling.established and sibling.successor is None
        for other in sibling.children.values()
    )


def _alike(one: ChildSa, other: ChildSa) -> bool:
    """The one can take the other's place: of the same name, and for the same worker (RFC 9611)."""
    return (one.name, one.resource) == (other.name, other.resource)

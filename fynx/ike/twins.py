"""Both ends made the same at once, an IKE SA or a child: one of the two goes (RFC 7296 section 2.8 has it for rekeys).

The rule for IKE SAs: the one with the lower initiator SPI is redundant; for children: the one with the lowest nonce.
Whoever made it deletes it, as soon as it sees both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from fynx.ike import resources, standby
from fynx.ike.child import ChildSa
from fynx.ike.sa import IkeSa
from fynx.ike.states import ChildEvent, ChildState
from fynx.ike.timers import Timer
from fynx.wire.iana import ExchangeType

if TYPE_CHECKING:
    from fynx.ike.endpoint import Endpoint

PATIENCE_S = 10.0
"""After this we delete a redundant IKE SA that its maker, of another rule, keeps."""
NOTE, AGAIN = "initial_contact", "core/again"
"""The peer's first contact; one that authenticates anew."""
REDUNDANT = "both ends made an IKE SA at once"


def crossed(sa: IkeSa, sibling: IkeSa) -> bool:
    """``sa``, of the peer, is a first contact, or ``sibling``, ours, authenticates again; it was under way when the
    peer began, and so the peer may not have known it."""
    since = sibling.authenticated_at if NOTE in sa.notes or AGAIN in sibling.notes else None
    replace = sa.policy.unique == "replace"
    return replace and sibling.begun[1] and not sa.begun[1] and since is not None and since >= sa.started_at


def overtaken(endpoint: Endpoint, sa: IkeSa) -> bool:
    """We have not authenticated yet, and an IKE SA of the peer's stands meanwhile: ours is not needed."""
    if sa.replaces is not None or sa.policy.unique != "replace":
        return False
    standing = [one for one in endpoint.by_peer.get(sa.peer, ()) if one.established and one.successor is None]
    if not standing:
        return False
    _give_way(endpoint, sa, standing[-1])
    sa.successor = standing[-1]
    endpoint.drop(sa, REDUNDANT)
    return True


def settle(endpoint: Endpoint, sa: IkeSa) -> None:
    """``sa`` has just been authenticated."""
    if sa.policy.unique != "replace":
        return
    for other in endpoint.siblings(sa):
        ours, theirs = (sa, other) if sa.begun[1] else (other, sa)
        if not (ours.begun[1] and ours.established and not theirs.begun[1] and theirs.established):
            continue
        if other.successor is not None or (sa is theirs and not crossed(sa, other)):
            continue
        if AGAIN in ours.notes and not _meanwhile(ours, theirs):
            continue
        if ours.begun > theirs.begun:  # their SPIs, whatever they were rekeyed to meanwhile
            endpoint.timers.set((Timer.SUPERSEDED, theirs.serial), endpoint.now + PATIENCE_S)
            continue
        _give_way(endpoint, ours, theirs)
        ours.replaces = None  # the peer's takes its place in that too
        endpoint.supersede(ours)


def _meanwhile(ours: IkeSa, theirs: IkeSa) -> bool:
    """The peer authenticated again while we did: ``theirs`` is not what ours is to replace. One that stood here when we
    asked is for the peer to decide: it may take ours for a later one, which replaces its own."""
    old = ours.replaces
    while old is not None and old is not theirs:
        old = old.successor
    return old is None and theirs.authenticated_at is not None and theirs.authenticated_at >= ours.asked_at


def _give_way(endpoint: Endpoint, sa: IkeSa, winner: IkeSa) -> None:
    """What was wanted of the one is asked of the other."""
    sa.queue.clear()
    sa.put_off.clear()
    for name in sa.wanted:
        winner.start(ExchangeType.CREATE_CHILD_SA, child=name)
    endpoint.pump(winner)


def child(sa: IkeSa, new: ChildSa) -> None:
    """``new`` has just been made, by either."""
    other = next((one for one in sa.children.named(new.name) if _twins(one, new)), None)
    if other is None:
        return
    redundant, stays = sorted((new, other), key=lambda one: one.low)
    if not new.ours and not new.held and other.sends:
        standby.activate(sa, other)  # the peer has that one; our answer, which brings it ``new``, may be lost
    if not redundant.ours:
        return
    redundant.advance(ChildEvent.REPLACED)
    if stays.proved:
        sa.start(ExchangeType.INFORMATIONAL, delete_child=redundant.handle)
    else:
        sa.services.put_off(Timer.REDUNDANT, redundant.handle)


def _twins(one: ChildSa, new: ChildSa) -> bool:
    """Both ends made the same. Several for workers are wanted (RFC 9611)."""
    if one.ours is new.ours or one.state is not ChildState.ACTIVE or one.resource or new.resource:
        return False
    return (one.local_ts, one.remote_ts) == (new.local_ts, new.remote_ts)


def redundant(endpoint: Endpoint, sa: IkeSa, child: ChildSa, patience_s: float) -> None:
    """It goes when the peer is known to have the one that stays, or has had the time in which it asks for it."""
    if child.state is not ChildState.REKEYED:
        return
    if standby.waits(sa, child.name, patience_s):
        sa.services.put_off(Timer.REDUNDANT, child.handle)
        return
    for other in sa.children.named(child.name):
        if other.current:
            standby.heard(sa, other.handle)  # who repeats its request no more has the answer
    sa.start(ExchangeType.INFORMATIONAL, delete_child=child.handle)
    endpoint.pump(sa)


def first(sa: IkeSa) -> tuple[int, Mapping[str, object]]:
    """The exchange that waits at the head of the queue, what is moot taken out; number 0 for none."""
    while sa.queue and moot(sa, *sa.queue[0]):
        sa.queue.popleft()
    return sa.queue[0] if sa.queue else (0, {})


def moot(sa: IkeSa, number: int, options: Mapping[str, object]) -> bool:
    """What waited for its turn may be done already, or be of no use any more."""
    handle = options.get("rekey", options.get("delete_child"))
    old = sa.children.get(handle) if isinstance(handle, int) else None
    if number == ExchangeType.CREATE_CHILD_SA and "child" in options:
        resource = options.get("resource")
        if isinstance(resource, int):
            return resources.moot(sa, str(options["child"]), resource)
        if "remake" in options:
            return False
        if "rekey" in options:
            return old is None or old.state is not ChildState.ACTIVE
        return sa.child_of(str(options["child"])) is not None
    if "superseded" in options:  # what it was to give way to may have gone while this waited
        return not any(one.established and one.successor is None for one in sa.services.siblings(sa))
    if "delete_child" in options:
        return (old is None or not old.alive) and sa.child_of(str(options.get("name", ""))) is None
    return False

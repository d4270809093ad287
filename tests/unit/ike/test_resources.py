"""N(SA_RESOURCE_INFO) and N(TS_MAX_QUEUE): a Child SA for each worker beside the first one (RFC 9611)."""

from __future__ import annotations

from collections import Counter

import pytest

from fynx.errors import PeerFault
from fynx.events import ChildDiffers, ChildRefused, ChildRekeyed, Event, IkeDown
from fynx.ike import resources
from fynx.ike.child import ChildSa, Group
from fynx.ike.effects import Ask, Effect, Emit, Rekey, Remove, TerminateChild
from fynx.ike.policy import ChildPolicy
from fynx.ike.sa import IkeSa
from fynx.plugin import EspSuite
from fynx.plugin.work import InstallChild
from fynx.wire.iana import NotifyType
from fynx.wire.payload import NotifyPayload
from tests.unit.ike.pair import Pair, Side, peer, selector

NETS = ("198.51.100.0/25", "203.0.113.0/25")


def up(workers: int = 2, others: int = 2, *, left: int = 32, right: int = 32, **dials: object) -> Pair:
    pair = Pair(left={"resources": left, **dials}, right={"resources": right})
    pair.left.endpoint.workers, pair.right.endpoint.workers = workers, others
    pair.up()
    return pair


def sa_of(side: Side) -> IkeSa:
    (sa,) = side.endpoint.sas.values()
    return sa


def bound(side: Side) -> list[int]:
    """The workers of the Child SAs that stand."""
    return sorted(child.resource for child in sa_of(side).children.values())


def events_of(side: Side, kind: type[Event]) -> list[Event]:
    return [event for event in side.events if type(event) is kind]


def child_of(side: Side, resource: int) -> ChildSa:
    return next(child for child in sa_of(side).children.values() if child.resource == resource)


def test_the_first_serves_all_and_each_worker_gets_one() -> None:
    """
    HDR, SK {IDi, …, N(SA_RESOURCE_INFO), SAi2, TSi, TSr}  -->
                                 <--  HDR, SK {IDr, …, N(SA_RESOURCE_INFO), SAr2, TSi, TSr}
    HDR, SK {N(SA_RESOURCE_INFO), SA, Ni, TSi, TSr}        -->        once for each worker
                                 <--  HDR, SK {N(SA_RESOURCE_INFO), SA, Nr, TSi, TSr}
    """
    pair = up(3, 3)
    assert bound(pair.left) == bound(pair.right) == [0, 1, 2, 3]
    for side in (pair.left, pair.right):
        specs = list(side.installed.values())
        assert sorted(spec.resource for spec in specs) == [0, 1, 2, 3]
        assert len({(spec.local_ts, spec.remote_ts, spec.suite, spec.mode) for spec in specs}) == 1
        assert len({spec.keys_out.key.reveal() for spec in specs}) == 4, "own keys"
        assert not events_of(side, ChildRefused)


def test_the_notification_is_as_the_rfc_draws_it() -> None:
    """Section 5.1: protocol 0, no SPI, an identifier for people at most."""
    policy = peer("x", (b"a", b"b"), NETS, "192.0.2.2/32").children[0]
    assert resources.said(policy) == ()
    (plain,) = resources.said(ChildPolicy("net", (), (), (), resources=2))
    (named,) = resources.said(ChildPolicy("net", (), (), (), resources=2), 2)
    assert (plain.type, plain.protocol, plain.spi, plain.data) == (16444, 0, b"", b"")
    assert named == NotifyPayload(NotifyType.SA_RESOURCE_INFO, b"\2")


@pytest.mark.parametrize(("left", "right"), [(32, 0), (0, 32), (0, 0)])
def test_without_the_notification_from_both_there_is_one_for_all(left: int, right: int) -> None:
    pair = up(left=left, right=right)
    for side in (pair.left, pair.right):
        assert bound(side) == [0]
        assert child_of(side, 0).group is None
        assert not events_of(side, ChildRefused)


def test_one_worker_needs_no_other_than_the_first() -> None:
    assert bound(up(1, 4).left) == [0]


def test_the_responder_binds_each_to_the_worker_that_has_the_fewest() -> None:
    """Section 5; and what it never sends on it still installs, to receive."""
    pair = up(4, 2)
    assert bound(pair.left) == [0, 1, 2, 3, 4]
    assert bound(pair.right) == [0, 1, 1, 2, 2]


def test_a_full_peer_says_TS_MAX_QUEUE_and_the_rest_share_the_first() -> None:
    pair = up(4, 4, right=2)
    assert bound(pair.left) == bound(pair.right) == [0, 1, 2]
    (told,) = events_of(pair.left, ChildDiffers)
    assert isinstance(told, ChildDiffers)
    assert told.notify == "TS_MAX_QUEUE"
    assert not events_of(pair.left, ChildRefused)
    group = child_of(pair.left, 0).group
    assert group is not None
    assert group.full, "and is not asked again"


def test_an_ike_sa_that_is_full_never_says_NO_ADDITIONAL_SAS_to_one_for_a_worker() -> None:
    """Section 7: the peer would take it for other selectors too."""
    message = _incoming(NotifyPayload(NotifyType.SA_RESOURCE_INFO))
    assert resources.limit(message) == NotifyType.TS_MAX_QUEUE
    assert resources.limit(_incoming()) == NotifyType.NO_ADDITIONAL_SAS


def test_a_rekeyed_one_stays_with_its_worker() -> None:
    pair = up()
    before = {child.resource: child.spi_in for child in sa_of(pair.left).children.values()}
    pair.left.endpoint.command(1.0, Rekey("right", "net"))
    pair.settle()
    after = {child.resource: child.spi_in for child in sa_of(pair.left).children.values()}
    assert after.keys() == before.keys() == {0, 1, 2}
    assert not {*before.values()} & {*after.values()}
    assert len(events_of(pair.left, ChildRekeyed)) == 3
    assert bound(pair.right) == [0, 1, 2]


def test_both_ends_rekey_the_same_ones_at_once_and_each_worker_keeps_one() -> None:
    pair = up()
    pair.left.endpoint.command(1.0, Rekey("right", "net"))
    pair.right.endpoint.command(1.0, Rekey("left", "net"))
    pair.settle()
    assert bound(pair.left) == bound(pair.right) == [0, 1, 2]
    ends = [{(one.spi_in, one.spi_out) for one in sa_of(side).children.values()} for side in (pair.left, pair.right)]
    assert ends[0] == {(out, into) for into, out in ends[1]}


def test_the_ike_sa_is_rekeyed_and_takes_all_of_them_along() -> None:
    pair = up()
    pair.left.endpoint.command(1.0, Rekey("right"))
    pair.settle()
    assert bound(pair.left) == bound(pair.right) == [0, 1, 2]


def test_one_that_the_peer_deleted_is_not_made_again() -> None:
    """Section 7: else the two would go round for ever."""
    pair = up()
    gone = child_of(pair.right, 2)
    sa_of(pair.right).start(37, delete_child=gone.handle)
    pair.right.endpoint.pump(sa_of(pair.right))
    pair.settle()
    assert bound(pair.left) == bound(pair.right) == [0, 1]


@pytest.mark.parametrize("waits", [None, 1])
def test_the_sa_of_a_worker_that_the_peer_deletes_goes_at_once(waits: int | None) -> None:
    """As long as the plane had it, its worker would send on it. Nor does it wait for what another worker is to get."""
    pair = up()
    if waits is not None:
        sa_of(pair.left).start(36, child="net", resource=waits)
    ours, theirs = child_of(pair.left, 2), child_of(pair.right, 2)
    sa_of(pair.right).start(37, delete_child=theirs.handle)
    pair.right.endpoint.pump(sa_of(pair.right))
    pair.settle()
    assert Remove(ours.handle, confirmed=True) in pair.left.effects
    assert Remove(theirs.handle, confirmed=True) in pair.right.effects


def test_who_authenticates_again_deletes_the_old_ones_when_each_worker_has_a_new_one() -> None:
    pair = up(reauth_s=100.0)
    before = len(pair.right.effects)
    pair.now = 101.0
    pair.left.endpoint.tick(pair.now)
    pair.settle()
    assert [word for effect in pair.right.effects[before:] if (word := step(effect))] == [*["new"] * 3, "old gone"]
    assert bound(pair.left) == bound(pair.right) == [0, 1, 2]


def step(effect: Effect) -> str:
    match effect:
        case Ask(work=InstallChild()):
            return "new"
        case Emit(event=IkeDown()):
            return "old gone"
    return ""


def test_the_child_is_taken_down_with_all_of_them() -> None:
    pair = up()
    pair.left.endpoint.command(1.0, TerminateChild("right", "net"))
    pair.settle()
    assert bound(pair.left) == bound(pair.right) == []


def test_others_than_the_first_are_alike_or_refused() -> None:
    """Section 4: identical properties."""
    suite, other = EspSuite(20, 128), EspSuite(20, 256)
    ours, theirs = (selector(NETS[0]),), (selector(NETS[1]),)
    first = ChildSa("net", 1, 256, 257, suite, ours, theirs, group=Group(ours=True))
    resources.check(first, EspSuite(20, 128, keyword="of another proposal"), (ours, theirs))
    for wrong, pair in ((other, (ours, theirs)), (suite, (theirs, ours))):
        with pytest.raises(PeerFault):
            resources.check(first, wrong, pair)


def test_a_peer_that_opens_others_itself_has_them_spread_over_our_workers() -> None:
    """Whoever asked for the first one asks for the rest here; another implementation may do otherwise."""
    pair = up(1, 2)
    sa_of(pair.left).start(36, child="net", resource=1)
    group = child_of(pair.left, 0).group
    assert group is not None
    pair.left.endpoint.pump(sa_of(pair.left))
    pair.settle()
    assert Counter(bound(pair.right)) == {0: 1, 1: 1}


def _incoming(*payloads: NotifyPayload) -> resources.Incoming:
    return resources.Incoming(36, 1, response=False, payloads=payloads, protected=True)

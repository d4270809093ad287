"""Rekeying of Child SAs and IKE SAs from either side and from both at once (RFC 7296 sections 2.8, 2.18, 2.25)."""

from __future__ import annotations

import pytest

from fynx.events import ChildDown, ChildRekeyed, HandshakeFailed, IkeDown, IkeRekeyed
from fynx.ike.effects import Activate, CheckLiveness, InitiateChild, Rekey, Remove, Terminate
from fynx.plugin import Expire
from tests.unit.ike.pair import Pair, Side


@pytest.fixture
def pair() -> Pair:
    pair = Pair()
    pair.up()
    return pair


def children(side: Side) -> list[tuple[int, int]]:
    return [(one.spi_in, one.spi_out) for sa in side.endpoint.snapshot() for one in sa.children]


def crosswise(pair: Pair) -> None:
    """Both sides hold the same children with the same keys, and nothing else."""
    left, right = children(pair.left), children(pair.right)
    assert sorted(left) == sorted((out, into) for into, out in right)
    for spi_in, spi_out in left:
        ours, theirs = pair.left.installed[spi_in], pair.right.installed[spi_out]
        assert ours.keys_out.key.reveal() == theirs.keys_in.key.reveal()
        assert ours.keys_in.key.reveal() == theirs.keys_out.key.reveal()


def peer_of(side: Side) -> str:
    return next(iter(side.endpoint.peers.by_name))


def rekey(side: Side, child: str = "") -> None:
    side.endpoint.command(1.0, Rekey(peer_of(side), child))


def later(pair: Pair, now: float) -> None:
    pair.now = now
    for side in (pair.left, pair.right):
        side.endpoint.tick(now)
    pair.settle()


def until(pair: Pair, end: float) -> None:
    """Lets time pass from deadline to deadline."""
    while pair.now < end:
        deadlines = [side.endpoint.deadline() for side in (pair.left, pair.right)]
        later(pair, min(one for one in deadlines if one is not None))


@pytest.mark.parametrize("initiator", ["left", "right"])
def test_a_child_is_replaced_and_the_old_one_lingers_for_what_is_in_flight(pair: Pair, initiator: str) -> None:
    # SK {N(REKEY_SA), SA, Ni, TSi, TSr}  -->  <--  SK {SA, Nr, TSi, TSr};  SK {D}  -->  <--  SK {D}
    (before,) = children(pair.left)
    side = getattr(pair, initiator)
    rekey(side, "net")
    pair.settle()
    (after,) = children(pair.left)
    assert after[0] != before[0]
    assert after[1] != before[1]
    crosswise(pair)
    for one in (pair.left, pair.right):
        assert len([event for event in one.events if isinstance(event, ChildRekeyed)]) == 1
        assert not [event for event in one.events if isinstance(event, ChildDown)]
        assert not [effect for effect in one.effects if isinstance(effect, Remove)]
    later(pair, 7.0)
    for one in (pair.left, pair.right):
        assert [effect for effect in one.effects if isinstance(effect, Remove)] == [Remove(1, confirmed=True)]


def test_the_responder_sends_on_the_new_child_only_when_the_old_one_is_deleted(pair: Pair) -> None:
    rekey(pair.left, "net")
    pair.settle()
    ((spi, _),) = children(pair.right)
    assert not pair.right.installed[spi].outbound
    assert [effect for effect in pair.right.effects if isinstance(effect, Activate)] == [Activate(2)]
    assert pair.left.installed[children(pair.left)[0][0]].outbound


def test_both_rekey_the_child_at_once_and_one_new_child_is_left(pair: Pair) -> None:
    for now in range(1, 12):
        rekey(pair.left, "net")
        rekey(pair.right, "net")
        pair.settle()
        assert len(children(pair.left)) == 1
        crosswise(pair)
        later(pair, now * 10.0)


@pytest.mark.parametrize("initiator", ["left", "right"])
def test_the_IKE_SA_is_replaced_and_its_children_go_on(pair: Pair, initiator: str) -> None:
    # SK {SA, Ni, KEi}  -->  <--  SK {SA, Nr, KEr};  SK {D}  -->  <--  SK {}
    (before,) = pair.left.endpoint.snapshot()
    rekey(getattr(pair, initiator))
    pair.settle()
    (after,) = pair.left.endpoint.snapshot()
    assert after.spi_i != before.spi_i
    assert after.children == before.children
    assert after.state == "established"
    assert after.role == ("initiator" if initiator == "left" else "responder")
    for one in (pair.left, pair.right):
        assert len([event for event in one.events if isinstance(event, IkeRekeyed)]) == 1
        assert not [event for event in one.events if isinstance(event, IkeDown | ChildDown)]
    pair.left.endpoint.command(2.0, CheckLiveness("right"))
    pair.settle()
    pair.right.endpoint.command(2.0, Terminate("left"))
    pair.settle()
    assert pair.left.endpoint.snapshot() == pair.right.endpoint.snapshot() == ()


def test_both_rekey_the_IKE_SA_at_once_and_one_new_SA_is_left_with_all_children(pair: Pair) -> None:
    for now in range(1, 12):
        before = children(pair.left)
        rekey(pair.left)
        rekey(pair.right)
        pair.settle()
        later(pair, now * 10.0)
        assert len(pair.left.endpoint.snapshot()) == len(pair.right.endpoint.snapshot()) == 1
        assert children(pair.left) == before
        crosswise(pair)
        assert {one.spi_i for one in pair.left.endpoint.snapshot()} == {
            one.spi_i for one in pair.right.endpoint.snapshot()
        }


def test_a_child_rekey_that_meets_an_IKE_rekey_is_put_off_and_then_done(pair: Pair) -> None:
    (before,) = children(pair.left)
    rekey(pair.left)
    rekey(pair.right, "net")
    pair.settle()
    until(pair, 60.0)
    (after,) = children(pair.left)
    assert after != before
    crosswise(pair)
    assert len(pair.left.endpoint.snapshot()) == len(pair.right.endpoint.snapshot()) == 1


def test_soft_lifetimes_replace_both_kinds_of_SA_before_they_end(pair: Pair) -> None:
    (before,) = children(pair.left)
    (sa,) = pair.left.endpoint.snapshot()
    until(pair, 5 * 3600.0)
    assert children(pair.left) != [before]
    crosswise(pair)
    assert pair.left.endpoint.snapshot()[0].spi_i != sa.spi_i
    assert not [event for event in pair.left.events if isinstance(event, IkeDown | ChildDown)]


def test_the_planes_soft_limit_of_sequence_numbers_asks_for_a_rekey(pair: Pair) -> None:
    (before,) = children(pair.left)
    pair.left.endpoint.expired(3.0, Expire(1, hard=False, reason="sequence"))
    pair.settle()
    (after,) = children(pair.left)
    assert after != before


def test_a_child_that_the_peer_lost_is_made_anew(pair: Pair) -> None:
    sa = next(iter(pair.right.endpoint.sas.values()))
    lost = sa.children.pop(1)
    pair.right.endpoint.handles.pop(lost.handle)
    rekey(pair.left, "net")
    pair.settle()
    assert len(children(pair.left)) == 1
    crosswise(pair)


def test_a_new_child_after_an_IKE_rekey_gets_keys_of_the_new_SA(pair: Pair) -> None:
    rekey(pair.left)
    pair.settle()
    pair.left.endpoint.command(2.0, InitiateChild("right", "net"))
    rekey(pair.right, "net")
    pair.settle()
    crosswise(pair)


def test_reauthentication_makes_before_it_breaks_and_children_linger() -> None:
    # a new IKE_SA_INIT and IKE_AUTH beside the old SA, then SK {D} on the old one
    pair = Pair(left={"reauth_s": 100.0})
    pair.up()
    (before,) = pair.left.endpoint.snapshot()
    until(pair, 100.0)
    (after,) = pair.left.endpoint.snapshot()
    assert after.spi_i != before.spi_i
    crosswise(pair)
    assert not [effect for effect in pair.left.effects if isinstance(effect, Remove)]
    later(pair, 120.0)
    assert [effect.handle for effect in pair.left.effects if isinstance(effect, Remove)] == [1]


def test_the_responders_AUTH_LIFETIME_makes_the_initiator_authenticate_again() -> None:
    pair = Pair(right={"reauth_s": 200.0})
    pair.up()
    (before,) = pair.left.endpoint.snapshot()
    until(pair, 150.0)
    assert pair.left.endpoint.snapshot()[0].spi_i == before.spi_i
    until(pair, 200.0)
    assert pair.left.endpoint.snapshot()[0].spi_i != before.spi_i
    crosswise(pair)


def test_an_auth_lifetime_of_zero_starts_no_storm_c23() -> None:
    pair = Pair(right={"reauth_s": 0.5})
    pair.up()
    (before,) = pair.left.endpoint.snapshot()
    until(pair, 30.0)
    assert pair.left.endpoint.snapshot()[0].spi_i == before.spi_i


def test_an_IKE_SA_without_a_child_where_both_sides_allow_it() -> None:
    # <-- N(CHILDLESS_IKEV2_SUPPORTED); SK {IDi, IDr, AUTH} --> <-- SK {IDr, AUTH}; then CREATE_CHILD_SA
    pair = Pair(left={"childless": True, "children": 0}, right={"childless": True})
    pair.up()
    (sa,) = pair.left.endpoint.snapshot()
    assert sa.state == "established"
    assert sa.children == ()


def test_a_peer_that_cannot_be_childless_is_named_as_the_reason() -> None:
    pair = Pair(left={"childless": True, "children": 0})
    pair.up()
    assert pair.left.endpoint.snapshot() == ()
    (failed,) = [event for event in pair.left.events if isinstance(event, HandshakeFailed)]
    assert "RFC 6023" in failed.reason

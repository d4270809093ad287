"""Two Child SAs of one name beside each other, step by step: which one sends, and when the other may go (RFC 7296
sections 2.8, 2.8.1). What ``test_interleavings`` meets by chance stands here by itself."""

from __future__ import annotations

import pytest

from fynx.ike.child import ChildSa
from fynx.ike.effects import InitiateChild, Rekey, Terminate, TerminateChild
from fynx.ike.states import ChildState
from fynx.sim.node import Node
from fynx.sim.world import Sent
from fynx.wire.iana import ExchangeType
from tests.sim.crossings import authenticate_anew, calm, initiate, newest, stand, two
from tests.sim.invariants import violations
from tests.sim.rig import ALICE, BOB, Pair

RESPONSE = 0x20


def children(node: Node) -> list[ChildSa]:
    """Those called "one", the oldest first."""
    found = [child for sa in node.endpoint.sas.values() for child in sa.children.named("one")]
    return sorted(found, key=lambda child: child.handle)


def is_ike(sent: Sent, address: str, exchange: int) -> bool:
    return sent.source == (address, 500) and sent.data[18] == exchange


def is_answer(sent: Sent, address: str, exchange: int = ExchangeType.CREATE_CHILD_SA) -> bool:
    """Of this host."""
    return is_ike(sent, address, exchange) and bool(sent.data[19] & RESPONSE)


def without_answers_of(pair: Pair, address: str) -> None:
    """No answer to CREATE_CHILD_SA of this host arrives any more."""
    pair.world.intercept = lambda sent: () if is_answer(sent, address) else (sent,)


def test_what_the_peer_is_rekeying_sends_when_the_newer_ike_sa_beside_it_goes() -> None:
    """Its replacement may not yet: the peer has not got the answer that brings it."""
    pair = two(1, unique="never")
    for node, peer in ((pair.alice, "bob"), (pair.bob, "alice")):
        initiate(node, peer, "")
    pair.world.run(10.0)
    old, new = children(pair.bob)
    assert newest(pair.bob, "one") == new.handle
    without_answers_of(pair, BOB)
    of_old = pair.bob.endpoint.handles[old.handle]
    pair.alice.command(Rekey("bob", "one", of_old.spi_i.hex()))
    pair.world.run(1.0)
    assert old.state is ChildState.REKEYED
    pair.bob.command(Terminate("alice", pair.bob.endpoint.handles[new.handle].spi_i.hex()))
    assert newest(pair.bob, "one") == old.handle


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("late", [False, True])
def test_of_two_that_both_made_none_goes_before_the_peer_has_the_other(seed: int, late: bool) -> None:
    """Bob's answer, which brings Alice her own, is lost for half a minute; with ``late`` her request at first, too, so
    that he answers when his own stands. His is on both sides: it carries all until then, whichever is the redundant
    one. Where nobody says anything more, he waits as long as she may repeat her request."""
    pair = two(seed, liveness_s=60.0 if seed % 2 else None)
    stand(pair)
    pair.alice.command(TerminateChild("bob", "one"))
    calm(pair)
    pair.bob.command(InitiateChild("alice", "one"))
    if late:
        pair.world.intercept = lambda sent: () if sent.source == (ALICE, 500) else (sent,)
    pair.alice.command(InitiateChild("bob", "one"))
    without_answers_of(pair, BOB)
    for _ in range(30):
        pair.world.run(1.0)
        (at_alice,) = children(pair.alice)
        assert newest(pair.alice, "one") == at_alice.handle
        assert pair.bob.plane.children[newest(pair.bob, "one")].spec.spi_in == at_alice.spi_out
    assert len(children(pair.bob)) == 2
    pair.world.intercept = None
    calm(pair)
    assert violations(pair) == []
    assert len(children(pair.alice)) == 1


def test_a_rekey_that_won_and_was_deleted_before_its_answer_takes_the_old_child_along() -> None:
    """Both rekey; the peer deletes all of that name while the answer to ours is on its way, which its DELETE overtakes;
    the peer's own rekey, which lost, still stands then."""
    for seed in range(8):
        pair = two(seed)
        stand(pair)
        late: list[Sent] = []

        def held_up(sent: Sent, late: list[Sent] = late) -> tuple[Sent, ...]:
            if not is_answer(sent, BOB):
                return (sent,)
            late.append(sent)
            return ()

        pair.world.intercept = held_up
        pair.alice.command(Rekey("bob", "one"))
        pair.bob.command(Rekey("alice", "one"))
        assert pair.world.run(1.0, lambda late=late: bool(late))
        pair.bob.command(TerminateChild("alice", "one"))
        (sa,) = pair.alice.endpoint.sas.values()
        assert pair.world.run(1.0, lambda sa=sa: bool(sa.deleted_early))
        pair.world.intercept = None
        pair.world.inject(late[0].source, late[0].destination, late[0].data)
        calm(pair)
        assert violations(pair) == []
        assert not children(pair.alice)


def test_an_ike_sa_stays_until_the_peer_has_what_it_carries_also_where_we_send_on_another() -> None:
    """Alice authenticates twice, and deletes the first IKE SA before she has said anything more on the second; the
    second child of the third is unanswered. Bob cannot know which of the two that wait she has, and sends on the later
    one: the second IKE SA, where she sends, stays."""
    pair = two(1)
    stand(pair)
    (first,) = pair.alice.endpoint.sas.values()
    pair.world.intercept = lambda sent: () if is_ike(sent, ALICE, ExchangeType.INFORMATIONAL) else (sent,)
    authenticate_anew(pair.alice, "bob", "")
    pair.world.run(1.0)
    sending = newest(pair.alice, "two")
    second = pair.alice.endpoint.handles[sending].spi_i

    def lost(sent: Sent) -> bool:
        silent = is_ike(sent, ALICE, ExchangeType.INFORMATIONAL) and sent.data.startswith(second)
        return silent or is_answer(sent, BOB)

    pair.world.intercept = lambda sent: () if lost(sent) else (sent,)
    authenticate_anew(pair.alice, "bob", "")
    pair.world.run(1.0)
    pair.alice.command(Terminate("bob", first.spi_i.hex()))
    for _ in range(30):
        pair.world.run(1.0)
        assert newest(pair.alice, "two") == sending
        assert pair.alice.plane.children[sending].spec.spi_out in [
            child.spi_in for sa in pair.bob.endpoint.sas.values() for child in sa.children.named("two")
        ]
    assert len(pair.bob.endpoint.sas) == 2
    pair.world.intercept = None
    calm(pair)
    assert violations(pair) == []


def test_who_authenticates_again_shows_which_children_it_has_before_it_deletes() -> None:
    """A third IKE SA is under way, its second child unanswered, when Alice has the second one whole and deletes the
    first: Bob sends on the second one."""
    pair = two(1)
    stand(pair)
    without_answers_of(pair, BOB)
    authenticate_anew(pair.alice, "bob", "")
    pair.world.run(1.0)
    second = next(reversed(pair.alice.endpoint.sas.values())).spi_i
    authenticate_anew(pair.alice, "bob", "")
    pair.world.run(1.0)
    pair.world.intercept = lambda sent: () if is_answer(sent, BOB) and not sent.data.startswith(second) else (sent,)
    assert pair.world.run(10.0, lambda: len(pair.bob.endpoint.sas) == 2)
    for _ in range(30):
        at_bob = pair.bob.plane.children[newest(pair.bob, "two")].spec
        assert at_bob.spi_out in [one.spec.spi_in for one in pair.alice.plane.children.values()]
        pair.world.run(1.0)
    pair.world.intercept = None
    calm(pair)
    assert violations(pair) == []


def test_an_ike_sa_does_not_go_when_what_it_was_to_give_way_to_has_gone_while_its_delete_waited() -> None:
    pair = two(1)
    stand(pair)
    (old,) = pair.alice.endpoint.sas.values()

    def lost(sent: Sent, also: bool = True) -> bool:
        return sent.data.startswith(old.spi_i) or (also and is_ike(sent, ALICE, ExchangeType.INFORMATIONAL))

    pair.world.intercept = lambda sent: () if lost(sent) else (sent,)
    authenticate_anew(pair.bob, "alice", "")
    pair.world.run(1.0)
    new = next(reversed(pair.bob.endpoint.sas.values()))
    pair.alice.command(Rekey("bob", "one", old.spi_i.hex()))
    pair.world.run(3.0)
    assert any("delete" in options for _, options in old.queue)
    pair.world.intercept = lambda sent: () if lost(sent, also=False) else (sent,)
    pair.bob.command(Terminate("alice", new.spi_i.hex()))
    assert pair.world.run(10.0, lambda: len(pair.alice.endpoint.sas) == len(pair.bob.endpoint.sas) == 1)
    pair.world.intercept = None
    calm(pair)
    assert violations(pair) == []
    assert list(pair.alice.endpoint.sas.values()) == [old]


def test_a_rekey_that_ends_in_an_ike_sa_which_we_are_deleting_does_not_bring_the_traffic_back() -> None:
    pair = two(1, unique="never")
    for node, peer in ((pair.alice, "bob"), (pair.bob, "alice")):
        initiate(node, peer, "")
    pair.world.run(10.0)
    old, new = children(pair.bob)
    spi = pair.bob.endpoint.handles[old.handle].spi_i
    pair.world.intercept = lambda sent: () if is_ike(sent, BOB, ExchangeType.INFORMATIONAL) else (sent,)
    pair.alice.command(Rekey("bob", "one", spi.hex()))
    pair.world.run(until=lambda: old.state is ChildState.REKEYED)
    pair.bob.command(Terminate("alice", spi.hex()))
    pair.world.run(1.0)
    assert len(children(pair.bob)) == 2  # Alice has deleted what she replaced
    assert newest(pair.bob, "one") == new.handle


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("rekeyed_by", ["alice", "bob"])
def test_of_two_handshakes_that_crossed_one_goes_also_where_the_other_was_rekeyed_meanwhile(
    seed: int, rekeyed_by: str
) -> None:
    """Bob authenticates when Alice already has, for him; his answer, which tells her, comes late: by then his own IKE
    SA is another, with other SPIs and, where she rekeyed it, she as its initiator. What counts is who began, and with
    which SPI."""
    pair = two(seed)
    stand(pair)
    late = [(ALICE, ExchangeType.IKE_SA_INIT), (BOB, ExchangeType.IKE_AUTH)]
    pair.world.intercept = lambda sent: () if any(is_answer(sent, *one) for one in late) else (sent,)
    authenticate_anew(pair.alice, "bob", "one")
    authenticate_anew(pair.bob, "alice", "one")
    (his,) = [sa for sa in pair.bob.endpoint.sas.values() if sa.begun[1]]
    assert pair.world.run(10.0, lambda: sum(sa.established for sa in pair.bob.endpoint.sas.values()) == 2)
    del late[0]
    assert pair.world.run(20.0, lambda: his.established)
    node, peer = (pair.alice, "bob") if rekeyed_by == "alice" else (pair.bob, "alice")
    node.command(Rekey(peer, "", his.spi_i.hex()))
    assert pair.world.run(10.0, lambda: his.successor is not None)
    pair.world.intercept = None
    calm(pair)
    assert violations(pair) == []
    assert len(pair.alice.endpoint.sas) == len(pair.bob.endpoint.sas) == 1

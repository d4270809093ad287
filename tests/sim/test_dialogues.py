"""Whole dialogues between two Endpoints: every suite, several children, deletion from either side, all at once."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest

from fynx.errors import StateError
from fynx.events import ChildDown, ChildUp, IkeDown, IkeUp
from fynx.ike.effects import CheckLiveness, Command, Initiate, InitiateChild, Rekey, Terminate, TerminateChild
from fynx.ike.policy import ChildPolicy
from fynx.plugin import Cipher, Integ, KeyExchange, Path, Prf
from fynx.sim.link import Link
from fynx.sim.node import Node
from fynx.wire.proposal import transform
from tests.sim.rig import ALICE, BOB, Pair, lan, mirrored, network, peer_of_alice, peer_of_bob, policy, same_children
from tests.unit.ike.algorithms import ALGORITHMS, CIPHERS, EXCHANGES, NO_ESN, esp, ike

PRFS, INTEGS = tuple(ALGORITHMS.prfs.values()), tuple(ALGORITHMS.integs.values())
BAD = Link(latency_s=0.03, jitter_s=0.02, loss=0.2, duplicate=0.1, reorder=0.2)


def encryption(cipher: Cipher, integ: Integ | None) -> tuple[object, ...]:
    bits = cipher.key_bits if cipher.key_length_attribute else None
    found = [transform(1, cipher.transform_id, bits)]
    return (*found, transform(3, integ.transform_id)) if integ else tuple(found)


ENCRYPTIONS = [(cipher, integ) for cipher in CIPHERS if cipher.ike for integ in ((None,) if cipher.aead else INTEGS)]


@pytest.mark.parametrize(("cipher", "integ"), ENCRYPTIONS)
def test_every_cipher_protects_ike_and_esp(cipher: Cipher, integ: Integ | None) -> None:
    words = encryption(cipher, integ)
    proposals = (ike(*words, transform(2, 6), transform(4, 31)),)  # type: ignore[arg-type]
    child = lan(esp=(esp(*words, NO_ESN),))  # type: ignore[arg-type]
    pair = Pair(
        alice=policy(peer_of_alice(ike=proposals, children=(child,))),
        bob=policy(peer_of_bob(ike=proposals, children=(mirrored(child),))),
    )
    pair.up()
    same_children(pair.alice, pair.bob)
    (handle,) = pair.alice.plane.children
    pair.alice.send_packet(handle, b"p" * 99)
    pair.settle()
    assert [one.received for one in pair.bob.plane.children.values()] == [[b"p" * 99]]
    (suite,) = {one.suite for node in (pair.alice, pair.bob) for one in node.endpoint.snapshot()}
    assert suite.startswith(cipher.keyword)


@pytest.mark.parametrize("prf", PRFS)
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_every_key_exchange_with_every_prf(exchange: KeyExchange, prf: Prf) -> None:
    words = (*encryption(CIPHERS[0], None), transform(2, prf.transform_id), transform(4, exchange.transform_id))
    proposals = (ike(*words),)  # type: ignore[arg-type]
    pair = Pair(alice=policy(peer_of_alice(ike=proposals)), bob=policy(peer_of_bob(ike=proposals)))
    pair.up()
    same_children(pair.alice, pair.bob)


CHILDREN = tuple(
    lan(name=f"child{number}", local=(network(f"10.1.{number}.0/24"),), remote=(network(f"10.2.{number}.0/24"),))
    for number in range(4)
)


def many(children: tuple[ChildPolicy, ...] = CHILDREN, seed: int = 1, link: Link | None = None) -> Pair:
    """Both sides know the four children; each has the other's mirror."""
    return Pair(
        seed,
        link or Link(),
        alice=policy(peer_of_alice(children=children, liveness_s=20.0)),
        bob=policy(peer_of_bob(children=tuple(mirrored(one) for one in children), liveness_s=20.0)),
    )


def names(node: Node) -> list[str]:
    return sorted(one.spec.child for one in node.plane.children.values())


def test_several_children_come_up_on_one_ike_sa() -> None:
    pair = many()
    pair.up()
    pair.settle(5.0)
    assert names(pair.alice) == names(pair.bob) == [one.name for one in CHILDREN]
    same_children(pair.alice, pair.bob)
    assert len(pair.alice.events_of(IkeUp)) == 1


def test_the_responder_too_may_make_a_child() -> None:
    pair = many(tuple(lan(name=one.name, local=one.local, remote=one.remote, start="none") for one in CHILDREN))
    pair.up()
    pair.bob.command(InitiateChild("alice", "child3"))
    pair.settle()
    assert names(pair.alice) == names(pair.bob) == ["child0", "child3"]
    same_children(pair.alice, pair.bob)


@pytest.mark.parametrize("side", ["alice", "bob"])
def test_a_child_is_deleted_from_either_side_and_the_ike_sa_stays(side: str) -> None:
    pair = many()
    pair.up()
    pair.settle(5.0)
    node, peer = (pair.alice, "bob") if side == "alice" else (pair.bob, "alice")
    node.command(TerminateChild(peer, "child2"))
    pair.settle()
    assert names(pair.alice) == names(pair.bob) == ["child0", "child1", "child3"]
    same_children(pair.alice, pair.bob)
    node.command(InitiateChild(peer, "child2"))
    pair.settle()
    assert len(names(pair.alice)) == 4
    same_children(pair.alice, pair.bob)


def test_both_sides_delete_the_same_child_at_once() -> None:
    pair = many()
    pair.up()
    pair.settle(5.0)
    pair.alice.command(TerminateChild("bob", "child1"))
    pair.bob.command(TerminateChild("alice", "child1"))
    pair.settle()
    assert names(pair.alice) == names(pair.bob) == ["child0", "child2", "child3"]
    for node in (pair.alice, pair.bob):
        assert len([event for event in node.events_of(ChildDown) if "child1" in str(event)]) == 1
        assert node.endpoint.snapshot()[0].state == "established"


def test_a_child_that_the_peer_deletes_before_its_answer_comes_is_not_installed() -> None:
    """CREATE_CHILD_SA response lost; DELETE of the new child passes it; the response comes again."""
    pair = many(tuple(lan(name=one.name, local=one.local, remote=one.remote, start="none") for one in CHILDREN))
    pair.up()
    pair.world.intercept = lambda sent: () if sent.source[0] == BOB else (sent,)
    pair.alice.command(InitiateChild("bob", "child2"))
    pair.settle(0.5)
    pair.world.intercept = None
    assert names(pair.bob) == ["child0", "child2"]
    pair.bob.command(TerminateChild("alice", "child2"))
    pair.settle(30.0)
    assert names(pair.alice) == names(pair.bob) == ["child0"]
    assert not pair.alice.plane.reserved


@pytest.mark.parametrize("sides", [("alice",), ("bob",), ("alice", "bob")])
def test_the_ike_sa_is_deleted_from_either_side_or_both_at_once(sides: tuple[str, ...]) -> None:
    pair = many()
    pair.up()
    pair.settle(5.0)
    for side in sides:
        node = pair.alice if side == "alice" else pair.bob
        node.command(Terminate("bob" if side == "alice" else "alice"))
    pair.settle(30.0)
    for node in (pair.alice, pair.bob):
        assert not node.endpoint.snapshot()
        assert not node.plane.children
        assert not node.plane.reserved
        assert len(node.events_of(IkeDown)) == 1
    pair.initiate()
    assert pair.world.run(30.0, lambda: bool(pair.alice.plane.children))


def test_both_sides_initiate_at_once_and_agree_on_what_stands() -> None:
    pair = many()
    pair.initiate()
    pair.bob.command(Initiate("alice", Path(BOB, 500, ALICE, 500)))
    pair.world.run(120.0)
    ours, theirs = ({one.spi_i for one in node.endpoint.snapshot()} for node in (pair.alice, pair.bob))
    assert ours == theirs
    assert ours
    same_children(pair.alice, pair.bob)


def test_an_ike_sa_with_work_that_takes_time_comes_up_too() -> None:
    pair = Pair(2, BAD, work_s=0.4)
    pair.initiate()
    assert pair.world.run(300.0, pair.is_up)
    pair.settle(5.0)
    same_children(pair.alice, pair.bob)


def test_work_that_ends_after_its_sa_is_gone_leaves_nothing_in_the_plane() -> None:
    for moment in range(1, 40):
        pair = Pair(3, work_s=0.5)
        pair.initiate()
        pair.world.run(moment * 0.25)
        pair.alice.command(Terminate("bob"))
        pair.world.run(700.0)
        for node in (pair.alice, pair.bob):
            assert not node.endpoint.snapshot(), moment
            assert not node.plane.children, moment
            assert not node.plane.reserved, moment


def act(pair: Pair, random: Random) -> None:
    """One command at random on one side; what does not fit the state is refused by StateError."""
    node, peer = random.choice([(pair.alice, "bob"), (pair.bob, "alice")])
    child = random.choice(CHILDREN).name
    path = Path(ALICE, 500, BOB, 500) if node is pair.alice else Path(BOB, 500, ALICE, 500)
    commands: list[Command] = [
        Initiate(peer, path),
        InitiateChild(peer, child),
        InitiateChild(peer, child),
        Rekey(peer, child),
        Rekey(peer),
        TerminateChild(peer, child),
        CheckLiveness(peer),
        Terminate(peer) if random.random() < 0.2 else CheckLiveness(peer),
    ]
    with suppress(StateError):
        node.command(random.choice(commands))


@pytest.mark.parametrize("seed", range(40))
def test_after_any_commands_in_a_bad_network_both_sides_agree(seed: int) -> None:
    pair = many(seed=seed, link=BAD)
    random = Random(seed)
    pair.initiate()
    for _ in range(40):
        pair.world.run(random.random() * 3)
        act(pair, random)
    pair.world.link = Link()
    pair.world.run(1500.0)  # liveness checks find what one side has lost
    ours, theirs = pair.alice.endpoint.snapshot(), pair.bob.endpoint.snapshot()
    assert sorted(one.spi_i for one in ours) == sorted(one.spi_i for one in theirs)
    assert all(one.state == "established" for one in (*ours, *theirs))
    assert sorted(child.spec.spi_in for child in pair.alice.plane.children.values()) == sorted(
        child.spec.spi_out for child in pair.bob.plane.children.values()
    )
    if pair.alice.plane.children:
        same_children(pair.alice, pair.bob)
    for node in (pair.alice, pair.bob):
        assert not node.plane.reserved
        assert len(node.plane.children) == sum(len(one.children) for one in node.endpoint.snapshot())
        assert len(node.events_of(ChildUp)) - len(node.events_of(ChildDown)) == len(node.plane.children)
        assert node.endpoint.counters()["half_open"] == 0

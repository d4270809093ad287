"""Operations of both ends that cross each other, with lost, late and repeated messages, thousands of them from seeds
(RFC 7296 sections 2.8, 2.25; rows C11, C12 of the bad inputs).

After each round all that ``tests.sim.invariants`` names must hold: same IKE SAs, same children, same keys, every child
sends, one IKE SA and one child of a name, nothing in any table that belongs to nobody, no timer, no SPI with two keys.
"""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest

from fynx.errors import StateError
from fynx.run.driver import ACTIVITY_S
from fynx.sim.link import Link
from fynx.sim.node import Node
from fynx.sim.world import Sent
from tests.sim.crossings import (
    CHILDREN,
    CROSSINGS,
    OPERATIONS,
    Operation,
    authenticate_again,
    authenticate_anew,
    batch,
    calm,
    delete_child,
    delete_ike,
    initiate,
    newest,
    rekey_child,
    rekey_ike,
    stand,
    two,
)
from tests.sim.invariants import violations
from tests.sim.rig import Pair
from tests.unit.ike.algorithms import ALGORITHMS

ROUNDS = 20
"""In one world, one after the other: a handshake costs more than what it is made for."""
AGAIN = (
    (authenticate_anew, authenticate_anew),
    (authenticate_anew, authenticate_again),
    *((authenticate_anew, other) for other in (rekey_child, rekey_ike, delete_child, delete_ike, initiate)),
)
BLOCK = 25
"""Worlds of one test."""
NUMBERS = 400
"""Packets of one storm, for each child and direction."""
MIXED = (authenticate_anew, authenticate_anew, rekey_child, rekey_ike)


@pytest.mark.parametrize("block", range(20))
def test_whatever_crosses_leaves_both_sides_alike_and_nothing_behind_c11_c12(block: int) -> None:
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        assert batch(seed, ROUNDS) == []


@pytest.mark.long
@pytest.mark.parametrize("block", range(20, 400))
def test_whatever_crosses_leaves_both_sides_alike_and_nothing_behind_at_length(block: int) -> None:
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        assert batch(seed, ROUNDS) == []


@pytest.mark.parametrize("seed", range(6))
def test_the_same_with_real_algorithms(seed: int) -> None:
    assert batch(seed, ROUNDS, algorithms=ALGORITHMS) == []


def test_a_search_of_that_length_meets_every_crossing_and_a_seed_always_the_same() -> None:
    assert {operation for crossing in CROSSINGS for operation in crossing} == set(OPERATIONS)
    assert len(CROSSINGS) < ROUNDS * BLOCK
    assert batch(7, 3) == batch(7, 3) == []


@pytest.mark.parametrize("block", range(8))
def test_both_ends_that_authenticate_again_at_once_end_with_one_ike_sa(block: int) -> None:
    """Whatever else happens meanwhile. Each end makes a whole new IKE SA, and has to find out which one stays."""
    found = [batch(f"again/{block}/{seed}", 12, crossings=AGAIN) for seed in range(10)]
    assert found == [[]] * 10


@pytest.mark.long
@pytest.mark.parametrize("block", range(200))
def test_both_ends_that_authenticate_again_at_once_end_with_one_ike_sa_at_length(block: int) -> None:
    found = [batch(f"again/long/{block}/{seed}", 20, crossings=AGAIN) for seed in range(20)]
    assert found == [[]] * 20


@pytest.mark.parametrize("seed", range(60))
def test_no_packet_is_lost_when_either_end_authenticates_again(seed: int) -> None:
    """One or both make a new IKE SA, several within a second at times."""
    assert storm(f"again/{seed}", 0.03, (authenticate_anew,)) == []


@pytest.mark.parametrize("seed", [*range(20), 328, 460, 474, 882, 925, 1058, 1383, 1473])
def test_no_packet_is_lost_when_either_end_authenticates_again_or_rekeys_and_ike_messages_get_lost(seed: int) -> None:
    assert storm(f"again/lost/{seed}", 0.03, MIXED, loss=0.3) == []


@pytest.mark.parametrize("seed", range(40))
def test_no_packet_is_lost_when_both_rekey_at_random_and_ike_messages_get_lost(seed: int) -> None:
    assert storm(seed, 0.05, (rekey_child, rekey_child, rekey_ike), loss=0.3) == []


@pytest.mark.long
@pytest.mark.parametrize("block", range(40))
def test_no_packet_is_lost_when_either_end_authenticates_again_at_length(block: int) -> None:
    seeds = range(block * BLOCK, (block + 1) * BLOCK)
    found = [storm(f"again/{seed}", 0.03, (authenticate_anew,)) for seed in seeds]
    found += [storm(f"again/lost/{seed}", 0.03, MIXED, loss=0.3) for seed in seeds]
    assert found == [[]] * 2 * BLOCK


def storm(seed: int | str, often: float, operations: tuple[Operation, ...], *, loss: float = 0.0) -> list[str]:
    """Make before break: numbered packets each way through both children, every 50 ms, while the path jitters and what
    they go through is replaced. ``loss``: of IKE messages. What went wrong, in plain words."""
    pair = two(seed)
    stand(pair)
    random = Random(seed)
    pair.world.intercept = lambda sent: () if is_ike(sent) and random.random() < loss else (sent,)
    pair.world.link = Link(latency_s=0.05, jitter_s=0.1)
    got = Tally(pair)
    for number in range(NUMBERS):
        if random.random() < often:
            node, peer = random.choice(((pair.alice, "bob"), (pair.bob, "alice")))
            with suppress(StateError):  # one that the peer deletes may be the only one for a moment
                random.choice(operations)(node, peer, "one")
        for node in (pair.alice, pair.bob):
            for child in CHILDREN:
                node.send_packet(newest(node, child.name), number.to_bytes(4, "big"))
        got.take(0.05)
    pair.world.intercept = None
    for _ in range(NUMBERS // 5):
        got.take(0.05)
    calm(pair)
    return [*got.missing(), *violations(pair)]


class Tally:
    """Which numbers arrived at which end; children that go take their packets with them, so it looks often."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.told, self.heard = {"alice": 0.0, "bob": 0.0}, {"alice": set[int](), "bob": set[int]()}
        self.seen = {(node.name, one.name): set[int]() for node in (pair.alice, pair.bob) for one in CHILDREN}

    def take(self, after_s: float) -> None:
        self.pair.world.run(after_s)
        for node in (self.pair.alice, self.pair.bob):
            for handle, child in node.plane.children.items():
                seen = self.seen[node.name, child.spec.child]
                seen.update(int.from_bytes(one, "big") for one in child.received)
                self.heard[node.name] |= {handle} if child.received else set()
                child.received.clear()
            self._tell(node)

    def _tell(self, node: Node) -> None:
        """What the driver reads off the plane every few seconds."""
        if node.clock.now - self.told[node.name] < ACTIVITY_S:
            return
        self.told[node.name] = node.clock.now
        for handle in self.heard[node.name]:
            node.endpoint.activity(node.clock.now, handle)
        self.heard[node.name].clear()
        node.pump()

    def missing(self) -> list[str]:
        lost = {where: sorted(set(range(NUMBERS)) - seen) for where, seen in self.seen.items()}
        return [f"{node} lacks {numbers} of {child}" for (node, child), numbers in lost.items() if numbers]


def is_ike(sent: Sent) -> bool:
    return sent.source[1] == 500

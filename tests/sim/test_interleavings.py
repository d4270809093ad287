"""Operations of both ends that cross each other, with lost, late and repeated messages, thousands of them from seeds
(RFC 7296 sections 2.8, 2.25; rows C11, C12 of the bad inputs).

After each round all that ``tests.sim.invariants`` names must hold: same IKE SAs, same children, same keys, every child
sends, one IKE SA and one child of a name, nothing in any table that belongs to nobody, no timer, no SPI with two keys.
"""

from __future__ import annotations

from random import Random

import pytest

from fynx.sim.link import Link
from fynx.sim.world import Sent
from tests.sim.crossings import (
    CROSSINGS,
    OPERATIONS,
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


@pytest.mark.parametrize("seed", range(20))
def test_no_packet_is_lost_when_either_end_authenticates_again(seed: int) -> None:
    """Numbered packets each way, every 50 ms, while the path jitters and one or both make a new IKE SA."""
    pair = two(f"again/{seed}")
    stand(pair)
    random = Random(seed)
    pair.world.link = Link(latency_s=0.05, jitter_s=0.1)
    number, got = 0, Tally(pair)
    for _ in range(400):
        if random.random() < 0.03:
            node, peer = random.choice(((pair.alice, "bob"), (pair.bob, "alice")))
            authenticate_anew(node, peer, "one")
        for node in (pair.alice, pair.bob):
            node.send_packet(newest(node, "one"), number.to_bytes(4, "big"))
        number += 1
        pair.world.run(0.05)
        got.take()
    pair.world.run(4.0)
    got.take()
    assert got.missing(number) == {}
    calm(pair)
    assert violations(pair) == []


@pytest.mark.parametrize("seed", range(40))
def test_no_packet_is_lost_when_both_rekey_at_random_and_ike_messages_get_lost(seed: int) -> None:
    """Make before break: numbered packets each way, every 50 ms, while children and IKE SAs are replaced."""
    pair = two(seed)
    stand(pair)
    random = Random(seed)
    pair.world.intercept = lambda sent: () if is_ike(sent) and random.random() < 0.3 else (sent,)
    pair.world.link = Link(latency_s=0.05, jitter_s=0.1)
    number, got = 0, Tally(pair)
    for _ in range(400):
        if random.random() < 0.05:
            operation = random.choice((rekey_child, rekey_child, rekey_ike))
            node, peer = random.choice(((pair.alice, "bob"), (pair.bob, "alice")))
            operation(node, peer, "one")
        for node in (pair.alice, pair.bob):
            node.send_packet(newest(node, "one"), number.to_bytes(4, "big"))
        number += 1
        pair.world.run(0.05)
        got.take()
    pair.world.intercept = None
    pair.world.run(4.0)
    got.take()
    assert got.missing(number) == {}
    calm(pair)
    assert violations(pair) == []


class Tally:
    """Which numbers arrived at which end; children that go take their packets with them, so it looks often."""

    def __init__(self, pair: Pair) -> None:
        self.nodes = (pair.alice, pair.bob)
        self.seen: dict[str, set[int]] = {node.name: set() for node in self.nodes}

    def take(self) -> None:
        for node in self.nodes:
            for child in node.plane.children.values():
                self.seen[node.name].update(int.from_bytes(one, "big") for one in child.received)
                child.received.clear()

    def missing(self, count: int) -> dict[str, list[int]]:
        lost = {name: sorted(set(range(count)) - seen) for name, seen in self.seen.items()}
        return {name: numbers for name, numbers in lost.items() if numbers}


def is_ike(sent: Sent) -> bool:
    return sent.source[1] == 500

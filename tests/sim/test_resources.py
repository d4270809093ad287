"""A Child SA for each of two workers, on a network that loses, repeats and reorders, while operations of both ends
cross (RFC 9611 beside RFC 7296 section 2.8): both sides have the same ones, each of its own worker, nothing is left.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from random import Random

import pytest

from fynx.errors import StateError
from fynx.sim.node import Node
from tests.sim.crossings import CHILDREN, OPERATIONS, bad_link, calm, delete_child, rekey_child, rekey_ike, two
from tests.sim.invariants import keys_reused, violations
from tests.sim.rig import Pair

WORKERS = 2
GROUP = (replace(CHILDREN[0], resources=8),)
ROUNDS = 5


def begin(seed: int, workers: tuple[int, int] = (WORKERS, WORKERS)) -> Pair:
    pair = two(seed, children=GROUP)
    pair.alice.endpoint.workers, pair.bob.endpoint.workers = workers
    return pair


def bound(node: Node) -> list[int]:
    return sorted(one.spec.resource for one in node.plane.children.values())


def test_each_worker_gets_its_own_over_a_bad_link() -> None:
    for seed in range(30):
        pair = begin(seed)
        pair.world.link = replace(bad_link(Random(seed)), loss=0.3)
        for _ in range(5):  # what got lost as a whole is begun anew, as a host does
            pair.initiate()
            pair.world.run(60.0)
        pair.world.link = replace(pair.world.link, loss=0.0)
        for _ in range(2):
            calm(pair)
            pair.initiate()
        calm(pair)
        assert violations(pair) == [], seed
        assert bound(pair.alice) == bound(pair.bob) == [0, 1, 2], seed


@pytest.mark.parametrize("operation", [rekey_child, rekey_ike, delete_child])
def test_both_ends_do_the_same_at_once(operation: object) -> None:
    for seed in range(12):
        pair = begin(seed)
        pair.up()
        calm(pair)
        pair.world.link = bad_link(Random(seed))
        for node, peer in ((pair.alice, "bob"), (pair.bob, "alice")):
            operation(node, peer, "one")  # type: ignore[operator]
        pair.world.run(30.0)
        pair.world.link = replace(pair.world.link, loss=0.0)
        calm(pair)
        assert violations(pair) == [], seed
        assert bound(pair.alice) == bound(pair.bob) == ([] if operation is delete_child else [0, 1, 2]), seed


def test_whatever_crosses_leaves_each_worker_its_own() -> None:
    for seed in range(40):
        pair, random = begin(seed), Random(seed)
        for number in range(ROUNDS):
            pair.initiate()
            calm(pair)
            pair.world.link = bad_link(random)
            for node, peer in random.sample([(pair.alice, "bob"), (pair.bob, "alice")] * 2, 3):
                with suppress(StateError):
                    random.choice(OPERATIONS)(node, peer, "one")
                pair.world.run(random.choice((0.001, 0.3, 5.0)) * random.random())
            pair.world.run(30.0)
            pair.world.link = replace(pair.world.link, loss=0.0, duplicate=0.0, reorder=0.0)
            calm(pair)
            assert violations(pair) == [], (seed, number)
        assert [*keys_reused(pair.alice), *keys_reused(pair.bob)] == []
        assert all(max(bound(node), default=0) <= WORKERS for node in (pair.alice, pair.bob))


def test_ends_with_different_numbers_of_workers_have_as_many_as_the_one_who_asked() -> None:
    for workers in ((4, 2), (2, 4)):
        pair = begin(1, workers)
        pair.up()
        calm(pair)
        assert bound(pair.alice) == list(range(workers[0] + 1))
        assert len(bound(pair.bob)) == workers[0] + 1

"""Operations of both ends that cross each other, with lost, late and repeated messages, thousands of them from seeds
(RFC 7296 sections 2.8, 2.25; rows C11, C12 of the bad inputs).

After each round all that ``tests.sim.invariants`` names must hold: same IKE SAs, same children, same keys, every child
sends, one IKE SA and one child of a name, nothing in any table that belongs to nobody, no timer, no SPI with two keys.
"""

from __future__ import annotations

import pytest

from tests.sim.crossings import CROSSINGS, OPERATIONS, batch
from tests.unit.ike.algorithms import ALGORITHMS

ROUNDS = 20
"""In one world, one after the other: a handshake costs more than what it is made for."""
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
    assert ROUNDS * BLOCK > len(CROSSINGS)
    assert batch(7, 3) == batch(7, 3) == []

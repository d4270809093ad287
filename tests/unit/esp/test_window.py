"""The anti-replay window of the C plane against a slow model (RFC 4303 section 3.4.3 and appendix A2, RFC 6479)."""

from __future__ import annotations

import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fynx.esp._plane import ffi, lib
from fynx.esp.reference import Window
from fynx.plugin.dataplane import EspSuite
from tests.unit.esp.workshop import inbound, lane

QUICK = settings(max_examples=150, database=None)
SIZES = st.sampled_from([32, 33, 63, 64, 65, 127, 128, 1000, 1024, 4096, 16384])


def in_c(size: int, numbers: list[int], *, esn: bool = False, start: int = 0) -> tuple[list[bool], list[int]]:
    """Which numbers the C window accepts in order, and what it takes their low halves for."""
    given_numbers = array.array("Q", numbers)
    accepted, inferred = ffi.new("uint8_t[]", len(numbers) + 1), ffi.new("uint64_t[]", len(numbers) + 1)
    pointer = ffi.from_buffer("uint64_t[]", given_numbers)
    assert lib.fynx_window_run(size, int(esn), pointer, len(numbers), accepted, inferred, start) == 0
    return [bool(accepted[i]) for i in range(len(numbers))], [inferred[i] for i in range(len(numbers))]


def in_model(size: int, numbers: list[int]) -> list[bool]:
    window = Window(size)
    return [window.commit(number) for number in numbers]


@pytest.mark.parametrize("size", [32, 63, 64, 65, 1024, 4096, 16384])
def test_E14_the_edges_of_the_window_are_exact(size: int) -> None:
    top = 3 * size + 17
    numbers = [top, top - size, top - size + 1, top - size - 1, top - 1, top, top + size, top + 1, top, 0, 1]
    assert in_c(size, numbers)[0] == [True, False, True, False, True, False, True, True, False, False, False]
    assert in_model(size, numbers) == in_c(size, numbers)[0]


@QUICK
@given(SIZES, st.data())
def test_E14_random_orders_are_accepted_as_in_the_model(size: int, data: st.DataObject) -> None:
    near = st.integers(0, 3 * size)
    far = st.integers(0, 2**32 - 1)
    numbers = data.draw(st.lists(st.one_of(near, near, near, far), max_size=120))
    assert in_c(size, numbers)[0] == in_model(size, numbers)


@QUICK
@given(SIZES, st.integers(1, 2**40), st.permutations(range(70)))
def test_E14_a_permutation_within_the_window_passes_once(size: int, base: int, order: list[int]) -> None:
    numbers = [base + n for n in order]
    doubled = numbers + numbers
    accepted = in_c(size, doubled)[0]
    assert accepted == in_model(size, doubled)
    assert not any(accepted[70:])


@QUICK
@given(SIZES, st.lists(st.integers(1, 5000), min_size=1, max_size=60))
def test_E14_long_jumps_clear_what_they_leave_behind(size: int, steps: list[int]) -> None:
    numbers, at = [], 0
    for step in steps:
        at += step * size // 7 + 1
        numbers += [at, max(at - size + 1, 1), max(at - size, 1)]
    assert in_c(size, numbers)[0] == in_model(size, numbers)


@QUICK
@given(SIZES, st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
def test_E16_the_high_half_is_inferred_as_appendix_A2_says(size: int, top: int, low: int) -> None:
    model = Window(size, esn=True)
    model.top = top
    assert in_c(size, [low], esn=True, start=top)[1] == [model.infer(low)]


@QUICK
@given(SIZES, st.lists(st.integers(-40, 40), min_size=2, max_size=80))
def test_E16_reordered_packets_across_the_wrap_are_known_again(size: int, places: list[int]) -> None:
    numbers = [2**32 + place for place in places if abs(place) < size // 2]
    start = 2**32 - size // 2
    accepted, inferred = in_c(size, numbers, esn=True, start=start)
    assert inferred == numbers
    assert accepted == [n not in numbers[:i] and n != start for i, n in enumerate(numbers)]


@pytest.mark.parametrize("size", [0, 31, 16385, 2**31])
def test_window_sizes_outside_32_to_16384_are_refused(size: int) -> None:
    none = ffi.new("uint64_t[]", 1)
    assert lib.fynx_window_run(size, 0, none, 0, ffi.new("uint8_t[]", 1), none, 0) == lib.FYNX_E_ARGUMENT


def test_E13_a_forged_jump_leaves_the_window_where_it_was() -> None:
    made = lane()
    assert len(made.put(made.packet(1, inbound()))) == 1
    jump = made.packet(1 + 2**31, inbound())
    assert made.put(jump[:-1] + bytes([jump[-1] ^ 1])) == []
    assert len(made.put(made.packet(2, inbound()))) == 1
    assert made.drops() == {"integrity": 1}


def test_E17_numbers_far_ahead_cost_one_try_each_and_move_nothing() -> None:
    """No resynchronisation (RFC 4303 appendix A3): a flood of low halves is tried with one high half each, no more."""
    made = lane(suite=EspSuite(20, 128, esn=True), window=64)
    assert len(made.put(made.packet(1, inbound()))) == 1
    ahead = [made.packet(2**32 * lost + 5, inbound()) for lost in range(1, 60)]
    assert made.put(*ahead) == []
    assert made.drops() == {"integrity": len(ahead)}
    assert made.engine.usage(1).sequence_in == 1
    assert len(made.put(made.packet(2, inbound()))) == 1


@pytest.mark.parametrize("lost", [2**32 - 65, 2**32])
def test_E16_what_was_lost_may_be_almost_as_much_as_a_subspace(lost: int) -> None:
    """Fewer than 2^32 less the window are bridged; with more the high half cannot be known, and the ICV refuses."""
    made = lane(suite=EspSuite(20, 128, esn=True), window=64)
    made.put(made.packet(100, inbound()))
    assert len(made.put(made.packet(100 + lost, inbound()))) == int(lost < 2**32)

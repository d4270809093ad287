"""Every operation on a bad path: 30 % lost, 10 % twice, 20 % late, 200 ms there and back. All complete."""

from __future__ import annotations

import pytest

from benches.weather import OPERATIONS, once

TIMES = 12
ONCE_BOTH_WENT = (33, 49, 83, 97, 126)
"""In these both ends authenticated again at once, each took its own new IKE SA for the redundant one, and none was
left."""


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_operation_completes_on_a_bad_path(name: str) -> None:
    assert [number for number in range(TIMES) if once(name, number) is None] == []


@pytest.mark.parametrize("number", ONCE_BOTH_WENT)
def test_of_two_that_authenticate_again_at_once_one_stays(number: int) -> None:
    assert once("authenticate-again-both", number) is not None


@pytest.mark.long
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_operation_completes_on_a_bad_path_at_length(name: str) -> None:
    assert [number for number in range(TIMES, 1000) if once(name, number) is None] == []

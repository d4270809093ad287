"""Every operation on a bad path: 30 % lost, 10 % twice, 20 % late, 200 ms there and back. All complete."""

from __future__ import annotations

import pytest

from benches.loss import OPERATIONS, once

TIMES = 12


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_operation_completes_on_a_bad_path(name: str) -> None:
    assert [number for number in range(TIMES) if once(name, number) is None] == []


@pytest.mark.long
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_operation_completes_on_a_bad_path_at_length(name: str) -> None:
    assert [number for number in range(TIMES, 1000) if once(name, number) is None] == []

"""Waiting for something to become true, with a deadline and never blindly."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

STEP_S = 0.02


class TooLate(AssertionError):
    """The condition did not come true before its deadline."""


def until(condition: Callable[[], T], what: str, within_s: float = 100.0) -> T:
    """Poll ``condition`` until it gives something true, and return that."""
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TooLate(f"not within {within_s} s: {what}")
        time.sleep(STEP_S)

"""Runs what belongs to a plugin on a thread of its own, so that one that never returns cannot take the caller along."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

BOOT_S = 30.0
"""How long an import, a registration hook or a self-test may take."""


class Overtime(Exception):
    """The call did not return in time. Its thread is left alone: nothing can end it."""


class _Call(Generic[T]):
    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._done = threading.Event()
        self._result: T | None = None
        self._failure: BaseException | None = None

    def run(self) -> None:
        try:
            self._result = self._call()
        except BaseException as failure:
            self._failure = failure
        self._done.set()

    def outcome(self, timeout_s: float) -> T:
        if not self._done.wait(timeout_s):
            raise Overtime(f"it did not return within {timeout_s:g} s")
        if self._failure is not None:
            raise self._failure
        return self._result  # type: ignore[return-value]


def within(timeout_s: float, call: Callable[[], T], name: str = "plugin") -> T:
    """What ``call`` returns or raises; raises ``Overtime`` when it does neither in time."""
    one = _Call(call)
    threading.Thread(target=one.run, name=name, daemon=True).start()
    return one.outcome(timeout_s)


__all__ = ["BOOT_S", "Overtime", "within"]

"""One heap of deadlines for a whole endpoint; a key has at most one deadline. Times are the caller's monotonic
seconds."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from enum import IntEnum
from itertools import count


class Timer(IntEnum):
    RETRANSMIT = 1
    HALF_OPEN = 2
    LIVENESS = 3
    KEEPALIVE = 4
    HINTED = 5
    IKE_SOFT = 6
    IKE_HARD = 7
    REPLACED = 8
    FRAGMENTS = 9
    REAUTH = 10
    SUPERSEDED = 11
    PUT_OFF = 12
    CHILD_SOFT = 20
    CHILD_HARD = 21
    LINGER = 22
    IDLE = 23
    REDUNDANT = 24


IKE_TIMERS = tuple(timer for timer in Timer if timer < Timer.CHILD_SOFT)

SPARE = 64
"""Entries without a deadline that the heap may hold beyond as many as it has deadlines."""
Key = tuple[Timer, int]
"""Which timer, of which IKE SA (its serial number) or, from CHILD_SOFT on, of which Child SA (its handle)."""


class Timers:
    """Lazy deletion: a heap entry counts only while the table still names its deadline."""

    def __init__(self) -> None:
        self._deadlines: dict[Key, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._order = count()

    def set(self, key: Key, when: float) -> None:
        entry = (when, next(self._order))
        self._deadlines[key] = entry
        heapq.heappush(self._heap, (*entry, key))
        if len(self._heap) > 2 * len(self._deadlines) + SPARE:
            # A lifetime of hours would keep the entry of an SA that lived for a second.
            self._heap = [(*held, one) for one, held in self._deadlines.items()]
            heapq.heapify(self._heap)

    def deadline(self, key: Key) -> float | None:
        found = self._deadlines.get(key)
        return found[0] if found is not None else None

    def keys(self) -> tuple[Key, ...]:
        """All that are set."""
        return tuple(self._deadlines)

    def cancel(self, key: Key) -> None:
        self._deadlines.pop(key, None)

    def cancel_all(self, serial: int) -> None:
        for timer in IKE_TIMERS:
            self._deadlines.pop((timer, serial), None)

    def next(self) -> float | None:
        while self._heap and self._stale(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> Iterator[Key]:
        """Yields each key whose deadline has passed, in order; deadlines set meanwhile count too."""
        while (when := self.next()) is not None and when <= now:
            key = heapq.heappop(self._heap)[2]
            del self._deadlines[key]
            yield key

    def _stale(self, entry: tuple[float, int, Key]) -> bool:
        return self._deadlines.get(entry[2]) != entry[:2]

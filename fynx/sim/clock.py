"""Virtual time: a heap of (time, sequence). Nothing sleeps, and equal times run in the order in which they were set."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

Action = Callable[[], None]


class Clock:
    """``now`` in seconds. An action may set further ones; none runs before ``now``."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Action]] = []
        self._order = count()

    def at(self, when: float, action: Action) -> None:
        heapq.heappush(self._heap, (max(when, self.now), next(self._order), action))

    def after(self, delay_s: float, action: Action) -> None:
        self.at(self.now + delay_s, action)

    def next(self) -> float | None:
        """When the next action is due; None when there is none."""
        return self._heap[0][0] if self._heap else None

    def step(self) -> bool:
        """Runs the next action at its time; False when there is none."""
        if not self._heap:
            return False
        when, _, action = heapq.heappop(self._heap)
        self.now = max(self.now, when)
        action()
        return True

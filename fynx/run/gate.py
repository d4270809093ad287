"""How many log records of one kind may pass: a flood from outside must not become one of the log (bad-inputs D8).

What is held back is counted and told in one record when the next of its kind passes (RFC 4301 section 4.1: audit).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

BURST, PER_SECOND = 1000.0, 50.0
"""Records of one kind at once, and from then on; a thousand tunnels that come up together are all told."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float
    held: int = 0


class Gate:
    """One bucket for each kind; there are as many kinds as ``fynx.logs`` has."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def passes(self, kind: str) -> bool:
        now = self._clock()
        bucket = self._buckets.get(kind)
        if bucket is None:
            bucket = self._buckets[kind] = _Bucket(BURST, now)
        bucket.tokens = min(BURST, bucket.tokens + (now - bucket.at) * PER_SECOND)
        bucket.at = now
        if bucket.tokens < 1:
            bucket.held += 1
            return False
        bucket.tokens -= 1
        return True

    def held(self, kind: str) -> int:
        """How many were held back since the last call."""
        bucket = self._buckets[kind]
        count, bucket.held = bucket.held, 0
        return count

"""What a network does to a datagram on its way: delay, loss, duplication, reordering, a largest size."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Link:
    """Times in seconds, probabilities 0 to 1. ``reorder``: a datagram that waits several latencies, so that later ones
    pass it. ``mtu``: the largest UDP payload in octets; larger ones vanish, as where fragments are dropped."""

    latency_s: float = 0.01
    jitter_s: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    mtu: int = 65507

    def delays(self, random: Random, size: int) -> tuple[float, ...]:
        """One delay per copy that arrives. Draws the same numbers whatever comes out."""
        lost, twice, late = (random.random() for _ in range(3))
        jitters = [random.random() * self.jitter_s for _ in range(2)]
        if size > self.mtu or lost < self.loss:
            return ()
        extra = 3 * self.latency_s + 2 * self.jitter_s if late < self.reorder else 0.0
        copies = 2 if twice < self.duplicate else 1
        return tuple(self.latency_s + jitter + extra for jitter in jitters[:copies])


PERFECT = Link()
"""10 ms each way and nothing lost."""

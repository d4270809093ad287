"""How long a handshake takes when the network loses datagrams; same seed, same weather: … [HANDSHAKES per row]."""

import asyncio
import statistics
import sys
import time

from fynx.faults import NetworkTimeout
from fynx.testing import pair


async def measure(loss: float, count: int) -> list[float]:
    """Seconds of each handshake that came up; where half of everything is lost, one may not."""
    found = []
    for seed in range(count):
        began = time.perf_counter()
        try:
            async with pair(loss=loss, seed=seed):
                found.append(time.perf_counter() - began)
        except NetworkTimeout:
            pass
    return found


async def main(count: int) -> None:
    for loss in (0.0, 0.1, 0.3, 0.5):
        took = [seconds * 1000 for seconds in await measure(loss, count)] or [0.0]
        middle, longest = statistics.median(took), max(took)
        print(f"{loss:4.0%} lost: median {middle:6.1f} ms, longest {longest:6.1f} ms, {len(took)} of {count} came up")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10))

"""How long a handshake takes when the network loses datagrams; same seed, same weather: … [HANDSHAKES per row]."""

import asyncio
import statistics
import sys
import time

from fynx.testing import pair


async def measure(loss: float, count: int) -> list[float]:
    found = []
    for seed in range(count):
        began = time.perf_counter()
        async with pair(loss=loss, seed=seed):
            found.append(time.perf_counter() - began)
    return found


async def main(count: int) -> None:
    for loss in (0.0, 0.1, 0.3, 0.5):
        took = [seconds * 1000 for seconds in await measure(loss, count)]
        print(f"{loss:4.0%} lost: median {statistics.median(took):6.1f} ms, longest {max(took):6.1f} ms")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10))

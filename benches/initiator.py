"""The near end of ``benches.responders``: opens and closes tunnels as fast as they come up.

A line on standard input with a number of cycles asks for that many at each peer; the answer is a line of JSON: seconds,
processor seconds of ours, how long each tunnel took to come up, and how many did not.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress
from pathlib import Path

from fynx.config import load
from fynx.errors import FynxError
from fynx.run.host import Host


async def drive(file: str) -> None:
    config = load(Path(file))
    host = Host(config, config.registry)
    await host.start()
    try:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        print("{}", flush=True)
        while line := await reader.readline():
            began, spent = time.perf_counter(), time.process_time()
            found = await asyncio.gather(*(cycles(host, peer, int(line)) for peer in config.peers))
            told: dict[str, object] = {"seconds": time.perf_counter() - began, "cpu_s": time.process_time() - spent}
            told["up_s"] = [took for one in found for took in one if took is not None]
            told["failed"] = sum(one.count(None) for one in found)
            print(json.dumps(told), flush=True)
    finally:
        await host.stop()


async def cycles(host: Host, peer: str, count: int) -> list[float | None]:
    """Seconds until the tunnel stood, each time; None where it did not come up."""
    took = list[float | None]()
    for _ in range(count):
        began = time.perf_counter()
        try:
            await host.up(peer)
            took.append(time.perf_counter() - began)
        except FynxError:
            took.append(None)
        with suppress(FynxError):
            await host.down(peer)
    return took


if __name__ == "__main__":
    asyncio.run(drive(sys.argv[1]))

"""The near end of ``benches.responders``: opens and closes tunnels as fast as they come up.

A line on standard input with a number of cycles asks for that many at each peer; the answer is a line of JSON: seconds,
and processor seconds of ours.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from fynx.config import load
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
            await asyncio.gather(*(cycles(host, peer, int(line)) for peer in config.peers))
            told = {"seconds": time.perf_counter() - began, "cpu_s": time.process_time() - spent}
            print(json.dumps(told), flush=True)
    finally:
        await host.stop()


async def cycles(host: Host, peer: str, count: int) -> None:
    for _ in range(count):
        await host.up(peer)
        await host.down(peer)


if __name__ == "__main__":
    asyncio.run(drive(sys.argv[1]))

"""The far end of ``benches.crowd``: a host that holds tunnels; a line asks how many, and for its memory."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from pathlib import Path

from benches.crowd import responder
from fynx.run.host import Host


async def serve(port: int, tunnels: int) -> None:
    config = responder(port, tunnels)
    host = Host(config, config.registry)
    await host.start()
    try:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while await reader.readline():
            gc.collect()
            held = sum(len(sa.children) for sa in host.driver.endpoint.sas.values())
            print(json.dumps({"tunnels": held, "kb": resident_kb()}), flush=True)
    finally:
        await host.stop(graceful=False)


def resident_kb() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1])


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))

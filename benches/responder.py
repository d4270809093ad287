"""The far end of ``benches.handshake``: a host that answers; a line on standard input asks for its CPU seconds."""

from __future__ import annotations

import asyncio
import json
import sys
import time

from benches.handshake import configuration
from fynx.run.host import Host


async def serve(suite: str, own_port: str, other_port: str) -> None:
    config = configuration(initiator=False, suite=suite, own_port=int(own_port), other_port=int(other_port))
    host = Host(config, config.registry)
    await host.start()
    try:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while await reader.readline():
            print(json.dumps(time.process_time()), flush=True)
    finally:
        await host.stop()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:4]))

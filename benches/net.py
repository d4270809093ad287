"""TCP through a tunnel without root: Mbit/s between two processes on lwIP, beside asyncio over loopback without tunnel.

``upload`` and ``download`` are of one connection, ``upload8`` of eight at once. Both ends are Python programs with
streams of asyncio; the far end runs in a process of its own. Nothing here needs a privilege.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import fynx
from benches.lab import BenchError
from benches.result import RUNS, Result
from fynx.faults import Io

KEY = "a key for the benchmark of sockets"
HERE, THERE = "198.51.100.7", "203.0.113.1"
SINK, SOURCE = 7001, 7002
SIZE, MANY = 32 << 20, 8
BLOCK = bytes(1 << 18)
YAML = f"""
host: {{transport: {{udp: {{listen: ["127.0.0.1"], ports: [0]}}}}, plane: {{inproc: {{}}}}}}
peers:
  near:
    remote: {{address: any, id: near.test, auth: {{psk: {{secret: "{KEY}"}}}}}}
    local: {{id: far.test, auth: {{psk: {{secret: "{KEY}"}}}}}}
    children: {{net: {{local: {THERE}/32, remote: {HERE}/32}}}}
"""
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Open = Callable[[int], Awaitable[Streams]]


def run() -> Result:
    """Rows and ratios to ``asyncio`` (loopback without a tunnel), in turns."""
    command = [sys.executable, "-m", "benches.net"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as far:
        try:
            assert far.stdout is not None
            ports = [int(word) for word in far.stdout.readline().split()]
            return asyncio.run(_measured(*ports))
        except Io as error:
            raise BenchError(f"{error} ({error.remedy})") from None
        finally:
            far.kill()


async def _measured(udp: int, sink: int, source: int) -> Result:
    result = Result("net")
    plain = {SINK: sink, SOURCE: source}
    networks: dict[str, Any] = {"local_networks": (HERE,), "remote_networks": (THERE,), "remote_id": "far.test"}
    async with fynx.connect(("127.0.0.1", udp), auth=fynx.psk("near.test", KEY), **networks) as tunnel:
        ways: dict[str, Open] = {
            "fynx": lambda port: tunnel.open_connection(THERE, port),
            "asyncio": lambda port: asyncio.open_connection("127.0.0.1", plain[port]),
        }
        await _settled(ways["fynx"])
        for case, work in {"upload": _upload, "download": _download, "upload8": _upload8}.items():
            found: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(RUNS):
                for name, way in ways.items():
                    found[name].append(await _rate(work, way))
            for name, values in found.items():
                result.add(case, name, fynx.__version__ if name == "fynx" else sys.version.split()[0], values, "Mbit/s")
            result.ratio(f"{case}/fynx/asyncio-without-tunnel", found["fynx"], found["asyncio"])
    return result


async def _settled(way: Open) -> None:
    """Until the far end listens inside."""
    while True:
        try:
            _, writer = await way(SINK)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


async def _rate(work: Callable[[Open], Awaitable[int]], way: Open) -> float:
    began = time.perf_counter()
    size = await work(way)
    return size * 8 / (time.perf_counter() - began) / 1e6


async def _upload(way: Open, share: int = 1) -> int:
    reader, writer = await way(SINK)
    for _ in range(SIZE // share // len(BLOCK)):
        writer.write(BLOCK)
        await writer.drain()
    writer.write_eof()
    taken = int(await reader.readline())
    writer.close()
    return taken


async def _upload8(way: Open) -> int:
    return sum(await asyncio.gather(*(_upload(way, MANY) for _ in range(MANY))))


async def _download(way: Open) -> int:
    reader, writer = await way(SOURCE)
    taken = 0
    while data := await reader.read(1 << 18):
        taken += len(data)
    writer.close()
    return taken


async def _sink(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    taken = 0
    while data := await reader.read(1 << 18):
        taken += len(data)
    writer.write(f"{taken}\n".encode())
    writer.close()


async def _source(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for _block in range(SIZE // len(BLOCK)):
        writer.write(BLOCK)
        await writer.drain()
    writer.close()


async def _far() -> None:
    """The far end: its ports on the outside in a line, then the same servers inside the tunnel."""
    plain = [await asyncio.start_server(handler, "127.0.0.1", 0) for handler in (_sink, _source)]
    async with fynx.gateway(YAML) as gateway:
        outside = gateway.host.port.local[0].local_port if gateway.host.port is not None else 0
        print(outside, *(server.sockets[0].getsockname()[1] for server in plain), flush=True)
        async for event in gateway.events():
            if isinstance(event, fynx.events.ChildUp):
                break
        gateway.attach(THERE)
        for port, handler in ((SINK, _sink), (SOURCE, _source)):
            await gateway.start_server(handler, port)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_far())

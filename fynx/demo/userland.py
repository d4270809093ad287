"""One end of the demo without devices: Fynx as a library with the plane ``inproc``, told what to do by lines of JSON.

``{"do": "ping", "count": 5}`` and ``{"do": "send", "octets": n, "canary": text}`` come on standard input, answers go to
standard output. The far end answers pings and takes what is sent: a window of numbered datagrams with cumulative
acknowledgements, since a user-space program has no TCP.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fynx.config import load
from fynx.demo import inner
from fynx.plugin.planes import PacketPlane
from fynx.run.host import Host

CHUNK, WINDOW = 1200, 64
AGAIN_S, PATIENCE_S = 0.2, 80.0
DATA, ACKNOWLEDGE = b"D", b"A"


@dataclass(slots=True)
class Transfer:
    """What arrives: chunks in order, hashed as they come; chunk 0 tells how many there are."""

    digest: Any = field(default_factory=hashlib.sha256)
    next: int = 0
    octets: int = 0


@dataclass(slots=True)
class End:
    """The program behind the tunnel: answers echoes and datagrams, and sends its own."""

    plane: PacketPlane
    own: bytes
    other: bytes
    taking: Transfer = field(default_factory=Transfer)
    acknowledged: int = 0
    opened: int = 0
    echoes: dict[int, float] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def arrived(self) -> None:
        replies: list[bytes] = []
        while packets := self.plane.recv_inner():
            self.opened += len(packets)
            for packet in packets:
                protocol, _, body = inner.parse(packet)
                replies += self.icmp(body) if protocol == inner.ICMP else self.udp(body)
        if replies:
            self.plane.send_inner([inner.ipv4(self.own, self.other, *reply) for reply in compact(replies)])
        self.news.set()

    def icmp(self, body: bytes) -> list[bytes]:
        if body[0] == inner.ECHO_REQUEST:
            return [bytes([inner.ICMP]) + inner.echo(inner.ECHO_REPLY, body[4:])]
        self.echoes[struct.unpack_from("!H", body, 6)[0]] = time.perf_counter()
        return []

    def udp(self, body: bytes) -> list[bytes]:
        number = struct.unpack_from("!I", body, 1)[0]
        if body[:1] == ACKNOWLEDGE:
            self.acknowledged = max(self.acknowledged, number)
            return []
        if number == self.taking.next:
            self.taking.next += 1
            self.taking.octets += len(body) - 5
            self.taking.digest.update(body[5:])
        return [bytes([inner.UDP]) + inner.datagram(ACKNOWLEDGE + struct.pack("!I", self.taking.next))]

    async def ping(self, count: int) -> dict[str, Any]:
        times = []
        for sequence in range(count):
            began = time.perf_counter()
            request = inner.echo(inner.ECHO_REQUEST, struct.pack("!HH", 1, sequence) + b"fynx demo")
            self.plane.send_inner([inner.ipv4(self.own, self.other, inner.ICMP, request)])
            if await self.until(lambda number=sequence: number in self.echoes, 10.0):
                times.append(self.echoes[sequence] - began)
        average = sum(times) / len(times) * 1000 if times else None
        return {"sent": count, "received": len(times), "average_ms": average}

    async def send(self, octets: int, canary: str) -> dict[str, Any]:
        content = os.urandom(octets - 4096) + (canary.encode() * 128)[:4096]
        chunks = [content[at : at + CHUNK] for at in range(0, len(content), CHUNK)]
        first = self.acknowledged
        began = time.perf_counter()
        while (base := self.acknowledged - first) < len(chunks):
            window = enumerate(chunks[base : base + WINDOW], base + first)
            self.plane.send_inner([self.chunk(number, chunk) for number, chunk in window])
            target = min(base + WINDOW, len(chunks)) + first
            await self.until(lambda wanted=target: self.acknowledged >= wanted, AGAIN_S)
            if time.perf_counter() - began > PATIENCE_S:
                break
        seconds = time.perf_counter() - began
        return {"octets": octets, "sha256": hashlib.sha256(content).hexdigest(), "seconds": seconds}

    def chunk(self, number: int, data: bytes) -> bytes:
        return inner.ipv4(self.own, self.other, inner.UDP, inner.datagram(DATA + struct.pack("!I", number) + data))

    def taken(self) -> dict[str, Any]:
        """What arrived since the last time."""
        answer = {"octets": self.taking.octets, "sha256": self.taking.digest.hexdigest(), "opened": self.opened}
        self.taking = Transfer(next=self.taking.next)
        return answer

    async def until(self, condition: Any, timeout_s: float) -> bool:
        end = time.perf_counter() + timeout_s
        while not condition():
            left = end - time.perf_counter()
            if left <= 0:
                return False
            self.news.clear()
            try:
                await asyncio.wait_for(self.news.wait(), left)
            except TimeoutError:
                continue
        return True


def compact(replies: list[bytes]) -> list[tuple[int, bytes]]:
    """Protocol and payload of each reply; of the cumulative acknowledgements only the last."""
    last = max((at for at, reply in enumerate(replies) if reply[0] == inner.UDP), default=-1)
    kept = [reply for at, reply in enumerate(replies) if reply[0] != inner.UDP or at == last]
    return [(reply[0], reply[1:]) for reply in kept]


async def serve(path: str, own: str, other: str) -> None:
    config = load(Path(path))
    host = Host(config, config.registry)
    await host.start()
    try:
        if not isinstance(host.plane, PacketPlane):
            raise TypeError("the demo without devices needs the plane inproc")
        end = End(host.plane, socket.inet_aton(own), socket.inet_aton(other))
        host.plane.on_inner(end.arrived)
        print(json.dumps({"ready": True}), flush=True)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            print(json.dumps(await do(host, end, json.loads(line))), flush=True)
    finally:
        await host.stop()


async def do(host: Host, end: End, order: dict[str, Any]) -> dict[str, Any]:
    match order.pop("do"):
        case "status":
            return host.status()
        case "ping":
            return await end.ping(**order)
        case "send":
            return await end.send(**order)
        case _:
            return end.taken()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:4]))

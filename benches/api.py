"""Packets per second through the library: batches beside one packet per call, over loopback with real sockets.

``send`` is the client's side alone: packets handed to the tunnel, sealed and given to the system. ``carry`` is the
whole way: client to session, counted where the session's program takes them; the receiver limits how many are under
way, so that none is lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import fynx
from benches.result import RUNS, Result
from fynx.api.addresses import SERVER
from fynx.api.datagram import Datagram

KEY = "a key for the benchmark of the library"
SIZES = (64, 1400)
ROUND_S = 0.4
BATCH = 64
OVERHEAD = 48
"""IPv6 and UDP headers."""


def run() -> Result:
    """Rows ``send-SIZE-KIND`` and ``carry-SIZE-KIND``; both kinds take turns, so that their ratios hold."""
    return asyncio.run(_measured())


async def _measured() -> Result:
    result = Result("api")
    async with fynx.serve("127.0.0.1:0", auth=fynx.psk("server.test", KEY)) as server:
        opening = fynx.connect(server.local_addr(), auth=fynx.psk("client.test", KEY), remote_id="server.test")
        async with opening as client:
            _, session = await server.accept()
            for size in SIZES:
                packet = Datagram(client.address, str(SERVER), bytes(max(0, size - OVERHEAD))).packet()
                await _size(result, client, session, packet, size)
    return result


async def _size(result: Result, client: fynx.IpsecClient, session: fynx.IpsecSession, packet: bytes, size: int) -> None:
    batch = [packet] * BATCH

    async def send_one() -> None:
        for _ in range(BATCH):
            await client.send_packet(packet)

    async def carry_batch() -> None:
        await client.send_batch(batch)
        left = BATCH
        while left:
            left -= len(await session.recv_batch(left))

    async def carry_one() -> None:
        for _ in range(BATCH):
            await client.send_packet(packet)
        for _ in range(BATCH):
            await session.recv_packet()

    async def send_batch() -> None:
        await client.send_batch(batch)

    carry = await _turns(result, f"carry-{size}", session, {"batch": carry_batch, "one": carry_one})
    send = await _turns(result, f"send-{size}", session, {"batch": send_batch, "one": send_one})
    for case, found in ((f"carry-{size}", carry), (f"send-{size}", send)):
        result.ratio(f"{case}/fynx/one-per-call", found["batch"], found["one"])


async def _turns(
    result: Result, case: str, session: fynx.IpsecSession, kinds: dict[str, Callable[[], Awaitable[None]]]
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(RUNS):
        for kind, work in kinds.items():
            found[kind].append(await _rate(work))
            await _drain(session)
    for kind, values in found.items():
        result.add(f"{case}-{kind}", "fynx", fynx.__version__, values, "packets/s")
    return found


async def _rate(work: Callable[[], Awaitable[None]]) -> float:
    began = time.perf_counter()
    end, rounds = began + ROUND_S, 0
    while (now := time.perf_counter()) < end:
        await work()
        rounds += 1
    return rounds * BATCH / (now - began)


async def _drain(session: fynx.IpsecSession) -> None:
    """Takes what ``send`` left behind."""
    while True:
        try:
            async with asyncio.timeout(0.05):
                await session.recv_batch(10000)
        except TimeoutError:
            return

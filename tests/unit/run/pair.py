"""Two hosts in one process, for tests: over a switchboard or over loopback, with the in-process plane on both sides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from fynx.config import Child, Choice, Config, Local, Peer, Remote, Retransmission
from fynx.config import Host as HostSection
from fynx.kernel.loader import boot
from fynx.kernel.registry import Registry
from fynx.plugin import Secret
from fynx.run.host import Host
from fynx_plugins.inproc.plane import InprocConfig, InprocPlane
from fynx_plugins.memory import MemoryConfig, Switchboard
from fynx_plugins.psk import PskConfig

SECRET = b"a secret of the unit tests, forty octets"
ADDRESS = {"left": "192.0.2.1", "right": "192.0.2.2"}
NETWORK = {"left": "10.1.0.0/16", "right": "10.2.0.0/16"}
OTHER = {"left": "right", "right": "left"}
QUICK = Retransmission(base_s=0.05, factor=1.0, tries=10, jitter=0.0)
PATIENT = Retransmission(base_s=20.0, factor=1.0, tries=3, jitter=0.0)


@cache
def registry() -> Registry:
    return boot(["default"])


def psk(secret: bytes = SECRET) -> Choice:
    return Choice("psk", PskConfig(Secret(secret)))


def config(side: str, transport: Choice, **peer: Any) -> Config:
    """A site of one peer and one child ``net``; ``peer`` replaces fields of the peer."""
    other = OTHER[side]
    made = Peer(
        remote=Remote(address=(ADDRESS[other],), id=f"{other}.test", auth=psk()),
        local=Local(id=f"{side}.test", auth=psk()),
        children={"net": Child(local=(NETWORK[side],), remote=(NETWORK[other],))},
        start="none",
        retransmission=QUICK,
    )
    section = HostSection(transport=transport, plane=Choice("inproc", InprocConfig()))
    return Config(name=side, host=section, peers={other: replace(made, **peer)}, registry=registry())


def on_switchboard(side: str, network: Switchboard, **peer: Any) -> Config:
    return config(side, Choice("memory", MemoryConfig(address=ADDRESS[side], network=network)), **peer)


def plane(host: Host) -> InprocPlane:
    assert isinstance(host.plane, InprocPlane)
    return host.plane


def packet(side: str = "left", identifier: int = 1) -> bytes:
    """An IPv4 packet from one protected network to the other."""
    near, far = (1, 2) if side == "left" else (2, 1)
    head = bytes([0x45, 0, 0, 28]) + identifier.to_bytes(2, "big") + bytes([0, 0, 64, 17, 0, 0])
    return head + bytes([10, near, 0, 1, 10, far, 0, 1]) + bytes(8)


@dataclass
class Pair:
    left: Host
    right: Host
    network: Switchboard


@asynccontextmanager
async def pair(
    left: dict[str, Any] | None = None, right: dict[str, Any] | None = None, directory: Path | None = None
) -> AsyncIterator[Pair]:
    """Both hosts started; stopped without farewell at the end. ``directory``: run-time files of the left one."""
    network = Switchboard()
    made = Pair(
        Host(on_switchboard("left", network, **(left or {})), registry(), directory=directory),
        Host(on_switchboard("right", network, **(right or {})), registry()),
        network,
    )
    await made.right.start()
    await made.left.start()
    try:
        yield made
    finally:
        await made.left.stop(graceful=False)
        await made.right.stop(graceful=False)


async def soon(true: Callable[[], object], within_s: float = 40.0) -> None:
    """Lets the loop run until something is true."""
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.005)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await test()

    asyncio.run(main())

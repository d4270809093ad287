"""An open data plane and its peer: the kit, with ESP that it seals and opens itself (RFC 4303)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import ip_network
from typing import Literal

from fynx.api.datagram import Datagram as Inner
from fynx.esp.engine import make_engine
from fynx.esp.key import EspKey
from fynx.esp.reference import seal_inner
from fynx.plugin.auth import Secret
from fynx.plugin.dataplane import ChildKeys, ChildSpec, EspSuite, Plane, PlaneContext, Selector, Upcall, Usage
from fynx.plugin.planes import OuterPlane, PacketPlane
from fynx.plugin.selftest import stream
from fynx.plugin.transport import Datagram, Path, PortSocket
from fynx.testing.kit.subject import Refused, Subject

SUITE = EspSuite(20, 128, keyword="aes128gcm16")
HERE, THERE = "198.18.0.7", "198.18.1.9"
PATH = Path("192.0.2.1", 4500, "192.0.2.2", 4500)
SPI_OUT, HANDLE, WINDOW, WAIT_S = 0xC0FFEE01, 7, 64, 5.0


class _Port:
    """A transport that is no socket: keeps what the plane sends."""

    framing: Literal["message"] = "message"
    local = (Path(PATH.local, PATH.local_port, "", 0),)

    def __init__(self) -> None:
        self.sent: list[Datagram] = []

    def sockets(self) -> Sequence[PortSocket]:
        return ()

    def attach(self) -> None: ...

    def send(self, batch: Sequence[Datagram]) -> None:
        self.sent += batch

    def close(self) -> None: ...


@dataclass(slots=True)
class Rig:
    """An open plane and its peer. ``seal`` is what the peer sends, ``read`` what it takes."""

    plane: Plane
    port: _Port
    upcalls: list[Upcall]
    key: Callable[[bytes], EspKey]
    spi: int = 0
    number: int = 0
    open_: list[ChildSpec] = field(default_factory=list)

    def child(self, handle: int = HANDLE, **changed: object) -> ChildSpec:
        self.spi = self.plane.reserve_spi()
        made = ChildSpec(
            handle=handle, peer="kit", child="net", spi_in=self.spi, spi_out=SPI_OUT, suite=SUITE,
            keys_in=_keys(b"in"), keys_out=_keys(b"out"), path=PATH, encap=True, mode="tunnel",
            local_ts=(selector("198.18.0.0/24"),), remote_ts=(selector("198.18.1.0/24"),), window=WINDOW,
        )  # fmt: skip
        return replace(made, **changed)  # type: ignore[arg-type]

    def install(self, child: ChildSpec) -> None:
        self.plane.install(child)
        self.open_.append(child)

    def seal(self, packet: bytes, number: int = 0) -> bytes:
        self.number = number or self.number + 1
        iv = self.number.to_bytes(8, "big")
        return seal_inner(self.key(b"in"), self.spi, self.number, iv, packet)

    async def take(self, *batches: Sequence[bytes]) -> None:
        if not isinstance(self.plane, OuterPlane):
            raise Refused("it has no receive_outer: ESP from a transport that is no socket finds no way in")
        for batch in batches:
            self.plane.receive_outer(PATH, batch)
            await asyncio.sleep(0)

    async def usage(self, until: Callable[[Usage], bool]) -> Usage:
        """The counters, once they are as they should be or do not change any more."""
        found = self.plane.usage(HANDLE)
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_S):
                while not until(found):
                    await asyncio.sleep(0.01)
                    found = self.plane.usage(HANDLE)
        return found

    async def inner(self, count: int) -> list[bytes]:
        """What came out of the tunnel, where a program may ask for it."""
        assert isinstance(self.plane, PacketPlane)
        found: list[bytes] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_S):
                while len(found) < count:
                    found += self.plane.recv_inner()
                    await asyncio.sleep(0.005)
        return found

    async def sealed(self, count: int) -> list[bytes]:
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_S):
                while len(self.port.sent) < count:
                    await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        taken = [one.data for one in self.port.sent]
        self.port.sent.clear()
        return taken


def _keys(label: bytes) -> ChildKeys:
    return ChildKeys(Secret(stream(16, label)), Secret(stream(4, label + b" salt")))


def selector(network: str) -> Selector:
    whole = ip_network(network)
    return Selector(whole.network_address.packed, whole.broadcast_address.packed)


@asynccontextmanager
async def opened(subject: Subject, name: str) -> AsyncIterator[Rig]:
    registry, port, upcalls = subject.registry, _Port(), list[Upcall]()
    cipher = registry.algorithms.ciphers[SUITE.encr_id, SUITE.key_bits]
    context = PlaneContext(
        host="kit",
        section=_section(subject, name),
        port=port,
        providers=registry.providers,
        upcalls=upcalls.extend,
        engine=partial(make_engine, algorithms=registry.algorithms),
    )
    try:
        plane = await registry.dataplanes[name].open(context)
    except PermissionError as error:
        raise Refused(
            f"this user may not open it: {error}; as root: unshare --net sh -c 'ip link set lo up; fynx plugins test …'"
        ) from None
    key = lambda label: EspKey(cipher, None, stream(16, label), stream(4, label + b" salt"))  # noqa: E731
    try:
        yield Rig(plane, port, upcalls, key)
    finally:
        plane.close()
        await asyncio.sleep(0)


def _section(subject: Subject, name: str) -> object:
    path = f"host.plane.{name}"
    settings, model = subject.examples.get(path, {}), subject.registry.sections.get(path)
    return model(**settings) if model is not None and isinstance(settings, Mapping) else None


def packet(index: int = 0, size: int = 100, source: str = THERE, target: str = HERE) -> bytes:
    return Inner(source, target, bytes([index & 255]) * size).packet()


__all__ = ["HANDLE", "HERE", "SPI_OUT", "SUITE", "THERE", "WAIT_S", "WINDOW", "Rig", "opened", "packet", "selector"]

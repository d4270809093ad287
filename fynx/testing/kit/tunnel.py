"""An echo tunnel through the plugin: two whole hosts on loopback, configured as in YAML, packets there and back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from fynx.api.datagram import Datagram
from fynx.config import load
from fynx.events import Event, PluginFailed
from fynx.kernel.registry import Registry
from fynx.plugin.planes import PacketPlane
from fynx.run.host import Host
from fynx.testing.kit.subject import Refused

SECRET = "a pre-shared key that only the conformance kit uses"  # noqa: S105
LIMIT_S = 40.0
INNER = {"left": "198.18.0.1", "right": "198.18.1.1"}
NETWORK = {"left": "198.18.0.0/24", "right": "198.18.1.0/24"}
AT = {"left": "127.0.0.1", "right": "127.0.0.2"}
SIZES = (0, 1, 100, 576, 1200)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What differs from the usual tunnel. ``transports`` are the section's settings for left and right."""

    ike: str = "aes128gcm16-prfsha256-x25519"
    esp: str = "aes128gcm16"
    providers: tuple[str, ...] = ("libcrypto",)
    transport: str = "udp"
    transports: tuple[Mapping[str, object], Mapping[str, object]] = (
        {"listen": [AT["left"]], "ports": [0]},
        {"listen": [AT["right"]], "ports": [0]},
    )
    auth: str = "psk"
    settings: Mapping[str, object] = field(default_factory=lambda: {"secret": SECRET})


@dataclass(slots=True)
class Both:
    """Two hosts with a tunnel, and all events."""

    left: Host
    right: Host
    events: list[Event]

    async def echo(self) -> None:
        await pass_on(self.left, self.right, "left")
        await pass_on(self.right, self.left, "right")

    def nobody_failed(self) -> None:
        for event in self.events:
            if isinstance(event, PluginFailed):
                raise Refused(f"failed inside a tunnel: {event.hook}: {event.error}")


def echo(wanted: Wanted, registry: Registry, other: Registry | None = None) -> None:
    """Raises ``Refused``. ``other`` is the registry of the right side, the same by default."""

    async def story() -> None:
        async with tunnel(wanted, registry, other) as both:
            await both.echo()
            both.nobody_failed()

    asyncio.run(story())


@asynccontextmanager
async def tunnel(wanted: Wanted, registry: Registry, other: Registry | None = None) -> AsyncIterator[Both]:
    right = _host("right", wanted, other or registry, None)
    events: list[Event] = []
    left: Host | None = None
    try:
        async with asyncio.timeout(LIMIT_S):
            await right.start()
            assert right.port is not None
            left = _host("left", wanted, registry, right.port.local[0].local_port)
            for host in (left, right):
                host.subscribe(events.append)
            await left.start()
            await left.up("right", timeout_s=LIMIT_S)
            yield Both(left, right, events)
    except TimeoutError:
        raise Refused(f"no tunnel with packets within {LIMIT_S:g} s") from None
    finally:
        for each in (left, right):
            if each is not None:
                await each.stop()


def _host(side: str, wanted: Wanted, registry: Registry, port: int | None) -> Host:
    loaded = load(json.dumps(_site(side, wanted, port), indent=1), registry=registry)
    return Host(replace(loaded, name=side), registry)


def _site(side: str, wanted: Wanted, port: int | None) -> dict[str, Any]:
    other = "right" if side == "left" else "left"
    auth = {wanted.auth: dict(wanted.settings)}
    remote: dict[str, object] = {"address": AT[other] if port else "any", "id": f"{other}.test", "auth": auth}
    if port:
        remote["port"] = port
    child = {"local": [NETWORK[side]], "remote": [NETWORK[other]], "esp": [wanted.esp]}
    peer = {
        "remote": remote,
        "local": {"id": f"{side}.test", "auth": auth},
        "ike": [wanted.ike],
        "start": "none",
        "children": {"net": child},
    }
    transport = {wanted.transport: dict(wanted.transports[0 if side == "left" else 1])}
    host = {"transport": transport, "plane": {"inproc": {}}}
    return {"name": side, "providers": list(dict.fromkeys(wanted.providers)), "host": host, "peers": {other: peer}}


async def pass_on(here: Host, there: Host, side: str) -> None:
    """A batch of packets of several sizes arrives, unchanged."""
    source, target = here.plane, there.plane
    assert isinstance(source, PacketPlane)
    assert isinstance(target, PacketPlane)
    other = "right" if side == "left" else "left"
    payloads = [bytes([size & 255]) * size for size in SIZES for _ in range(8)]
    sent = [Datagram(INNER[side], INNER[other], payload).packet() for payload in payloads]
    got: list[bytes] = []
    source.send_inner(sent)
    async with asyncio.timeout(LIMIT_S / 4):
        while len(got) < len(sent):
            got += _taken(target)
            await asyncio.sleep(0.002)
    if sorted(got) != sorted(sent):
        raise Refused("packets arrive changed")


def _taken(plane: PacketPlane) -> Sequence[bytes]:
    return plane.recv_inner()


__all__ = ["SECRET", "Both", "Wanted", "echo", "tunnel"]

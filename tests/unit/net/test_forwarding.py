"""Local ports into a tunnel: a place each, SOCKS5 (RFC 1928), the front without async; every refusal by its number."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any

import pytest
from click.testing import CliRunner

from fynx.api import blocking
from fynx.cli.forward import Lead, Listen, forward
from fynx.faults import Io
from fynx.net.forward import Forwarder
from fynx.net.splice import Streams, hang_up
from tests.unit.api.loops import KEY, looped, soon
from tests.unit.net.conftest import NEAR, Far
from tests.unit.net.far import ECHO, GATEWAY, HASH, RUDE


@asynccontextmanager
async def outside(forwarder: Forwarder) -> AsyncIterator[Streams]:
    """A connection to the local port, closed at the end."""
    streams = await asyncio.open_connection(*forwarder.address)
    try:
        yield streams
    finally:
        await hang_up(streams[1])


GREETING = b"\x05\x01\x00"
LOCAL = ("127.0.0.1", 0)


def asked(host: bytes, port: int, *, command: int = 1, kind: int = 1) -> bytes:
    return bytes((5, command, 0, kind)) + host + port.to_bytes(2, "big")


INNER = ip_address(GATEWAY).packed


@looped
async def test_a_forwarded_port_carries_both_ways_and_half_closes(far: Far) -> None:
    data = os.urandom(500_000)
    async with (
        far.tunnel() as tunnel,
        await tunnel.forward(LOCAL, (GATEWAY, HASH)) as forwarder,
        outside(forwarder) as (reader, writer),
    ):
        writer.write(data)
        writer.write_eof()
        assert await reader.read() == hashlib.sha256(data).digest()
        await soon(lambda: forwarder.counted["served"] == 1)


@looped
async def test_a_reset_inside_is_a_reset_outside(far: Far) -> None:
    async with (
        far.tunnel() as tunnel,
        await tunnel.forward(LOCAL, (GATEWAY, RUDE)) as forwarder,
        outside(forwarder) as (reader, writer),
    ):
        writer.write(b"x")
        with pytest.raises(ConnectionResetError):
            await reader.read()


@looped
async def test_what_is_not_reached_is_counted(far: Far) -> None:
    async with (
        far.tunnel() as tunnel,
        await tunnel.forward(LOCAL, (GATEWAY, 999)) as forwarder,
        outside(forwarder) as (reader, _writer),
    ):
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await soon(lambda: forwarder.counted["unreached"] == 1)


@looped
async def test_a_port_in_use_is_io(far: Far) -> None:
    async with far.tunnel() as tunnel, await tunnel.socks(LOCAL) as proxy:
        with pytest.raises(Io, match="cannot listen"):
            await tunnel.socks(proxy.address)


@pytest.mark.parametrize(
    "request_",
    [asked(INNER, ECHO), asked(bytes([len(GATEWAY)]) + GATEWAY.encode(), ECHO, kind=3)],
    ids=["ipv4", "name"],
)
@looped
async def test_a_socks_client_reaches_what_it_names(far: Far, request_: bytes) -> None:
    async with (
        far.tunnel() as tunnel,
        await tunnel.socks(LOCAL) as proxy,
        outside(proxy) as (reader, writer),
    ):
        writer.write(GREETING + request_ + b"hello")
        assert await reader.readexactly(2) == b"\x05\x00"
        assert (await reader.readexactly(10))[:2] == b"\x05\x00"
        assert await reader.readexactly(5) == b"hello"


REFUSED = {
    "another version": (b"\x04\x01\x00\x50", b"", "refused"),
    "authentication": (b"\x05\x01\x02", b"\x05\xff", "refused"),
    "bind": (GREETING + asked(INNER, ECHO, command=2), b"\x05\x00\x05\x07", "refused"),
    "udp": (GREETING + asked(INNER, ECHO, command=3), b"\x05\x00\x05\x07", "refused"),
    "kind of address": (GREETING + asked(INNER, ECHO, kind=9), b"\x05\x00\x05\x08", "refused"),
    "version inside": (GREETING + b"\x04\x01\x00\x01", b"\x05\x00\x05\x01", "refused"),
    "refused inside": (GREETING + asked(INNER, 999), b"\x05\x00\x05\x05", "unreached"),
    "other family": (GREETING + asked(ip_address("2001:db8::1").packed, 80, kind=4), b"\x05\x00\x05\x03", "unreached"),
    "our own end": (GREETING + asked(ip_address(NEAR).packed, 80), b"\x05\x00\x05\x01", "unreached"),
    "half a word": (b"\x05", b"", "garbled"),
}


@pytest.mark.parametrize("name", REFUSED)
@looped
async def test_socks_refuses_by_number_and_counts(far: Far, name: str) -> None:
    words, answer, counted = REFUSED[name]
    async with (
        far.tunnel() as tunnel,
        await tunnel.socks(LOCAL) as proxy,
        outside(proxy) as (reader, writer),
    ):
        writer.write(words)
        writer.write_eof()
        heard = await reader.read()
        assert heard[: len(answer)] == answer
        assert len(heard) in (len(answer), 12)
        await soon(lambda: proxy.counted[counted] == 1)


@looped
async def test_closing_a_forwarder_ends_its_connections(far: Far) -> None:
    async with far.tunnel() as tunnel:
        forwarder = await tunnel.forward(LOCAL, (GATEWAY, ECHO))
        async with outside(forwarder) as (reader, writer):
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            await forwarder.close()
            with pytest.raises(ConnectionResetError):
                await reader.readexactly(1)
            await soon(lambda: not tunnel._net._owners)


def test_plain_sockets_reach_inside_through_the_front_without_async(far: Far) -> None:
    given: Any = {"local_networks": (NEAR,), "remote_networks": ("203.0.113.0/24",), "remote_id": "gw.test"}
    asyncio.run(_serving(far))
    auth = blocking.connect(("127.0.0.1", far.port), config=_config(given))
    with auth as client:
        place = client.forward(LOCAL, (GATEWAY, ECHO))
        with socket.create_connection(place, timeout=60) as plain:
            plain.sendall(b"hello")
            assert plain.recv(5, socket.MSG_WAITALL) == b"hello"
        assert client.socks(LOCAL)[1] != place[1]


async def _serving(far: Far) -> None:
    async with far.tunnel():
        pass


def _config(given: dict[str, Any]) -> Any:
    import fynx

    return fynx.ClientConfig(local_id="c.test", psk=fynx.psk("", KEY).secret, **given)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("1080", ("127.0.0.1", 1080)),
        ("0.0.0.0:1080", ("0.0.0.0", 1080)),
        ("[::1]:1080", ("::1", 1080)),
    ],
)
def test_places_to_listen_on(text: str, place: tuple[str, int]) -> None:
    assert Listen().convert(text, None, None) == place


@pytest.mark.parametrize(
    ("text", "lead"),
    [
        ("8080:10.2.0.1:80", (("127.0.0.1", 8080), ("10.2.0.1", 80))),
        ("[::1]:8080:[fd00::1]:80", (("::1", 8080), ("fd00::1", 80))),
    ],
)
def test_forwardings_on_the_command_line(text: str, lead: object) -> None:
    assert Lead().convert(text, None, None) == lead


@pytest.mark.parametrize(
    "line", [[], ["-L", "80"], ["-L", "a:b:c"], ["-L", "1:h:70000"], ["--socks", "x"], ["--socks", "70000"]]
)
def test_a_wrong_command_line_is_exit_code_2(line: list[str]) -> None:
    assert CliRunner().invoke(forward, line).exit_code == 2

"""TCP and UDP inside a tunnel as asyncio has them outside; the far end is a gateway in another process."""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
from typing import Any

import pytest

from fynx.faults import InvalidParameter, InvalidState
from tests.unit.api.loops import looped, soon
from tests.unit.net.conftest import NEAR, Far
from tests.unit.net.far import BACK, DATAGRAMS, DEAF, ECHO, GATEWAY, HASH, RUDE, TALK, TLS, WATCH


def owners(tunnel: Any) -> dict[int, object]:
    found: dict[int, object] = tunnel._net._owners
    return found


@looped
async def test_streams_carry_octets_unchanged_and_half_close_both_ways(far: Far) -> None:
    data = os.urandom(3_000_000)
    async with far.tunnel() as tunnel:
        reader, writer = await tunnel.open_connection(GATEWAY, HASH)
        writer.write(data)
        await writer.drain()
        writer.write_eof()
        assert await reader.read() == hashlib.sha256(data).digest()
        writer.close()
        await writer.wait_closed()
        assert not owners(tunnel)


@looped
async def test_what_was_written_before_close_still_arrives(far: Far) -> None:
    async with far.tunnel() as tunnel:
        reader, writer = await tunnel.open_connection(GATEWAY, TALK)
        assert await reader.read() == bytes(range(256)) * 4096
        writer.close()


@looped
async def test_many_connections_at_once(far: Far) -> None:
    async def one(number: int) -> bool:
        reader, writer = await tunnel.open_connection(GATEWAY, ECHO)
        said = f"{number} ".encode() * 5000
        writer.write(said)
        writer.write_eof()
        heard = await reader.read()
        writer.close()
        return heard == said

    async with far.tunnel() as tunnel:
        assert all(await asyncio.gather(*(one(number) for number in range(50))))


@looped
async def test_a_port_that_nobody_serves_refuses(far: Far) -> None:
    async with far.tunnel() as tunnel:
        with pytest.raises(ConnectionRefusedError):
            await tunnel.open_connection(GATEWAY, 999)
        assert not owners(tunnel)


@looped
async def test_a_reset_is_a_connection_reset_error(far: Far) -> None:
    async with far.tunnel() as tunnel:
        reader, writer = await tunnel.open_connection(GATEWAY, RUDE)
        writer.write(b"x")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        with pytest.raises(ConnectionResetError):
            await writer.drain()


@looped
async def test_abort_is_a_reset_at_the_other_end_and_close_is_none(far: Far) -> None:
    async with far.tunnel() as tunnel:
        for how, seen in (("abort", "reset"), ("close", "ended")):
            _, writer = await tunnel.open_connection(GATEWAY, WATCH)
            getattr(writer.transport, how)()
            assert await asyncio.get_running_loop().run_in_executor(None, far.says) == seen


@looped
async def test_a_reader_that_does_not_read_stops_the_writer(far: Far) -> None:
    """Row of the issue: back-pressure. Three windows at most are on their way, the rest waits with us."""
    data = os.urandom(2_000_000)
    async with far.tunnel() as tunnel:
        reader, writer = await tunnel.open_connection(GATEWAY, DEAF)
        writer.write(data)
        draining = asyncio.ensure_future(writer.drain())
        await soon(lambda: writer.transport.get_write_buffer_size() < 1_900_000)
        _, sender = await _datagrams(tunnel)
        assert await sender.ask(b"ping") == b"ping"
        assert writer.transport.get_write_buffer_size() > 1_500_000
        assert not draining.done()
        assert await sender.ask(b"hear") == b"hear"
        await draining
        writer.write_eof()
        assert await reader.read() == hashlib.sha256(data).digest()
        writer.close()


@looped
async def test_a_program_that_does_not_read_stops_the_other_end(far: Far) -> None:
    async with far.tunnel() as tunnel:
        reader, writer = await tunnel.open_connection(GATEWAY, TALK, limit=1000)
        await soon(lambda: not writer.transport.is_reading())
        kept = len(reader._buffer)  # type: ignore[attr-defined]
        _, sender = await _datagrams(tunnel)
        assert await sender.ask(b"ping") == b"ping"
        assert len(reader._buffer) == kept <= 1 << 16  # type: ignore[attr-defined]
        assert len(await reader.read()) == 1 << 20
        writer.close()


@looped
async def test_cancelling_a_connection_under_way_leaves_nothing(far: Far) -> None:
    async with far.tunnel() as tunnel:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await tunnel.open_connection("203.0.113.99", 80)
        assert not owners(tunnel)


@looped
async def test_a_cancelled_read_loses_nothing(far: Far) -> None:
    async with far.tunnel() as tunnel:
        reader, writer = await tunnel.open_connection(GATEWAY, ECHO)
        waiting = asyncio.ensure_future(reader.readexactly(5))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.close()


@looped
async def test_the_end_of_the_tunnel_ends_its_connections(far: Far) -> None:
    async with far.tunnel() as tunnel:
        reader, _ = await tunnel.open_connection(GATEWAY, ECHO)
        reading = asyncio.ensure_future(reader.read())
        opening = asyncio.ensure_future(tunnel.open_connection("203.0.113.99", 80))
        await soon(lambda: len(owners(tunnel)) == 2)
    with pytest.raises(ConnectionAbortedError):
        await reading
    with pytest.raises(ConnectionAbortedError):
        await opening


@looped
async def test_a_tunnel_connects_again_with_a_new_stack(far: Far) -> None:
    async with far.tunnel() as tunnel:
        address = tunnel.peer_addr
        for _ in range(2):
            reader, writer = await tunnel.open_connection(GATEWAY, ECHO)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            await tunnel.shutdown()
            await tunnel.connect(address)


@looped
async def test_a_server_inside_the_tunnel_is_called_back(far: Far) -> None:
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def called(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set_result(await reader.read())
        writer.close()

    async with far.tunnel() as tunnel:
        async with await tunnel.start_server(called) as server:
            host, port = server.address
            assert host == NEAR
            _, writer = await tunnel.open_connection(GATEWAY, BACK)
            writer.write(f"{port}\n".encode())
            assert await heard == b"called back"
            assert server.is_serving()
        assert not server.is_serving()


@looped
async def test_tls_runs_inside_the_tunnel(far: Far) -> None:
    context = ssl.create_default_context(cafile=str(far.certificate))
    async with far.tunnel() as tunnel:
        reader, writer = await tunnel.open_connection(GATEWAY, TLS, ssl=context, server_hostname="far.test")
        writer.write(b"secret twice")
        assert await reader.readexactly(12) == b"secret twice"
        writer.close()


class Asking(asyncio.DatagramProtocol):
    """One question at a time."""

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport
        self.heard: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.heard.put_nowait((data, addr))

    async def ask(self, data: bytes) -> bytes:
        self.transport.sendto(data)
        found, addr = await self.heard.get()
        assert addr == (GATEWAY, DATAGRAMS)
        return found


async def _datagrams(tunnel: Any) -> tuple[asyncio.DatagramTransport, Asking]:
    made: tuple[asyncio.DatagramTransport, Asking] = await tunnel.create_datagram_endpoint(
        Asking, remote=(GATEWAY, DATAGRAMS)
    )
    return made


@looped
async def test_datagrams_of_every_size_come_back(far: Far) -> None:
    async with far.tunnel() as tunnel:
        transport, asking = await _datagrams(tunnel)
        for size in (0, 1, 1400, 9000):
            data = os.urandom(size)
            assert await asking.ask(data) == data
        with pytest.raises(InvalidParameter, match="65507"):
            transport.sendto(bytes(65508))
        with pytest.raises(InvalidParameter, match="family"):
            transport.sendto(b"", ("2001:db8::1", 1))
        transport.close()
        assert not owners(tunnel)


@looped
async def test_packets_belong_to_the_stack_once_there_is_one(far: Far) -> None:
    async with far.tunnel() as tunnel:
        waiting = asyncio.ensure_future(tunnel.recv_packet())
        await asyncio.sleep(0)
        with pytest.raises(InvalidState, match="waits for the tunnel's packets"):
            tunnel.attach()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        tunnel.attach()
        with pytest.raises(InvalidState, match="TCP/IP stack"):
            await tunnel.recv_packet()


@looped
async def test_two_tunnels_share_the_stack_but_no_address(far: Far) -> None:
    other = far.tunnel("d.test", local_networks=("198.51.100.8",))
    async with far.tunnel() as one, other as two:
        for tunnel in (one, two):
            reader, writer = await tunnel.open_connection(GATEWAY, ECHO)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
        async with far.tunnel("e.test") as three:
            with pytest.raises(InvalidParameter, match="another tunnel of this process"):
                three.attach()


@pytest.mark.parametrize(
    ("host", "why"), [(NEAR, "our own end"), ("224.0.0.1", "not one host"), ("0.0.0.0", "not one host")]
)
@looped
async def test_what_is_not_one_other_host_is_refused(far: Far, host: str, why: str) -> None:
    async with far.tunnel() as tunnel:
        with pytest.raises(InvalidParameter, match=why):
            await tunnel.open_connection(host, 80)


@looped
async def test_a_family_that_the_tunnel_does_not_carry_is_unreachable(far: Far) -> None:
    async with far.tunnel() as tunnel:
        with pytest.raises(OSError, match="family"):
            await tunnel.open_connection("2001:db8::1", 80)


@looped
async def test_the_address_is_chosen_where_our_side_is_a_network(far: Far) -> None:
    async with far.tunnel(local_networks=("198.51.100.0/24",)) as tunnel:
        with pytest.raises(InvalidParameter, match="is a network"):
            tunnel.attach()
        with pytest.raises(InvalidParameter, match="none of our addresses"):
            tunnel.attach("192.0.2.1")
        tunnel.attach("198.51.100.77", mtu=1280)
        _, writer = await tunnel.open_connection(GATEWAY, ECHO)
        assert writer.get_extra_info("sockname")[0] == "198.51.100.77"
        assert writer.get_extra_info("peername") == (GATEWAY, ECHO)
        writer.close()

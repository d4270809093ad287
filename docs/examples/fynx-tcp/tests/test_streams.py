"""Streams between two ports, and from peers that do not keep to the rules (row N13)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from fynx.plugin import Datagram, Path
from fynx_tcp.config import TcpConfig
from fynx_tcp.framing import PREFIX, frame
from fynx_tcp.port import TcpPort, TcpTransport

ESP = b"\1\2\3\4" + bytes(60)


class Host:
    """A port and what was delivered."""

    def __init__(self, port: TcpPort, seen: list[Datagram]) -> None:
        self.port, self.seen = port, seen
        self.number = port.local[0].local_port

    def path_to(self, other: Host) -> Path:
        here, there = self.port.local[0], other.port.local[0]
        return Path(here.local, here.local_port, there.local, there.local_port)


async def opened(address: str, **options: float) -> Host:
    seen: list[Datagram] = []
    port = await TcpTransport().open(TcpConfig(listen=(address,), port=0, **options), seen.append)
    assert isinstance(port, TcpPort)
    port.attach()
    return Host(port, seen)


def run(story: Callable[[Host, Host], Awaitable[None]], **options: float) -> None:
    async def whole() -> None:
        left, right = await opened("127.0.0.1"), await opened("127.0.0.2", **options)
        try:
            async with asyncio.timeout(20):
                await story(left, right)
        finally:
            left.port.close()
            right.port.close()
            await asyncio.sleep(0)

    asyncio.run(whole())


async def until(true: Callable[[], object]) -> None:
    while not true():
        await asyncio.sleep(0.005)


async def dial(host: Host) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(host.port.local[0].local, host.number)


async def is_closed(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


def test_messages_go_there_and_back_on_one_stream() -> None:
    async def story(left: Host, right: Host) -> None:
        left.port.send([Datagram(left.path_to(right), ESP), Datagram(left.path_to(right), b"\xff")])
        await until(lambda: len(right.seen) == 2)
        back = right.seen[0].path
        assert (back.remote, back.local_port) == ("127.0.0.1", right.number)
        right.port.send([Datagram(back, b"answer to all")])
        await until(lambda: left.seen)
        assert left.seen == [Datagram(left.path_to(right), b"answer to all")]

    run(story)


def test_the_originator_opens_the_stream_again_after_it_broke() -> None:
    async def story(left: Host, right: Host) -> None:
        left.port.send([Datagram(left.path_to(right), ESP)])
        await until(lambda: right.seen)
        for stream in tuple(right.port._streams.values()):
            stream.close()
        await until(lambda: not left.port._streams)
        left.port.send([Datagram(left.path_to(right), b"once more")])
        await until(lambda: len(right.seen) == 2)

    run(story)


def test_the_responder_opens_no_stream_to_a_peer_that_went() -> None:
    async def story(left: Host, right: Host) -> None:
        left.port.send([Datagram(left.path_to(right), ESP)])
        await until(lambda: right.seen)
        left.port.close()
        await until(lambda: not right.port._streams)
        right.port.send([Datagram(right.seen[0].path, ESP)])
        assert right.port.lost == 1

    run(story)


@pytest.mark.parametrize(
    ("octets", "counter"),
    [
        pytest.param(b"GET / HTTP/1.1\r\n", "tcp_prefix", id="N13-prefix-missing"),
        pytest.param(frame(ESP), "tcp_prefix", id="N13-message-without-prefix"),
        pytest.param(PREFIX + b"\0\0", "tcp_length", id="N13-length-0"),
        pytest.param(PREFIX + b"\0\1", "tcp_length", id="N13-length-1"),
    ],
)
def test_N13_a_corrupt_stream_is_closed_and_counted_and_no_other(octets: bytes, counter: str) -> None:
    async def story(left: Host, right: Host) -> None:
        left.port.send([Datagram(left.path_to(right), ESP)])
        await until(lambda: right.seen)
        reader, writer = await dial(right)
        writer.write(octets)
        assert await is_closed(reader)
        writer.close()
        assert right.port.counters() == {counter: 1}
        left.port.send([Datagram(left.path_to(right), b"still here")])
        await until(lambda: len(right.seen) == 2)

    run(story)


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(PREFIX + b"\xff\xff" + bytes(100), id="N13-65535-then-stall"),
        pytest.param(b"IKE", id="N13-half-a-prefix"),
        pytest.param(b"", id="N13-nothing"),
    ],
)
def test_N13_a_stream_that_stalls_is_closed_and_holds_little(octets: bytes) -> None:
    async def story(left: Host, right: Host) -> None:
        reader, writer = await dial(right)
        writer.write(octets)
        assert await is_closed(reader)
        writer.close()
        assert right.port.counters() == {"tcp_stall": 1}
        assert right.seen == []

    run(story, stall_s=0.1)


def test_N13_octet_by_octet_is_a_message_all_the_same() -> None:
    async def story(left: Host, right: Host) -> None:
        _, writer = await dial(right)
        for octet in PREFIX + frame(ESP):
            writer.write(bytes([octet]))
            await writer.drain()
        await until(lambda: right.seen)
        assert right.seen[0].data == ESP
        writer.close()

    run(story)


def test_N13_a_second_stream_of_the_same_peer_stands_beside_the_first() -> None:
    async def story(left: Host, right: Host) -> None:
        streams = [await dial(right) for _ in range(2)]
        for _, writer in streams:
            writer.write(PREFIX + frame(ESP))
        await until(lambda: len(right.seen) == 2)
        for path, (reader, _) in zip([each.path for each in right.seen], streams, strict=True):
            right.port.send([Datagram(path, b"to this one")])
            assert await reader.readexactly(13) == frame(b"to this one")
        for _, writer in streams:
            writer.close()

    run(story)


def test_no_source_holds_all_streams() -> None:
    async def story(left: Host, right: Host) -> None:
        first, second = await dial(right), await dial(right)
        assert await is_closed(second[0])
        assert right.port.counters() == {"tcp_full": 1}
        first[1].close()
        second[1].close()

    run(story, streams_per_source=1)


def test_a_stream_that_nobody_uses_is_closed() -> None:
    async def story(left: Host, right: Host) -> None:
        reader, writer = await dial(right)
        writer.write(PREFIX + frame(ESP))
        assert await is_closed(reader)
        assert right.port.counters() == {"tcp_idle": 1}
        writer.close()

    run(story, idle_s=0.1)


def test_a_peer_that_refuses_costs_a_message_and_no_exception() -> None:
    async def story(left: Host, right: Host) -> None:
        nobody = Path("127.0.0.1", left.number, "127.0.0.3", 1)
        left.port.send([Datagram(nobody, ESP)])
        await until(lambda: left.port.counters() == {"tcp_connect": 1})
        left.port.send([Datagram(nobody, ESP)])
        assert left.port.lost == 1

    run(story)

"""The open transport: accepts streams, opens them when there is something to say, and finds the one of a path."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from typing import Literal

from fynx.plugin import Datagram, Deliver, Path, Port, PortSocket
from fynx_tcp.config import TcpConfig
from fynx_tcp.stream import Stream

Peer = tuple[str, int]
REMEMBERED = 4096
"""Peers that came to us: nobody listens on their port, so no stream is opened towards it."""
CONNECT_S, PAUSE_S = 10.0, 1.0


class TcpPort:
    """Streams by the peer's address and port. The newest stream of a peer is the one that is spoken on."""

    framing: Literal["udp", "message"] = "message"

    def __init__(self, config: TcpConfig, deliver: Deliver) -> None:
        self._config, self._deliver = config, deliver
        self.stall_s, self.idle_s = config.stall_s, config.idle_s
        self._servers: list[tuple[str, int, asyncio.Server]] = []
        self._streams: dict[Peer, Stream] = {}
        self._sources: Counter[str] = Counter()
        self._came: OrderedDict[Peer, None] = OrderedDict()
        self._opening: dict[Peer, asyncio.Task[None]] = {}
        self._pause: dict[Peer, float] = {}
        self._attached = self._closing = False
        self._closed: Counter[str] = Counter()
        self.lost = 0
        """Messages that could not be sent."""

    async def listen(self) -> None:
        """Raises OSError."""
        loop = asyncio.get_running_loop()
        number = self._config.port
        for address in self._config.listen:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            try:
                server = await loop.create_server(
                    lambda: Stream(self, None), address, number, family=family, reuse_address=True
                )
            except OSError as error:
                missing = error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
                if missing and address == "::" and self._servers:
                    continue  # a machine without IPv6
                self.close()
                raise OSError(error.errno, f"TCP port {number} on {address}: {error.strerror}") from error
            number = server.sockets[0].getsockname()[1]
            self._servers.append((address, number, server))

    @property
    def local(self) -> tuple[Path, ...]:
        return tuple(Path(address, number, "", 0) for address, number, _ in self._servers)

    def sockets(self) -> Sequence[PortSocket]:
        return ()

    def counters(self) -> Mapping[str, int]:
        return {f"tcp_{reason}": count for reason, count in sorted(self._closed.items())}

    def attach(self) -> None:
        self._attached = True

    def send(self, batch: Sequence[Datagram]) -> None:
        together: dict[Peer, list[Datagram]] = {}
        for datagram in batch:
            together.setdefault((datagram.path.remote, datagram.path.remote_port), []).append(datagram)
        for peer, datagrams in together.items():
            stream = self._streams.get(peer) or self._open(peer, datagrams[0].path)
            try:
                self.lost += len(datagrams) if stream is None else stream.send([each.data for each in datagrams])
            except ValueError:
                self.lost += len(datagrams)

    def close(self) -> None:
        self._closing = True
        for _, _, server in self._servers:
            server.close()
        for task in self._opening.values():
            task.cancel()
        for stream in tuple(self._streams.values()):
            stream.close()

    # What streams tell.

    def opened(self, stream: Stream) -> bool:
        """False: one too many, or nobody is there yet."""
        path = stream.path
        if path is None or self._closing or not self._attached:
            return False
        if stream.ours:
            return True
        full = len(self._streams) >= self._config.streams
        if full or self._sources[path.remote] >= self._config.streams_per_source:
            return False
        peer = path.remote, path.remote_port
        self._streams[peer] = stream
        self._sources[path.remote] += 1
        self._came[peer] = None
        if len(self._came) > REMEMBERED:
            self._came.popitem(last=False)
        return True

    def arrived(self, stream: Stream, messages: list[bytes]) -> None:
        assert stream.path is not None
        for message in messages:
            self._deliver(Datagram(stream.path, message))

    def closed(self, stream: Stream, reason: str) -> None:
        if reason:
            self._closed[reason] += 1
        path = stream.path
        if path is None or self._streams.get((path.remote, path.remote_port)) is not stream:
            return
        del self._streams[path.remote, path.remote_port]
        if not stream.ours:
            self._sources[path.remote] -= 1
            self._sources += Counter()  # forgets those without a stream

    # Streams of our own (RFC 9329 section 6.1: the originator opens it, and opens it again).

    def _open(self, peer: Peer, path: Path) -> Stream | None:
        loop = asyncio.get_running_loop()
        if self._closing or peer in self._came or loop.time() < self._pause.get(peer, 0.0):
            return None
        stream = self._streams[peer] = Stream(self, path)
        task = self._opening[peer] = loop.create_task(self._connect(peer, stream))
        task.add_done_callback(lambda _: self._opening.pop(peer, None))
        return stream

    async def _connect(self, peer: Peer, stream: Stream) -> None:
        assert stream.path is not None
        local = (stream.path.local, 0) if stream.path.local else None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_S):
                await loop.create_connection(lambda: stream, peer[0], peer[1], local_addr=local)
            self._pause.pop(peer, None)
        except OSError:  # TimeoutError is one
            self._pause[peer] = loop.time() + PAUSE_S
            stream.close("connect")


class TcpTransport:
    """Opens the port of the section ``host.transport.tcp``."""

    name = "tcp"

    async def open(self, section: object, deliver: Deliver) -> Port:
        port = TcpPort(section if isinstance(section, TcpConfig) else TcpConfig(), deliver)
        await port.listen()
        return port

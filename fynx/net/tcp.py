"""TCP connections of a stack as asyncio transports: back-pressure both ways, half close, reset, and TLS above them."""

from __future__ import annotations

import asyncio
import errno
import secrets
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Any

from fynx.net._lwip import ffi, lib
from fynx.net.library import failure
from fynx.net.stack import FIRST_PORT, IP, LAST_PORT, TRIES, Stack

READ = 1 << 16
HIGH, LOW = 1 << 16, 1 << 14
Factory = Callable[[], asyncio.BaseProtocol]


class TcpTransport(asyncio.Transport):
    """Made by ``connect`` or by a listener."""

    _start_tls_compatible = True

    def __init__(self, stack: Stack, end: Any, *, connecting: bool) -> None:
        super().__init__()
        self._stack, self._end, self._number = stack, end, stack.add(end, self)
        self._protocol: asyncio.BaseProtocol = asyncio.BaseProtocol()
        self._connected: asyncio.Future[None] | None = stack.loop.create_future() if connecting else None
        self._buffer, self._high, self._low = bytearray(), HIGH, LOW
        self._paused = self._halted = self._closing = False
        """``_paused``: we read no more for now; ``_halted``: the protocol was asked to write no more for now."""
        self._ending = self._ended = False
        """A half close was asked for; the other end has half closed, and the protocol knows."""
        self._eof, self._broken = False, 0
        self._room = bytearray(READ)

    def begin(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol
        protocol.connection_made(self)

    async def established(self) -> None:
        """Raises ``OSError``. Cancelling aborts."""
        assert self._connected is not None
        try:
            await self._connected
            if self._broken:
                raise failure(self._broken)
        except BaseException:
            self._drop(graceful=False)
            raise
        finally:
            self._connected = None

    # Called by the stack.

    def happened(self, what: int, error: int) -> None:
        if self._end is None:
            return
        if what & lib.FYNX_NET_FAILED:
            self._failed(error)
            return
        if what & lib.FYNX_NET_CONNECTED and self._connected is not None and not self._connected.done():
            self._connected.set_result(None)
        self._eof = self._eof or bool(what & lib.FYNX_NET_EOF)
        if what & lib.FYNX_NET_WRITABLE:
            self._flush()
        if what & (lib.FYNX_NET_READABLE | lib.FYNX_NET_EOF):
            self.look()

    def cut(self, why: Exception) -> None:
        self._lost(why)

    def _failed(self, error: int) -> None:
        self._broken = error
        if self._connected is not None:
            if not self._connected.done():
                self._connected.set_exception(failure(error, connecting=True))
            return
        self._take()
        self._lost(failure(error))

    # asyncio.ReadTransport

    def is_reading(self) -> bool:
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        """The window closes: the other end stops."""
        self._paused = True

    def resume_reading(self) -> None:
        if self._paused:
            self._paused = False
            self._stack.loop.call_soon(self.look)

    def look(self) -> None:
        """What came, and the end of it, to the protocol."""
        if self._end is None or self._connected is not None:
            return
        self._take()
        if self._eof and not self._paused and not self._ended and not self._closing:
            self._ended = True
            keep = self._stream().eof_received()
            if not keep:
                self.close()
        self._stack.flush()

    def _take(self) -> None:
        """What came, to the protocol, while it wants more."""
        while self._end is not None and not self._paused and not self._closing:
            protocol = self._stream()
            buffered = isinstance(protocol, asyncio.BufferedProtocol)
            room = memoryview(protocol.get_buffer(READ) if buffered else self._room)
            with ffi.from_buffer(room) as pointer:
                size = lib.fynx_tcp_read(self._end, pointer, len(room))
            if not size:
                return
            if buffered:
                protocol.buffer_updated(size)
            else:
                protocol.data_received(bytes(room[:size]))

    def _stream(self) -> Any:
        """``Protocol`` and ``BufferedProtocol`` share the methods but no type."""
        return self._protocol

    # asyncio.WriteTransport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._ending:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._end is None or self._closing or not data:
            return
        view = memoryview(data).cast("B")
        taken = 0 if self._buffer else self._send(view)
        self._buffer += view[taken:]
        self._stack.flush()
        if len(self._buffer) > self._high and not self._halted:
            self._halted = True
            self._protocol.pause_writing()

    def _send(self, view: memoryview | bytearray) -> int:
        with ffi.from_buffer(view) as pointer:
            taken = int(lib.fynx_tcp_write(self._end, pointer, len(view)))
        return max(0, taken)  # an error comes as an event of its own

    def _flush(self) -> None:
        if self._buffer:
            del self._buffer[: self._send(self._buffer)]
            self._stack.flush()
        if self._halted and len(self._buffer) <= self._low:
            self._halted = False
            self._protocol.resume_writing()
        if not self._buffer and self._end is not None:
            if self._closing:
                self._lost(None)
            elif self._ending:
                self._shut()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if self._ending or self._closing or self._end is None:
            return
        self._ending = True
        if not self._buffer:
            self._shut()

    def _shut(self) -> None:
        lib.fynx_tcp_shut(self._end)
        self._stack.flush()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = HIGH if high is None and low is None else high if high is not None else 4 * (low or 0)
        self._low = low if low is not None else self._high // 4
        if not 0 <= self._low <= self._high:
            raise ValueError(f"high ({self._high}) must be at least low ({self._low}), and both at least 0")

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        return len(self._buffer)

    # asyncio.BaseTransport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name in ("sockname", "peername") and self._end is not None:
            return named(self._end, remote=name == "peername") or default
        return default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """What was written still goes out."""
        if self._closing or self._end is None:
            return
        self._closing = True
        if not self._buffer:
            self._stack.loop.call_soon(self._lost, None)

    def abort(self) -> None:
        """At once, with RST."""
        if self._end is not None:
            self._drop(graceful=False)
            self._stack.loop.call_soon(self._protocol.connection_lost, None)

    def _lost(self, why: Exception | None) -> None:
        """The end of it, once."""
        if self._end is None:
            return
        waiting, self._connected = self._connected, None
        self._drop(graceful=why is None)
        if waiting is not None:
            if not waiting.done() and why is not None:
                waiting.set_exception(why)
            return
        self._protocol.connection_lost(why)

    def _drop(self, *, graceful: bool) -> None:
        self._closing = True
        end, self._end = self._end, None
        self._buffer.clear()
        if end is not None and not self._stack.closed:
            self._stack.remove(self._number, end, graceful=graceful)


class TcpServer(asyncio.AbstractServer):
    """A listening port inside the tunnel; made by ``listen``."""

    def __init__(self, stack: Stack, end: Any, factory: Factory) -> None:
        self._stack, self._end, self._factory = stack, end, factory
        self._number = stack.add(end, self)
        self.address = named(end, remote=False)
        """Inner address and port."""
        self._over = asyncio.Event()

    def happened(self, what: int, error: int) -> None:
        """Of a listener only accepted connections are told."""

    def accepted(self, end: Any) -> None:
        TcpTransport(self._stack, end, connecting=False).begin(self._factory())

    def cut(self, why: Exception) -> None:  # noqa: ARG002  nobody waits here for an exception
        self.close()

    def close(self) -> None:
        """Connections that were accepted stay."""
        end, self._end = self._end, None
        if end is not None and not self._stack.closed:
            self._stack.remove(self._number, end, graceful=True)
        self._over.set()

    async def wait_closed(self) -> None:
        await self._over.wait()

    def is_serving(self) -> bool:
        return self._end is not None

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._stack.loop

    async def start_serving(self) -> None:
        """Serves from the beginning."""

    async def serve_forever(self) -> None:
        """Until ``close`` or cancelled."""
        try:
            await self._over.wait()
        finally:
            self.close()


async def connect(stack: Stack, address: IP, port: int, factory: Factory) -> tuple[TcpTransport, asyncio.BaseProtocol]:
    """Raises ``OSError``; cancelling leaves nothing."""
    for attempt in range(TRIES):
        try:
            end = stack.connect(address, port, ephemeral())
            break
        except OSError as error:
            if error.errno != errno.EADDRINUSE or attempt == TRIES - 1:
                raise
    transport = TcpTransport(stack, end, connecting=True)
    await transport.established()
    protocol = factory()
    transport.begin(protocol)
    transport.look()
    return transport, protocol


def ephemeral() -> int:
    """A port of RFC 6335's dynamic range that nobody can foresee (RFC 6056)."""
    return FIRST_PORT + secrets.randbelow(LAST_PORT - FIRST_PORT + 1)


def listen(stack: Stack, port: int, factory: Factory, *, version: int, backlog: int = 100) -> TcpServer:
    """``port`` 0 chooses one. Raises ``OSError``."""
    return TcpServer(stack, stack.listen(version, port or ephemeral(), backlog), factory)


def named(end: Any, *, remote: bool) -> tuple[Any, ...] | None:
    """As a socket gives it: (host, port), and (host, port, 0, 0) for IPv6."""
    address, port = ffi.new("uint8_t[16]"), ffi.new("uint16_t *")
    size = lib.fynx_end_name(end, int(remote), address, port)
    if not size:
        return None
    found = ip_address(bytes(ffi.buffer(address, size)))
    return (str(found), port[0], 0, 0) if isinstance(found, IPv6Address) else (str(found), port[0])

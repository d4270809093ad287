"""One TCP stream of IKE and ESP messages, ours or the peer's (RFC 9329 section 6.1)."""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol

from fynx.plugin import Path
from fynx_tcp.framing import PREFIX, Corrupt, Deframer, frame

UNSENT = 1 << 20
"""Octets that may wait for a slow peer; beyond, messages are lost as a network loses them."""


class Owner(Protocol):
    """The port, as a stream sees it."""

    stall_s: float
    idle_s: float

    def opened(self, stream: Stream) -> bool: ...

    def arrived(self, stream: Stream, messages: list[bytes]) -> None: ...

    def closed(self, stream: Stream, reason: str) -> None: ...


class Stream(asyncio.Protocol):
    """``path`` is known from the start for a stream of ours, and from the connection for one of the peer's."""

    def __init__(self, owner: Owner, path: Path | None) -> None:
        self._owner = owner
        self.path, self.ours = path, path is not None
        self._deframer = Deframer(prefixed=not self.ours)
        self._transport: asyncio.Transport | None = None
        self._waiting: list[bytes] = [PREFIX] if self.ours else []
        self._loop = asyncio.get_running_loop()
        self._stalls: asyncio.TimerHandle | None = None
        self._last = self._loop.time()
        self._idles = self._loop.call_later(owner.idle_s, self._idle)

    def send(self, messages: list[bytes]) -> int:
        """Returns how many had to be left out."""
        frames = [frame(each) for each in messages if each]
        unsent = sum(map(len, self._waiting))
        if self._transport is not None:
            unsent += self._transport.get_write_buffer_size()
        if unsent + sum(map(len, frames)) > UNSENT or (self._transport is not None and self._transport.is_closing()):
            return len(messages)
        self._last = self._loop.time()
        if self._transport is None:
            self._waiting += frames
        else:
            self._transport.write(b"".join(frames))
        return 0

    def close(self, reason: str = "") -> None:
        """At once: what was not sent is lost."""
        self._idles.cancel()
        self._settle()
        if self._transport is not None:
            self._transport.abort()
        self._owner.closed(self, reason)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        own, peer = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.path is None:
            self.path = Path(own[0].partition("%")[0], own[1], peer[0].partition("%")[0], peer[1])
        if not self._owner.opened(self):
            self.close("full")
            return
        if self._waiting:
            transport.write(b"".join(self._waiting))
            self._waiting.clear()
        self._watch()

    def data_received(self, data: bytes) -> None:
        self._last = self._loop.time()
        try:
            messages = self._deframer.feed(data)
        except Corrupt as fault:
            self.close(fault.reason)
            return
        if messages:
            self._settle()
            self._owner.arrived(self, messages)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        self._idles.cancel()
        self._settle()
        self._owner.closed(self, "")

    def _watch(self) -> None:
        """What was begun must end in time; each finished message starts the time anew."""
        if not self._deframer.unfinished:
            self._settle()
        elif self._stalls is None:
            self._stalls = self._loop.call_later(self._owner.stall_s, self.close, "stall")

    def _settle(self) -> None:
        if self._stalls is not None:
            self._stalls.cancel()
            self._stalls = None

    def _idle(self) -> None:
        left = self._last + self._owner.idle_s - self._loop.time()
        if left <= 0:
            self.close("idle")
        else:
            self._idles = self._loop.call_later(left, self._idle)

"""ICMP that says that a datagram of ours did not arrive (RFC 792, RFC 4443 section 3.1): a hint, as anybody may say so.

Read on sockets of their own, not with IP_RECVERR on those that carry data: there each forged error would cost a packet.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import struct
from collections.abc import Callable

from fynx.plugin import Path

AT_ONCE, PAUSE_S = 16, 1.0
"""So many are looked at in that time; the rest of a flood stays in the kernel, and there in a small buffer."""
QUOTED = 576
BUFFER = 4096
SOL_RAW = 255
FILTER = 1  # ICMP_FILTER and ICMPV6_FILTER
UNREACHABLE_4, UNREACHABLE_6 = 3, 1
TOO_BIG = 4  # RFC 1191: the plane's business, and no sign of death
UDP = 17


def quoted(family: int, data: bytes) -> Path | None:
    """The path of the datagram that this message of a raw socket complains about; None for any other message."""
    try:
        return _quoted_6(data) if family == socket.AF_INET6 else _quoted_4(data)
    except (IndexError, struct.error, ValueError):
        return None


def _quoted_4(data: bytes) -> Path | None:
    icmp = data[(data[0] & 15) * 4 :]
    inner = icmp[8:]
    ours = icmp[0] == UNREACHABLE_4 and icmp[1] != TOO_BIG and inner[0] >> 4 == 4 and inner[9] == UDP
    if not ours or int.from_bytes(inner[6:8], "big") & 0x1FFF:  # a later fragment quotes no ports
        return None
    return _path(inner[12:16], inner[16:20], inner[(inner[0] & 15) * 4 :])


def _quoted_6(data: bytes) -> Path | None:
    inner = data[8:]
    if data[0] != UNREACHABLE_6 or inner[0] >> 4 != 6 or inner[6] != UDP:
        return None
    return _path(inner[8:24], inner[24:40], inner[40:])


def _path(source: bytes, target: bytes, ports: bytes) -> Path:
    near, far = struct.unpack_from("!HH", ports)
    return Path(str(ipaddress.ip_address(source)), near, str(ipaddress.ip_address(target)), far)


class IcmpEars:
    """The raw sockets. Without CAP_NET_RAW there are none, and a silent peer is noticed by the liveness check alone."""

    def __init__(self, tell: Callable[[Path], None]) -> None:
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._paused: asyncio.TimerHandle | None = None
        self._sockets = [sock for family in (socket.AF_INET, socket.AF_INET6) if (sock := _open(family)) is not None]
        self._listen()

    def close(self) -> None:
        if self._paused is not None:
            self._paused.cancel()
        for sock in self._sockets:
            if not self._loop.is_closed():
                self._loop.remove_reader(sock.fileno())
            sock.close()
        self._sockets = []

    def _listen(self) -> None:
        self._paused = None
        for sock in self._sockets:
            self._loop.add_reader(sock.fileno(), self._readable, sock)

    def _readable(self, sock: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                path = quoted(sock.family, sock.recv(QUOTED))
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                break
            if path is not None:
                self._tell(path)
        self._pause()

    def _pause(self) -> None:
        if self._paused is None:
            for sock in self._sockets:
                self._loop.remove_reader(sock.fileno())
            self._paused = self._loop.call_later(PAUSE_S, self._listen)


def _open(family: int) -> socket.socket | None:
    protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    try:
        sock = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
    except OSError:  # not allowed, or no IPv6
        return None
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        if family == socket.AF_INET6:
            sock.setsockopt(protocol, FILTER, _all_but(UNREACHABLE_6, words=8))
        else:
            sock.setsockopt(SOL_RAW, FILTER, _all_but(UNREACHABLE_4, words=1))
    return sock


def _all_but(kind: int, *, words: int) -> bytes:
    """A filter blocks the types whose bits are set."""
    return struct.pack(f"@{words}I", 0xFFFFFFFF & ~(1 << kind), *[0xFFFFFFFF] * (words - 1))

"""What comes in for one port, spread over sockets by the SPI of ESP, so that several workers receive (socket(7):
SO_REUSEPORT, SO_ATTACH_REUSEPORT_CBPF)."""

from __future__ import annotations

import ctypes
import os
import socket
import struct

ATTACH = 51
"""SO_ATTACH_REUSEPORT_CBPF."""
LOAD, SHIFT, MODULO, RETURN = 0x20, 0x74, 0x94, 0x16
"""Instructions of the classic packet filter."""
MOST = 16
"""Sockets of one plane."""


def ways(workers: int, sockets: int) -> int:
    """Over how many sockets each port is spread, where ``sockets`` are served in all."""
    return max(1, min(workers, MOST // max(sockets, 1)))


def siblings(fd: int, family: int, count: int) -> list[socket.socket]:
    """So many more sockets on the address and port of ``fd``; the first octet of the SPI chooses among all, and IKE and
    keepalives, which have none, stay with ``fd``. Whoever joins them later gets nothing. Raises OSError."""
    made: list[socket.socket] = []
    with socket.socket(fileno=os.dup(fd)) as first:
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            for _ in range(count):
                made.append(_another(first, family))
            _attach(first, count + 1)
        except OSError:
            for sock in made:
                sock.close()
            first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
            raise
    return made


def _another(first: socket.socket, family: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(first.getsockname())
    except OSError:
        sock.close()
        raise
    return sock


def _attach(sock: socket.socket, count: int) -> None:
    """``struct sock_fprog``: first octet of the payload modulo ``count``; a datagram that is too short counts as 0."""
    steps = ((LOAD, 0), (SHIFT, 24), (MODULO, count), (RETURN, 0))
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", kind, 0, 0, value) for kind, value in steps))
    sock.setsockopt(socket.SOL_SOCKET, ATTACH, struct.pack("@HP", len(steps), ctypes.addressof(code)))

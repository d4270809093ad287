"""Raw sockets for ESP without UDP (IP protocol 50, RFC 4303 section 2): opened here, read and written by the plane."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence

from fynx.plugin import PortSocket

ESP = 50


def open_raw(addresses: Sequence[str]) -> list[socket.socket]:
    """One for each listening address. Raises OSError: EPERM without CAP_NET_RAW."""
    found: list[socket.socket] = []
    try:
        for address in addresses:
            made = _open(address, optional=address == "::" and len(addresses) > 1)
            found += [made] if made is not None else []
    except OSError:
        for each in found:
            each.close()
        raise
    return found


def shared(sock: socket.socket) -> PortSocket:
    """As the plane takes it over: it has no port."""
    return PortSocket(sock.fileno(), sock.family, 0, encapsulated=False, raw=True)


def _open(address: str, *, optional: bool) -> socket.socket | None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, ESP)
    except OSError as error:
        if optional and error.errno == errno.EAFNOSUPPORT:
            return None
        what = "a raw socket for ESP without UDP (`encap: always` does without)"
        raise OSError(error.errno, f"{what}: {error.strerror}") from error
    try:
        sock.bind((address, 0))
    except OSError as error:
        sock.close()
        if optional and error.errno == errno.EADDRNOTAVAIL:
            return None
        raise OSError(error.errno, f"raw ESP on {address}: {error.strerror}") from error
    return sock

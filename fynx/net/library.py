"""lwIP as Debian builds it (``liblwip0`` 2.1), opened at run time; its errors as Python knows them."""

from __future__ import annotations

import errno
import os
import secrets

from fynx.faults import Io
from fynx.net._lwip import ffi, lib

SONAME = "liblwip.so.0"
REMEDY = "sudo apt-get install -y liblwip0"
RESET, ABORTED, NO_ROUTE, IN_USE = -14, -13, -4, -8


def load() -> None:
    """Once in a process; later calls change nothing. Raises ``Io`` when the library is missing or another build."""
    if lib.fynx_lwip_open(os.fsencode(SONAME), secrets.randbits(32)):
        why = ffi.string(lib.fynx_lwip_why()).decode()
        raise Io(f"TCP inside the tunnel needs lwIP: {why}", remedy=REMEDY)


def failure(code: int, *, connecting: bool = False) -> OSError:
    """The exception that a socket would have raised."""
    match code:
        case _ if code == RESET and connecting:
            return ConnectionRefusedError(errno.ECONNREFUSED, "the other end refused the connection")
        case _ if code == RESET:
            return ConnectionResetError(errno.ECONNRESET, "the other end reset the connection")
        case _ if code == ABORTED:
            return TimeoutError(errno.ETIMEDOUT, "the other end does not answer")
        case _ if code == NO_ROUTE:
            return OSError(errno.ENETUNREACH, "the tunnel has no address of that family")
        case _ if code == IN_USE:
            return OSError(errno.EADDRINUSE, "the port is in use in this tunnel")
        case _:
            return OSError(errno.ENOBUFS, f"the stack refused (lwIP's error {code})")

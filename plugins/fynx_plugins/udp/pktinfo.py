"""Ancillary data that tells, and sets, the local address of a datagram (ip(7), RFC 3542 section 6)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from functools import lru_cache

IP_PKTINFO = 8
CONTROL_ROOM = 128
_V4 = struct.Struct("@i4s4s")
_V6 = struct.Struct("@16si")

Control = Sequence[tuple[int, int, bytes]]


def local_address(control: Control) -> str:
    """The destination address of a received datagram as text, or "" when the system did not say."""
    for level, kind, data in control:
        if level == socket.IPPROTO_IP and kind == IP_PKTINFO and len(data) >= _V4.size:
            return socket.inet_ntop(socket.AF_INET, _V4.unpack_from(data)[2])
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO and len(data) >= _V6.size:
            return socket.inet_ntop(socket.AF_INET6, _V6.unpack_from(data)[0])
    return ""


@lru_cache(64)
def source_control(family: int, local: str) -> list[tuple[int, int, bytes]]:
    """Control message that makes ``local`` the source; empty: the system chooses. Raises OSError for no address."""
    if local in ("", "0.0.0.0", "::"):  # noqa: S104  compared, not bound
        return []
    packed = socket.inet_pton(family, local)
    if family == socket.AF_INET6:
        return [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _V6.pack(packed, 0))]
    return [(socket.IPPROTO_IP, IP_PKTINFO, _V4.pack(0, packed, bytes(4)))]

"""Writes captures as pcapng (draft-ietf-opsawg-pcapng): one section, one interface, nanosecond time stamps."""

from __future__ import annotations

import struct
from typing import BinaryIO

ETHERNET, RAW_IP = 1, 101
SECTION, INTERFACE, ENHANCED_PACKET = 0x0A0D0D0A, 1, 6
NANOSECONDS = 9


class PcapngWriter:
    """Appends packets to an open binary file; the caller closes it."""

    def __init__(self, file: BinaryIO, *, link_type: int = ETHERNET, interface: str = "", comment: str = "") -> None:
        self._file = file
        section = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + option(1, comment.encode()) + option(0)
        self._block(SECTION, section)
        options = option(2, interface.encode()) + option(9, bytes([NANOSECONDS])) + option(0)
        self._block(INTERFACE, struct.pack("<HHI", link_type, 0, 0) + options)

    def packet(self, time_ns: int, data: bytes) -> None:
        stamp = struct.pack("<IIIII", 0, time_ns >> 32, time_ns & 0xFFFFFFFF, len(data), len(data))
        self._block(ENHANCED_PACKET, stamp + padded(data))

    def _block(self, kind: int, body: bytes) -> None:
        size = len(body) + 12
        self._file.write(struct.pack("<II", kind, size) + body + struct.pack("<I", size))


def option(code: int, value: bytes = b"") -> bytes:
    """An option; code 0 ends the list, an empty value leaves the option out."""
    if code and not value:
        return b""
    return struct.pack("<HH", code, len(value)) + padded(value)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)

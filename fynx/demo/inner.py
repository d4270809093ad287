"""Inner packets made by hand, for the demo without devices: ICMP echo (RFC 792), UDP (RFC 768), IPv4."""

from __future__ import annotations

import struct

ICMP, UDP = 1, 17
ECHO_REPLY, ECHO_REQUEST = 0, 8
PORT = 7296


def ipv4(source: bytes, destination: bytes, protocol: int, payload: bytes) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0)
    whole = head + source + destination
    return whole[:10] + checksum(whole) + whole[12:] + payload


def checksum(data: bytes) -> bytes:
    """The Internet checksum of RFC 1071."""
    words = struct.unpack(f"!{len(data + bytes(len(data) % 2)) // 2}H", data + bytes(len(data) % 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


def echo(kind: int, rest: bytes) -> bytes:
    """An ICMP echo message; ``rest`` is identifier, sequence number and data."""
    whole = bytes([kind, 0, 0, 0]) + rest
    return whole[:2] + checksum(whole) + whole[4:]


def datagram(data: bytes) -> bytes:
    """A UDP datagram from and to the demo's port, without a checksum."""
    return struct.pack("!HHHH", PORT, PORT, 8 + len(data), 0) + data


def parse(packet: bytes) -> tuple[int, bytes, bytes]:
    """Protocol, source, and what stands behind the headers: an ICMP message, or the data of a UDP datagram."""
    body = packet[(packet[0] & 15) * 4 :]
    return packet[9], packet[12:16], body[8:] if packet[9] == UDP else body

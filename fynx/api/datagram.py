"""UDP datagrams in IP packets, for programs that have something to say and no stack of their own (RFC 768)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

UDP, HOPS = 17, 64
HEAD4, HEAD6, UDP_HEAD = 20, 40, 8


@dataclass(frozen=True, slots=True)
class Datagram:
    """``source`` and ``target`` are inner addresses."""

    source: str
    target: str
    payload: bytes
    source_port: int = 7000
    target_port: int = 7000

    def packet(self) -> bytes:
        """The whole IP packet. Raises ``ValueError`` for addresses that do not fit together."""
        here, there = ip_address(self.source), ip_address(self.target)
        if here.version != there.version:
            raise ValueError("an IPv4 and an IPv6 address do not talk to each other")
        pseudo = here.packed + there.packed + struct.pack("!IHBB", UDP_HEAD + len(self.payload), 0, 0, UDP)
        head = struct.pack("!HHH", self.source_port, self.target_port, UDP_HEAD + len(self.payload))
        total = checksum(pseudo + head + b"\0\0" + self.payload) or 0xFFFF
        body = head + struct.pack("!H", total) + self.payload
        return _ip(here, there, len(body)) + body

    def reply(self, payload: bytes) -> Datagram:
        """Back to where it came from."""
        return Datagram(self.target, self.source, payload, self.target_port, self.source_port)


def parse(packet: bytes) -> Datagram | None:
    """None for what is no whole UDP datagram."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= HEAD4:
        start, protocol = (packet[0] & 15) * 4, packet[9]
        here, there = str(IPv4Address(packet[12:16])), str(IPv4Address(packet[16:20]))
    elif version == 6 and len(packet) >= HEAD6:
        start, protocol = HEAD6, packet[6]
        here, there = str(IPv6Address(packet[8:24])), str(IPv6Address(packet[24:40]))
    else:
        return None
    if protocol != UDP or len(packet) < start + UDP_HEAD:
        return None
    near, far, length = struct.unpack_from("!HHH", packet, start)
    return Datagram(here, there, packet[start + UDP_HEAD : start + length], near, far)


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _ip(here: IPv4Address | IPv6Address, there: IPv4Address | IPv6Address, length: int) -> bytes:
    if here.version == 6:
        return struct.pack("!IHBB", 6 << 28, length, UDP, HOPS) + here.packed + there.packed
    head = struct.pack("!BBHHHBBH", 0x45, 0, HEAD4 + length, 0, 0, HOPS, UDP, 0) + here.packed + there.packed
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:]

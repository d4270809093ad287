"""Reads capture files (pcap, pcapng, snoop; gzipped or bare) down to UDP payloads and ESP packets."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from struct import Struct, unpack_from

LINK_NULL, LINK_ETHERNET, LINK_RAW, LINK_SLL = 0, 1, 101, 113
IP_ESP, IP_UDP = 50, 17

_SNOOP_ETHERNET = 4
_ETHERTYPES = {0x0800, 0x86DD}
_VLAN = 0x8100


@dataclass(frozen=True, slots=True)
class Frame:
    """One captured frame. ``cut`` when the capture kept fewer octets than there were."""

    data: bytes
    linktype: int
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Packet:
    """One IP packet: packed addresses, and what follows the IP header. ``cut`` when octets are missing."""

    source: str
    destination: str
    protocol: int
    payload: bytes
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Datagram:
    """One UDP datagram."""

    source: str
    source_port: int
    destination: str
    destination_port: int
    payload: bytes
    cut: bool = False


def frames(path: Path) -> Iterator[Frame]:
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        return _pcapng(data)
    if data[:5] == b"snoop":
        return _snoop(data)
    return _pcap(data)


def packets(path: Path) -> Iterator[Packet]:
    """The IP packets of a file, fragments left as they are."""
    for frame in frames(path):
        packet = _ip(frame)
        if packet is not None:
            yield packet


def datagrams(path: Path) -> Iterator[Datagram]:
    """The UDP datagrams of a file, as long as their headers say and the capture allows."""
    for packet in packets(path):
        if packet.protocol != IP_UDP or len(packet.payload) < 8:
            continue
        source_port, destination_port, length = unpack_from("!HHH", packet.payload)
        cut = packet.cut or length > len(packet.payload)
        payload = packet.payload[8:length] if length >= 8 else packet.payload[8:]
        yield Datagram(packet.source, source_port, packet.destination, destination_port, payload, cut)


def esp_packets(path: Path) -> Iterator[Packet]:
    """ESP directly in IP; that in UDP is found among the datagrams."""
    return (packet for packet in packets(path) if packet.protocol == IP_ESP)


def _pcap(data: bytes) -> Iterator[Frame]:
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\xa1\xb2\x3c\x4d": ">"}[
        data[:4]
    ]
    linktype = unpack_from(f"{order}I", data, 20)[0] & 0xFFFF
    record = Struct(f"{order}IIII")
    offset = 24
    while offset + 16 <= len(data):
        _, _, kept, original = record.unpack_from(data, offset)
        yield Frame(data[offset + 16 : offset + 16 + kept], linktype, kept < original)
        offset += 16 + kept


def _pcapng(data: bytes) -> Iterator[Frame]:
    order, links, offset = "<", list[int](), 0
    while offset + 12 <= len(data):
        kind = unpack_from(f"{order}I", data, offset)[0]
        if kind == 0x0A0D0D0A:
            order = "<" if data[offset + 8 : offset + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            links = []
        length = unpack_from(f"{order}I", data, offset + 4)[0]
        if length < 12:
            return
        if kind == 1:
            links.append(unpack_from(f"{order}H", data, offset + 8)[0])
        elif kind == 6:
            interface, _, _, kept, original = unpack_from(f"{order}IIIII", data, offset + 8)
            yield Frame(data[offset + 28 : offset + 28 + kept], links[interface], kept < original)
        elif kind == 3:
            original = unpack_from(f"{order}I", data, offset + 8)[0]
            kept = min(original, length - 16)
            yield Frame(data[offset + 12 : offset + 12 + kept], links[0], kept < original)
        offset += length


def _snoop(data: bytes) -> Iterator[Frame]:
    """RFC 1761."""
    if unpack_from("!I", data, 12)[0] != _SNOOP_ETHERNET:
        raise ValueError("a snoop file that is not of Ethernet")
    offset = 16
    while offset + 24 <= len(data):
        original, kept, record = unpack_from("!III", data, offset)
        yield Frame(data[offset + 24 : offset + 24 + kept], LINK_ETHERNET, kept < original)
        offset += record


def _ip(frame: Frame) -> Packet | None:
    data = _network(frame)
    if data and data[0] >> 4 == 4 and len(data) >= 20:
        return _ipv4(data, frame.cut)
    if data and data[0] >> 4 == 6 and len(data) >= 40:
        return _ipv6(data, frame.cut)
    return None


def _network(frame: Frame) -> bytes:
    data = frame.data
    match frame.linktype:
        case 0:
            return data[4:]
        case 1:
            offset = 12
            while data[offset : offset + 2] == _VLAN.to_bytes(2, "big"):
                offset += 4
            return data[offset + 2 :] if int.from_bytes(data[offset : offset + 2], "big") in _ETHERTYPES else b""
        case 113:
            return data[16:]
        case 101 | 12 | 228 | 229:
            return data
        case _:
            return b""


def _ipv4(data: bytes, cut: bool) -> Packet:
    header = (data[0] & 0x0F) * 4
    total = int.from_bytes(data[2:4], "big")
    source, destination = str(IPv4Address(data[12:16])), str(IPv4Address(data[16:20]))
    return Packet(source, destination, data[9], data[header : total or None], cut or total > len(data))


def _ipv6(data: bytes, cut: bool) -> Packet:
    total = 40 + int.from_bytes(data[4:6], "big")
    source, destination = str(IPv6Address(data[8:24])), str(IPv6Address(data[24:40]))
    return Packet(source, destination, data[6], data[40:total], cut or total > len(data))

"""Frames with a virtio-net header (virtio 1.2 section 5.1.6), cut by the book: what the plane must agree with."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fynx.esp._plane import ffi, lib

NEEDS_CSUM = 1
NONE, TCP4, TCP6, UDP_L4, ECN = 0, 1, 4, 5, 0x80
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
TCP, UDP = 6, 17
ENDS = {4: ("198.18.1.9", "198.18.2.7"), 6: ("fd00:1::9", "fd00:2::7")}

ROOM = ffi.new("uint8_t[]", 1 << 22)


@dataclass(frozen=True, slots=True)
class Frame:
    """Header fields and octets of one frame."""

    data: bytes
    flags: int = 0
    type: int = NONE
    head: int = 0
    size: int = 0
    start: int = 0
    offset: int = 0

    @property
    def header(self) -> bytes:
        return struct.pack("=BBHHHH", self.flags, self.type, self.head, self.size, self.start, self.offset)

    @classmethod
    def parse(cls, octets: bytes) -> Frame:
        flags, kind, head, size, start, offset = struct.unpack_from("=BBHHHH", octets)
        return cls(octets[10:], flags, kind, head, size, start, offset)


def ones(data: bytes) -> int:
    """The folded sum of RFC 1071, not complemented."""
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def pseudo(packet: bytes, protocol: int, length: int) -> bytes:
    addresses = packet[12:20] if packet[0] >> 4 == 4 else packet[8:40]
    return addresses + struct.pack(">II", length, protocol)


def with_ip(version: int, protocol: int, body: bytes, **fields: int) -> bytes:
    """``body`` in an IP packet. Fields: tos, id, flags (DF 0x4000), ttl, last (octet of the source address)."""
    source, target = (ipaddress.ip_address(text).packed for text in ENDS[version])
    source = source[:-1] + bytes([fields.get("last", source[-1])])
    tos, ttl = fields.get("tos", 0), fields.get("ttl", 64)
    if version == 6:
        return struct.pack(">IHBB", 6 << 28 | tos << 20, len(body), protocol, ttl) + source + target + body
    wire = fields.get("id", 0) & 0xFFFF, fields.get("flags", 0x4000)
    head = struct.pack(">BBHHHBBH", 0x45, tos, 20 + len(body), *wire, ttl, protocol, 0) + source + target
    return head[:10] + (ones(head) ^ 0xFFFF).to_bytes(2, "big") + head[12:] + body


def summed(packet: bytes, protocol: int, l4: int, *, partial: bool = False) -> bytes:
    """With its TCP or UDP checksum, or with the pseudo header's sum alone."""
    at = l4 + (16 if protocol == TCP else 6)
    clean = packet[:at] + bytes(2) + packet[at + 2 :]
    false_head = pseudo(packet, protocol, len(packet) - l4)
    value = ones(false_head) if partial else ones(false_head + clean[l4:]) ^ 0xFFFF
    if protocol == UDP and not partial and value == 0:
        value = 0xFFFF
    return packet[:at] + value.to_bytes(2, "big") + packet[at + 2 :]


def tcp(version: int, payload: bytes, *, partial: bool = False, **fields: int) -> bytes:
    """A TCP packet. Fields as ``with_ip``, and seq, ack, bits, window, port, options (words of 4 octets)."""
    options = bytes([1, 1, 8, 10, *range(8)] * 4)[: 4 * fields.get("options", 3)]
    words = 5 + len(options) // 4
    seq, bits = fields.get("seq", 7) & 0xFFFFFFFF, fields.get("bits", ACK)
    ports = fields.get("port", 2000), 1000
    head = struct.pack(
        ">HHIIBBHHH", *ports, seq, fields.get("ack", 9), words << 4, bits, fields.get("window", 500), 0, 0
    )
    packet = with_ip(version, TCP, head + options + payload, **fields)
    return summed(packet, TCP, 20 if version == 4 else 40, partial=partial)


def udp(version: int, payload: bytes, *, partial: bool = False, **fields: int) -> bytes:
    head = struct.pack(">HHHH", fields.get("port", 2000), 1000, 8 + len(payload), 0)
    packet = with_ip(version, UDP, head + payload, **fields)
    return summed(packet, UDP, 20 if version == 4 else 40, partial=partial)


def superframe(protocol: int, version: int, payload: bytes, size: int, **fields: int) -> Frame:
    """As a kernel hands it to a TUN device that can do TSO and USO."""
    start = 20 if version == 4 else 40
    if protocol == UDP:
        return Frame(udp(version, payload, partial=True, **fields), NEEDS_CSUM, UDP_L4, start + 8, size, start, 6)
    data = tcp(version, payload, partial=True, **fields)
    kind = (TCP4 if version == 4 else TCP6) | (ECN if fields.get("bits", 0) & CWR else 0)
    return Frame(data, NEEDS_CSUM, kind, len(data) - len(payload), size, start, 16)


def cut(frame: Frame) -> list[bytes]:
    """The packets of a frame, by the book."""
    kind, data = frame.type & ~ECN, frame.data
    if kind == NONE:
        return [_completed(frame)]
    version, l4 = data[0] >> 4, frame.start
    protocol = UDP if kind == UDP_L4 else TCP
    head = l4 + (8 if protocol == UDP else (data[l4 + 12] >> 4) * 4)
    payload = data[head:]
    pieces = [payload[at : at + frame.size] for at in range(0, len(payload), frame.size)]
    return [
        _segment(data[:head], version, protocol, l4, piece, index, index * frame.size, index == len(pieces) - 1)
        for index, piece in enumerate(pieces)
    ]


def _segment(
    head: bytes, version: int, protocol: int, l4: int, piece: bytes, index: int, done: int, last: bool
) -> bytes:
    packet = bytearray(head + piece)
    if version == 4:
        struct.pack_into(">HH", packet, 2, len(packet), (struct.unpack_from(">H", head, 4)[0] + index) & 0xFFFF)
        packet[10:12] = bytes(2)
        packet[10:12] = (ones(bytes(packet[:l4])) ^ 0xFFFF).to_bytes(2, "big")
    else:
        struct.pack_into(">H", packet, 4, len(packet) - 40)
    if protocol == UDP:
        struct.pack_into(">H", packet, l4 + 4, len(packet) - l4)
    else:
        struct.pack_into(">I", packet, l4 + 4, (struct.unpack_from(">I", head, l4 + 4)[0] + done) & 0xFFFFFFFF)
        packet[l4 + 13] &= 0xFF if last else ~(FIN | PSH) & 0xFF
        packet[l4 + 13] &= ~CWR & 0xFF if index else 0xFF
    return summed(bytes(packet), protocol, l4)


def _completed(frame: Frame) -> bytes:
    if not frame.flags & NEEDS_CSUM:
        return frame.data
    at = frame.start + frame.offset
    value = ones(frame.data[frame.start :]) ^ 0xFFFF
    if frame.offset == 6 and value == 0:
        value = 0xFFFF
    return frame.data[:at] + value.to_bytes(2, "big") + frame.data[at + 2 :]


def plane_cut(frame: Frame) -> list[bytes]:
    """The packets of a frame as the plane cuts it; none for a frame that it refuses."""
    return list(_records(lib.fynx_split_run(frame.header, frame.data, len(frame.data), ROOM, len(ROOM))))


def plane_join(packets: Sequence[bytes], *, udp: bool = True) -> list[Frame]:
    lengths = ffi.new("uint32_t[]", [len(each) for each in packets])
    size = lib.fynx_join_run(b"".join(packets), lengths, len(packets), udp, ROOM, len(ROOM))
    return [Frame.parse(each) for each in _records(size)]


def flat(frames: Iterable[Frame]) -> list[bytes]:
    return [packet for frame in frames for packet in cut(frame)]


def _records(size: int) -> Iterator[bytes]:
    data, at = bytes(ffi.buffer(ROOM, size)), 0
    while at < size:
        (length,) = struct.unpack_from("=I", data, at)
        yield data[at + 4 : at + 4 + length]
        at += 4 + (length + 3) // 4 * 4

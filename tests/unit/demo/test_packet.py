"""Finding IKE and ESP in frames (RFC 3948 section 2), and what is sent again."""

from __future__ import annotations

import struct

import pytest

from fynx.demo.capture import Packet
from fynx.demo.inner import UDP, checksum, ipv4
from fynx.demo.packet import find, handshake_s, without_checksum

ALICE, BOB = bytes([192, 0, 2, 2]), bytes([192, 0, 2, 130])


def frame(port: int, data: bytes, protocol: int = UDP) -> bytes:
    udp = struct.pack("!HHHH", port, port, 8 + len(data), 0xABCD) + data if protocol == UDP else data
    return bytes(12) + b"\x08\x00" + ipv4(ALICE, BOB, protocol, udp)


def ike(exchange: int, flags: int) -> bytes:
    return bytes(16) + bytes([33, 0x20, exchange, flags]) + bytes(8)


@pytest.mark.parametrize(
    ("port", "data", "kind", "body"),
    [
        (500, ike(34, 8), "ike", ike(34, 8)),
        (4500, bytes(4) + ike(35, 8), "ike", ike(35, 8)),
        (4500, b"\0\0\1\0" + b"esp", "esp", b"\0\0\1\0esp"),
    ],
)
def test_udp_500_is_ike_and_4500_is_told_by_the_marker(port: int, data: bytes, kind: str, body: bytes) -> None:
    seen = find(Packet(1, frame(port, data)))
    assert seen is not None
    assert (seen.kind, seen.body, seen.source, seen.destination) == (kind, body, "192.0.2.2", "192.0.2.130")


@pytest.mark.parametrize("data", [frame(4500, b"\xff"), frame(53, b"dns"), bytes(60), b"", frame(1, b"", 1)])
def test_keepalives_and_strangers_are_neither(data: bytes) -> None:
    assert find(Packet(1, data)) is None


def test_protocol_50_is_esp() -> None:
    seen = find(Packet(1, frame(0, b"\0\0\1\0rest", 50)))
    assert seen is not None
    assert seen.kind == "esp"


def test_a_handshake_lasts_from_the_first_request_to_the_answer_to_auth() -> None:
    times = {1_000_000: ike(34, 8), 3_000_000: ike(34, 0x20), 4_000_000: ike(35, 8), 9_000_000: ike(35, 0x20)}
    seen = [find(Packet(time_ns, frame(500, data))) for time_ns, data in times.items()]
    assert handshake_s([one for one in seen if one]) == pytest.approx(0.008)
    assert handshake_s([one for one in seen[:3] if one]) is None


def test_a_replayed_frame_has_no_udp_checksum_and_is_the_same_otherwise() -> None:
    before = frame(4500, b"\0\0\1\0rest")
    after = without_checksum(before)
    assert after[40:42] == bytes(2)
    assert after[:40] + after[42:] == before[:40] + before[42:]


def test_the_internet_checksum_of_a_header_with_its_checksum_is_zero() -> None:
    assert checksum(ipv4(ALICE, BOB, UDP, b"")) == bytes(2)

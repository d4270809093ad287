"""Cutting and joining of frames: equal to the book for every frame, and joined frames give back what went in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.esp.frames import (
    ACK,
    CWR,
    ECE,
    FIN,
    NEEDS_CSUM,
    PSH,
    RST,
    SYN,
    TCP,
    TCP4,
    UDP,
    UDP_L4,
    URG,
    Frame,
    cut,
    flat,
    ones,
    plane_cut,
    plane_join,
    superframe,
    tcp,
    udp,
    with_ip,
)

SLOWLY = settings(max_examples=80, database=None)
VERSIONS = st.sampled_from([4, 6])
PROTOCOLS = st.sampled_from([TCP, UDP])


def octets(length: int, seed: int) -> bytes:
    return bytes((seed + at * at // 7) & 0xFF for at in range(length))


@SLOWLY
@given(
    VERSIONS,
    PROTOCOLS,
    st.integers(1, 9000),
    st.integers(1, 1500),
    st.integers(0, 255),
    st.fixed_dictionaries({}, optional={
        "seq": st.sampled_from([0, 7, 0xFFFFFFFF, 0xFFFFF000]),
        "bits": st.integers(0, 255),
        "id": st.sampled_from([0, 1, 0xFFFF]),
        "flags": st.sampled_from([0, 0x4000]),
        "options": st.integers(0, 10),
        "tos": st.integers(0, 255),
        "window": st.integers(0, 65535),
    }),
)  # fmt: skip
def test_a_frame_is_cut_as_the_book_says(
    version: int, protocol: int, length: int, size: int, seed: int, fields: dict[str, int]
) -> None:
    size = max(size, length // 700 + 1)
    frame = superframe(protocol, version, octets(length, seed), size, **fields)
    assert plane_cut(frame) == cut(frame)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 31, 32, 33, 64, 1399, 1400, 9001, 65000])
def test_a_checksum_left_to_the_device_is_finished(version: int, length: int) -> None:
    start = 20 if version == 4 else 40
    for make, offset in ((udp, 6), (tcp, 16)):
        data = octets(length, 3)
        frame = Frame(make(version, data, partial=True), NEEDS_CSUM, 0, 0, 0, start, offset)
        assert plane_cut(frame) == [make(version, data)] == cut(frame)


def test_a_udp_checksum_of_zero_is_written_as_all_ones() -> None:
    wanted = next(
        packet
        for n in range(1 << 16)
        if (packet := udp(4, n.to_bytes(2, "big")))[26:28] == b"\xff\xff"
    )  # fmt: skip
    frame = Frame(udp(4, wanted[28:], partial=True), NEEDS_CSUM, 0, 0, 0, 20, 6)
    assert plane_cut(frame) == [wanted]


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0},
        {"flags": 0},
        {"type": 3},
        {"type": 2},
        {"type": 4},
        {"start": 24},
        {"start": 65535},
        {"offset": 6},
        {"offset": 65535},
        {"data": b""},
        {"data": b"\x45" + bytes(18)},
        {"data": tcp(4, b"")},
        {"data": tcp(4, bytes(9))[:52] + b"\xff" * 9},
        {"data": b"\x45" + bytes(31) + b"\x40" + bytes(30)},
        {"data": b"\x45" + bytes(31) + b"\xf0" + bytes(30)},
    ],
)
def test_E28_a_frame_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    good = superframe(TCP, 4, bytes(3000), 1000)
    assert len(plane_cut(good)) == 3
    data = replace(good, **wrong)  # type: ignore[arg-type]
    if data.data[:1] == b"\x45" and len(data.data) == 61 and data.data[52:] == b"\xff" * 9:
        assert len(plane_cut(data)) == 1  # the length in the IP header is ours to write
        return
    assert plane_cut(data) == []


SPOILT = st.sampled_from(
    [{}] * 6
    + [{"tos": 3}, {"ttl": 3}, {"ack": 3}, {"window": 3}, {"id": 77}, {"options": 0}, {"flags": 0x2000}]
    + [{"flags": 0x8000}]
)


@st.composite
def flows(draw: st.DrawFn) -> list[bytes]:
    """Packets of a few flows, mostly in order, some of them spoilt in one way."""
    packets: list[bytes] = []
    for _ in range(draw(st.integers(1, 4))):
        version, protocol = draw(VERSIONS), draw(PROTOCOLS)
        size, seq, number = draw(st.sampled_from([1, 64, 1348])), draw(st.integers(0, 2**32 - 1)), 0
        last = draw(st.integers(1, 2))
        flags = draw(st.sampled_from([0, 0x4000]))
        for _ in range(draw(st.integers(1, 8))):
            length = draw(st.sampled_from([size] * 6 + [0, 1, max(size - 1, 1), size + 1]))
            bits = draw(st.sampled_from([ACK] * 6 + [ACK | PSH, ACK | ECE, ACK | FIN, SYN, RST, ACK | CWR, ACK | URG]))
            fields = {"seq": seq, "id": number, "bits": bits, "last": last, "flags": flags}
            fields |= draw(SPOILT)
            packet = (tcp if protocol == TCP else udp)(version, octets(length, number), **fields)
            if draw(st.integers(0, 9)) == 0:
                at = draw(st.integers(0, len(packet) - 1))
                packet = packet[:at] + bytes([packet[at] ^ draw(st.integers(1, 255))]) + packet[at + 1 :]
            packets.append(packet)
            seq, number = (seq + length) & 0xFFFFFFFF, number + 1
    return packets


def essence(packet: bytes) -> bytes:
    """Without what means nothing where fragments are forbidden: the identification (RFC 6864 section 4.1)."""
    if len(packet) < 20 or packet[0] >> 4 != 4 or packet[6] & 0x40 == 0 or ones(packet[:20]) != 0xFFFF:
        return packet
    return packet[:4] + packet[6:10] + packet[12:]


@SLOWLY
@given(flows(), st.booleans())
def test_joined_frames_give_back_every_packet_as_it_came_and_in_order(packets: list[bytes], uso: bool) -> None:
    frames = plane_join(packets, udp=uso)
    assert list(map(essence, flat(frames))) == list(map(essence, packets))
    for frame in frames:
        assert plane_cut(frame) == cut(frame)
        assert len(frame.data) <= 65535
        assert uso or frame.type != UDP_L4


def run(version: int, count: int, **fields: int) -> list[bytes]:
    return [
        tcp(version, octets(1000, n), seq=5 + 1000 * n, id=n, bits=ACK | (PSH if n == count - 1 else 0), **fields)
        for n in range(count)
    ]


@pytest.mark.parametrize("version", [4, 6])
def test_a_flow_in_order_becomes_one_frame(version: int) -> None:
    (frame,) = plane_join(run(version, 40))
    assert (frame.size, frame.flags, len(frame.data)) == (1000, NEEDS_CSUM, 40000 + frame.head)
    assert frame.data[frame.start + 13] == ACK | PSH
    (frame,) = plane_join([udp(version, octets(64, n), id=n) for n in range(64)])
    assert (frame.size, frame.type) == (64, UDP_L4)


def test_a_frame_holds_64_packets_and_65535_octets_at_most() -> None:
    assert [len(cut(frame)) for frame in plane_join([udp(4, b"x") for _ in range(130)])] == [64, 64, 2]
    assert [len(cut(frame)) for frame in plane_join(run(4, 70))] == [64, 6]
    big = [tcp(4, bytes(9000), seq=7 + 9000 * n) for n in range(9)]
    assert [len(cut(frame)) for frame in plane_join(big)] == [7, 2]


@pytest.mark.parametrize(
    "other",
    [
        {"tos": 1}, {"ttl": 63}, {"last": 3}, {"port": 3}, {"ack": 8}, {"window": 501}, {"options": 4},
        {"bits": ACK | ECE}, {"bits": ACK | FIN}, {"bits": ACK | CWR}, {"bits": ACK | SYN}, {"bits": ACK | RST},
        {"bits": ACK | URG}, {"bits": 0}, {"seq": 1006}, {"seq": 5}, {"flags": 0}, {"flags": 0x6000}, {"flags": 0x4001},
    ],
)  # fmt: skip
def test_a_packet_that_differs_stands_alone(other: dict[str, int]) -> None:
    first, second = tcp(4, bytes(1000), seq=5), tcp(4, bytes(1000), **({"seq": 1005} | other))
    assert len(plane_join([first, tcp(4, bytes(1000), seq=1005)])) == 1
    assert flat(plane_join([first, second])) == [first, second]
    assert len(plane_join([first, second])) == 2


def test_nothing_follows_a_short_packet_or_a_pushed_one() -> None:
    short = [tcp(4, bytes(1000), seq=0), tcp(4, bytes(10), seq=1000), tcp(4, bytes(10), seq=1010)]
    assert [len(cut(frame)) for frame in plane_join(short)] == [2, 1]
    pushed = [tcp(4, bytes(1000), seq=0, bits=ACK | PSH), tcp(4, bytes(1000), seq=1000)]
    assert len(plane_join(pushed)) == 2


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("at", [1, 11, 25, 37, 60, -1])
def test_E29_a_damaged_packet_is_never_vouched_for(which: int, at: int) -> None:
    packets = [tcp(4, bytes(1000), seq=0), tcp(4, bytes(1000), seq=1000)]
    damaged = bytearray(packets[which])
    damaged[at] ^= 0x10
    packets[which] = bytes(damaged)
    frames = plane_join(packets)
    assert [frame.data for frame in frames] == packets
    assert {frame.flags for frame in frames} == {0}


def test_other_protocols_fragments_and_packets_without_checksum_stand_alone() -> None:
    silent = udp(4, b"abc")
    silent = silent[:26] + bytes(2) + silent[28:]
    for packet in (with_ip(4, 1, bytes(40)), with_ip(6, 44, bytes(40)), silent, tcp(4, b""), bytes(60), b"", b"\x45"):
        assert [frame.data for frame in plane_join([packet, packet])] == [packet, packet]
    assert TCP4 not in {frame.type for frame in plane_join(run(4, 1))}

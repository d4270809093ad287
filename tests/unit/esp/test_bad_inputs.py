"""Rows of the bad-input table for receiving ESP: what must be dropped is dropped, counted, and changes nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from random import Random

import pytest

from tests.unit.esp.workshop import (
    PROVIDERS,
    SPI_IN,
    SUITES,
    Lane,
    inbound,
    ipv4,
    ipv6,
    lane,
    network,
    udp,
)

BOTH = pytest.mark.parametrize("suite", ["aes256gcm16", "aes256-sha512"])
INSIDE6 = {"local_ts": (network("2001:db8:1::/48"),), "remote_ts": (network("2001:db8:2::/48"),)}


@pytest.fixture
def receiver() -> Iterator[Lane]:
    made = lane()
    yield made
    made.engine.stop()


@BOTH
def test_E1_packets_shorter_than_their_fields_are_dropped(suite: str) -> None:
    made = lane(suite=SUITES[suite])
    good = made.packet(1, inbound())
    smallest = 8 + made.key.iv_len + made.key.icv_len + 2
    assert made.put(*(good[:length] for length in range(smallest))) == []
    assert made.drops() == {"short": 8, "length": smallest - 8}
    assert made.put(good) == [inbound()], "the window did not move"


def test_E2_reserved_and_unknown_spis_are_dropped_and_counted(receiver: Lane) -> None:
    good = receiver.packet(1, inbound())
    strangers = [0, 1, 255, 256, SPI_IN ^ 1 << 31, SPI_IN + 1, 0xFFFFFFFF]
    assert receiver.put(*(spi.to_bytes(4, "big") + good[4:] for spi in strangers)) == []
    assert receiver.drops() == {"unknown_spi": len(strangers)}
    assert receiver.put(good) == [inbound()]


def test_d7_a_flood_of_spis_that_nobody_gave_out_is_counted_and_told_rarely(receiver: Lane) -> None:
    """Of what goes to the control side, and from there to the log, there is a handful in a second."""
    good, random = receiver.packet(1, inbound()), Random(7)
    flood = [random.randbytes(4) + good[4:] for _ in range(5000)]
    assert receiver.put(*flood) == []
    assert receiver.drops() == {"unknown_spi": 5000}
    assert 1 <= len(receiver.engine.drain()) <= 100
    assert receiver.put(good) == [inbound()]


@pytest.mark.parametrize("provider", PROVIDERS)
@BOTH
def test_E3_every_flipped_bit_of_the_icv_is_refused(provider: str, suite: str) -> None:
    made = lane(provider, suite=SUITES[suite])
    good = made.packet(1, inbound())
    start = len(good) - made.key.icv_len
    bad = [
        good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :] for at in range(start, len(good)) for bit in range(8)
    ]
    assert made.put(*bad) == []
    assert made.drops() == {"integrity": 8 * made.key.icv_len}
    assert made.engine.usage(1).drops == {"integrity": 8 * made.key.icv_len}
    assert made.put(good) == [inbound()], "the window did not move"


@BOTH
def test_E3_a_truncated_or_extended_icv_is_refused(suite: str) -> None:
    made = lane(suite=SUITES[suite])
    good = made.packet(1, inbound())
    block = made.key.block
    assert made.put(good[:-block], good + bytes(block), good[:-4], good[:-1], good + b"\0") == []
    assert set(made.drops()) == {"integrity", "length"}
    assert made.put(good) == [inbound()]


@BOTH
def test_E4_a_body_that_is_no_multiple_of_the_block_is_dropped(suite: str) -> None:
    made = lane(suite=SUITES[suite])
    good, block = made.packet(1, inbound()), made.key.block
    assert made.put(*(good + bytes(extra) for extra in range(1, block))) == []
    assert made.drops() == {"length": block - 1}


@pytest.mark.parametrize("padding", [1, 2, 3, 50, 253, 254, 255])
@BOTH
def test_E5_a_pad_length_beyond_the_body_is_dropped_after_the_icv(suite: str, padding: int) -> None:
    made = lane(suite=SUITES[suite])
    body = bytes(made.key.block - 2)
    bad = made.packet(1, body, tail=bytes([padding + len(body), 4])) if padding + len(body) < 256 else b""
    fits = bad or made.packet(1, body, tail=bytes([255, 4]))
    assert made.put(fits) == []
    assert made.drops() == {"padding": 1}
    assert made.put(fits) == []
    assert made.drops() == {"padding": 1, "replay": 1}, "the ICV held, so the window moved"


def test_E5_a_pad_length_that_takes_the_whole_body_leaves_no_packet(receiver: Lane) -> None:
    assert receiver.put(receiver.packet(1, b"", tail=bytes([1, 2, 2, 4]))) == []
    assert receiver.drops() == {"inner_header": 1}


@pytest.mark.parametrize("tail", [b"\0\0\3\3", b"\1\2\2\3", b"\2\1\3\3", b"\1\3\3\3"])
@BOTH
def test_E6_padding_that_does_not_count_up_is_dropped(suite: str, tail: bytes) -> None:
    made = lane(suite=SUITES[suite])
    packet = ipv4("198.18.2.7", "198.18.1.9", bytes(24 - 1))
    whole = tail[:3] + bytes([3, 4])
    assert (len(packet) + len(whole)) % 16 == 0
    assert whole != b"\1\2\3\3\4"
    assert made.put(made.packet(1, packet, tail=whole)) == []
    assert made.drops() == {"padding": 1}


def test_E7_a_dummy_packet_is_dropped_and_moves_the_window(receiver: Lane) -> None:
    dummy = receiver.packet(5, os.urandom(50), next_header=59)
    assert receiver.put(dummy, dummy) == []
    assert receiver.drops() == {"dummy": 1, "replay": 1}


@pytest.mark.parametrize("next_header", [0, 6, 17, 50, 51, 108, 41, 58, 255])
def test_E8_a_next_header_that_does_not_fit_a_tunnel_is_dropped(receiver: Lane, next_header: int) -> None:
    assert receiver.put(receiver.packet(1, inbound(), next_header)) == []
    assert receiver.drops() == {"next_header": 1}


def test_E8_ipv6_under_next_header_4_is_dropped() -> None:
    made = lane(**INSIDE6)
    packet = ipv6("2001:db8:2::7", "2001:db8:1::9", udp(1, 2))
    assert made.put(made.packet(1, packet, next_header=4)) == []
    assert made.drops() == {"next_header": 1}
    assert made.put(made.packet(2, packet, next_header=41)) == [packet]


BAD_IPV4 = {
    "no octet": b"",
    "half a header": inbound()[:19],
    "ihl 4": ipv4("198.18.2.7", "198.18.1.9", first=0x44),
    "ihl 0": ipv4("198.18.2.7", "198.18.1.9", first=0x40),
    "ihl beyond the packet": ipv4("198.18.2.7", "198.18.1.9", b"", first=0x4F),
    "total 0": ipv4("198.18.2.7", "198.18.1.9", total=0),
    "total below ihl": ipv4("198.18.2.7", "198.18.1.9", total=19),
    "total beyond the rest": ipv4("198.18.2.7", "198.18.1.9", total=28),
    "total 65535": ipv4("198.18.2.7", "198.18.1.9", total=65535),
}


@pytest.mark.parametrize("name", BAD_IPV4)
def test_E9_a_malformed_inner_ipv4_header_is_dropped(receiver: Lane, name: str) -> None:
    assert receiver.put(receiver.packet(1, BAD_IPV4[name])) == []
    assert receiver.drops() == {"inner_header": 1}


def test_E9_an_inner_version_that_is_neither_is_dropped(receiver: Lane) -> None:
    assert receiver.put(receiver.packet(1, b"\x55" + inbound()[1:])) == []
    assert receiver.drops() == {"next_header": 1}


def six(payload: bytes = b"", protocol: int = 17, **fields: int) -> bytes:
    return ipv6("2001:db8:2::7", "2001:db8:1::9", payload, protocol, **fields)


def chain(*links: tuple[int, int]) -> bytes:
    """Extension headers of 8 (1 + units) octets: (next, units) each."""
    return b"".join(bytes([following, units]) + bytes(6 + 8 * units) for following, units in links)


BAD_IPV6 = {
    "half a header": six()[:39],
    "payload length beyond the rest": six(udp(1, 2), plen=13),
    "jumbo: length 0 with hop-by-hop": six(bytes([59, 0, 0xC2, 4, 0, 1, 0, 0]), 0, plen=0),
    "chain of 100 hop-by-hop": six(chain(*[(0, 0)] * 99, (59, 0)), 0),
    "chain of 9 destination options": six(chain(*[(60, 0)] * 8, (59, 0)), 60),
    "hop-by-hop not first": six(chain((0, 0), (59, 0)), 60),
    "extension longer than the packet": six(bytes([59, 200]) + bytes(6), 60),
    "extension cut off": six(bytes([59, 0, 0]), 60),
    "fragment header cut off": six(bytes([17, 0, 0, 0, 0, 0, 0]), 44),
}


@pytest.mark.parametrize("name", BAD_IPV6)
def test_E9_a_malformed_inner_ipv6_header_is_dropped(name: str) -> None:
    made = lane(**INSIDE6)
    assert made.put(made.packet(1, BAD_IPV6[name], next_header=41)) == []
    assert made.drops() == {"inner_header": 1}


def test_E9_octets_behind_the_inner_length_are_tfc_padding_and_cut_off(receiver: Lane) -> None:
    assert receiver.put(receiver.packet(1, inbound() + os.urandom(400))) == [inbound()]
    assert receiver.drops() == {}


def test_E9_eight_extension_headers_pass() -> None:
    made = lane(**INSIDE6)
    packet = six(chain((60, 1), *[(60, 0)] * 6, (17, 0)) + udp(1, 2), 0)
    assert made.put(made.packet(1, packet, next_header=41)) == [packet]


NARROW = {
    "local_ts": (network("198.18.1.0/24", 17, (2000, 2001)), network("198.18.1.0/24", 1, (0x0800, 0x08FF))),
    "remote_ts": (network("198.18.2.0/24", 17, (1000, 1001)), network("198.18.2.0/24", 1)),
}
OUTSIDE = {
    "source": ipv4("198.18.3.7", "198.18.1.9", udp(1000, 2000)),
    "destination": ipv4("198.18.2.7", "198.18.3.9", udp(1000, 2000)),
    "protocol": ipv4("198.18.2.7", "198.18.1.9", udp(1000, 2000), 6),
    "source port": ipv4("198.18.2.7", "198.18.1.9", udp(999, 2000)),
    "destination port": ipv4("198.18.2.7", "198.18.1.9", udp(1000, 2002)),
    "icmp type": ipv4("198.18.2.7", "198.18.1.9", b"\3\1\0\0\0\0\0\0", 1),
    "ports cut off": ipv4("198.18.2.7", "198.18.1.9", b"\3\xe8\7", 17),
    "later fragment": ipv4("198.18.2.7", "198.18.1.9", udp(1000, 2000), fragment=4),
    "other family": ipv6("2001:db8:2::7", "2001:db8:1::9", udp(1000, 2000)),
}
WITHIN = {
    "first fragment": ipv4("198.18.2.7", "198.18.1.9", udp(1000, 2000), fragment=0x2000),
    "lowest ports": ipv4("198.18.2.0", "198.18.1.0", udp(1000, 2000)),
    "highest ports": ipv4("198.18.2.255", "198.18.1.255", udp(1001, 2001)),
    "icmp echo": ipv4("198.18.2.7", "198.18.1.9", b"\10\0\0\0\0\0\0\0", 1),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_E10_an_inner_packet_outside_the_selectors_is_dropped(name: str) -> None:
    made = lane(**NARROW)
    version = 41 if OUTSIDE[name][0] >> 4 == 6 else 4
    assert made.put(made.packet(1, OUTSIDE[name], version)) == []
    assert made.drops() == {"selectors": 1}
    assert made.engine.usage(1).drops == {"selectors": 1}


@pytest.mark.parametrize("name", OUTSIDE)
def test_E10_a_packet_outside_the_selectors_is_dropped_between_two_of_a_flow_within(name: str) -> None:
    made, good = lane(**NARROW), WITHIN["lowest ports"]
    near = ipv4("198.18.2.7", "198.18.1.9", udp(1000, 2000))
    version = 41 if OUTSIDE[name][0] >> 4 == 6 else 4
    batch = [made.packet(1, near), made.packet(2, OUTSIDE[name], version), made.packet(3, near), made.packet(4, good)]
    assert made.put(*batch) == [near, near, good]
    assert made.drops() == {"selectors": 1}


def test_E10_a_cut_off_packet_of_a_flow_within_is_dropped_behind_a_whole_one() -> None:
    made, whole = lane(**NARROW), ipv4("198.18.2.7", "198.18.1.9", udp(1000, 2000))
    longer = whole[:2] + (len(whole) + 1).to_bytes(2, "big") + whole[4:]
    assert made.put(made.packet(1, whole), made.packet(2, longer)) == [whole]
    assert made.drops() == {"inner_header": 1}


@pytest.mark.parametrize("name", WITHIN)
def test_E10_an_inner_packet_within_the_selectors_passes(name: str) -> None:
    made = lane(**NARROW)
    assert made.put(made.packet(1, WITHIN[name])) == [WITHIN[name]]


def test_E10_a_later_fragment_passes_selectors_for_any_port(receiver: Lane) -> None:
    fragment = ipv4("198.18.2.7", "198.18.1.9", b"payload of a datagram", fragment=100)
    assert receiver.put(receiver.packet(1, fragment)) == [fragment]


EVERYTHING = {"local_ts": (network("0.0.0.0/0"), network("::/0")), "remote_ts": (network("0.0.0.0/0"), network("::/0"))}
MARTIANS = [
    "127.0.0.1",
    "127.255.255.255",
    "0.0.0.0",
    "0.1.2.3",
    "224.0.0.1",
    "239.9.9.9",
    "240.0.0.1",
    "255.255.255.255",
]
MARTIANS6 = ["::", "::1", "ff02::1", "ff0e::9", "::ffff:192.0.2.9"]


@pytest.mark.parametrize("source", MARTIANS + MARTIANS6)
def test_E11_an_inner_source_that_nobody_may_have_is_dropped(source: str) -> None:
    made = lane(**EVERYTHING)
    packet = ipv6(source, "2001:db8::9") if ":" in source else ipv4(source, "192.0.2.9")
    assert made.put(made.packet(1, packet, 41 if ":" in source else 4)) == []
    assert made.drops() == {"inner_source": 1}


@pytest.mark.parametrize("source", ["192.0.2.77", "2001:db8::77"])
def test_E11_an_inner_source_that_is_ours_is_dropped(source: str) -> None:
    made = lane(**EVERYTHING)
    packet = ipv6(source, "2001:db8::9") if ":" in source else ipv4(source, "192.0.2.9")
    ours = packet[8:24] if ":" in source else packet[12:16]
    version = 41 if ":" in source else 4
    assert made.put(made.packet(1, packet, version)) == [packet], "not yet ours"
    made.engine.own_addresses([b"\xc6\x12\0\1", ours, bytes(15) + b"\7"])
    assert made.put(made.packet(2, packet, version)) == []
    assert made.drops() == {"inner_source": 1}
    made.engine.own_addresses([])
    assert made.put(made.packet(3, packet, version)) == [packet]


def test_E12_replays_are_dropped_before_the_cipher_runs(receiver: Lane) -> None:
    packets = {n: receiver.packet(n, inbound()) for n in (0, 1, 2, 1500, 3000)}
    assert len(receiver.put(packets[1500], packets[2], packets[3000])) == 2
    assert receiver.drops() == {"replay": 1}, "2 lies left of the window"
    broken = packets[1500][:-1] + bytes([packets[1500][-1] ^ 1])
    assert receiver.put(packets[3000], packets[1], packets[0], broken) == []
    assert receiver.drops() == {"replay": 5}, "not one of them reached the cipher"


def test_E12_a_duplicate_within_one_batch_is_caught_at_commit(receiver: Lane) -> None:
    twin = receiver.packet(9, inbound())
    assert receiver.put(twin, twin, receiver.packet(10, inbound()), twin) == [inbound()] * 2
    assert receiver.drops() == {"replay": 2}

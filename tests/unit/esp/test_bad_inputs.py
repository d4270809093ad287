"""Rows of the bad-input table for the ESP path: what must be dropped is dropped, counted, and changes nothing else."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from fynx.esp.reference import Refused
from fynx.plugin.dataplane import Acquire, EspSuite, Expire, Policy
from tests.unit.esp.workshop import (
    PROVIDERS,
    SPI_IN,
    SUITES,
    THERE,
    WEST,
    Lane,
    child,
    expected,
    inbound,
    ipv4,
    ipv6,
    lane,
    make,
    mirror,
    network,
    outbound,
    reference,
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


def test_E15_sending_stops_before_the_sequence_number_cycles() -> None:
    engine = make()
    engine.install(child())
    engine.set_sequence(1, 2**32 - 4)
    numbers = [int.from_bytes(data[4:8], "big") for _, data in engine.send_inner([outbound()] * 5)]
    assert numbers == [2**32 - 3, 2**32 - 2, 2**32 - 1]
    assert engine.usage(1).drops == {"sequence": 2}
    assert engine.usage(1).sequence_out == 2**32 - 1
    assert engine.send_inner([outbound()]) == []
    assert engine.drain() == [Expire(1, False, "sequence"), Expire(1, True, "sequence")], "each told once"


def test_E15_a_soft_warning_comes_between_75_and_90_percent() -> None:
    engine = make()
    engine.install(child())
    engine.set_sequence(1, 2**32 * 75 // 100)
    engine.send_inner([outbound()])
    assert engine.drain() == []
    engine.set_sequence(1, 2**32 * 90 // 100)
    engine.send_inner([outbound()])
    assert engine.drain() == [Expire(1, False, "sequence")]


def test_E15_with_extended_numbers_sending_goes_on() -> None:
    engine, far = make(), make()
    spec = child(suite=EspSuite(20, 128, esn=True), window=64)
    engine.install(spec)
    far.install(mirror(spec))
    engine.set_sequence(1, 2**32 - 140)
    far.receive_outer(WEST, [data for _, data in engine.send_inner([outbound()] * 20)])
    assert len(far.recv_inner()) == 20
    far.receive_outer(WEST, [data for _, data in engine.send_inner([outbound()] * 160)])
    assert len(far.recv_inner()) == 160, "across the wrap"
    assert engine.usage(1).sequence_out == 2**32 + 40


@BOTH
def test_E18_no_iv_is_ever_used_twice(suite: str) -> None:
    seen: set[tuple[int, bytes]] = set()
    count = 0
    for generation in range(3):  # restarts: a new SA has new keys, its IVs begin anew
        engine = make()
        engine.install(child(suite=SUITES[suite]))
        length = 16 if SUITES[suite].integ_id else 8
        for _ in range(20):
            sealed = engine.send_inner([outbound()] * 100)
            seen |= {(generation, data[8 : 8 + length]) for _, data in sealed}
            count += len(sealed)
        engine.stop()
    assert len(seen) == count == 6000


def test_E18_ivs_of_cbc_cannot_be_guessed_from_one_another() -> None:
    engine = make()
    engine.install(child(suite=SUITES["aes256-sha512"]))
    ivs = [data[8:24] for _, data in engine.send_inner([outbound()] * 64)]
    ones = [sum((a[i] ^ b[i]).bit_count() for i in range(16)) for a, b in itertools.pairwise(ivs)]
    assert 48 < sum(ones) / len(ones) < 80, "half of the bits differ"


def test_E18_a_forked_process_cannot_seal_with_its_parents_plane() -> None:
    engine = make()
    engine.install(child())
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            sealed = engine.send_inner([outbound()])
        except Exception as error:
            os.write(writer, type(error).__name__.encode())
        else:
            os.write(writer, b"sealed %d" % len(sealed))
        os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    assert os.read(reader, 100) == b"StateError"
    os.close(reader)
    assert len(engine.send_inner([outbound()])) == 1


def test_E24_clear_packets_for_protected_selectors_are_dropped() -> None:
    engine = make()
    engine.policies(
        [
            Policy("bypass", (network("198.18.1.0/24", 17, (53, 53)),), (network(THERE),), 10),
            Policy("protect", (network("198.18.1.0/24"),), (network(THERE),), 20, "hq", "lan"),
        ]
    )
    clear_dns, clear_other = (ipv4("198.18.2.7", "198.18.1.9", udp(999, port)) for port in (53, 54))
    engine.receive_clear([clear_other, clear_dns, ipv4("203.0.113.1", "198.18.1.9", udp(1, 53)), b"\x45"])
    assert list(engine.recv_inner()) == [clear_dns]
    counted = engine.counters()
    assert counted["drop_clear_protected"] == counted["drop_no_policy"] == counted["drop_inner_header"] == 1


def test_E25_without_an_sa_protected_packets_stay_inside_and_ask_for_one() -> None:
    engine = make()
    engine.policies([Policy("protect", (network("198.18.1.0/24"),), (network(THERE),), 20, "hq", "lan")])
    assert engine.send_inner([outbound()] * 3) == []
    assert engine.counters()["drop_no_sa"] == 3
    asked = engine.drain()
    local, remote = network("198.18.1.9/32", 17, (2000, 2000)), network("198.18.2.7/32", 17, (1000, 1000))
    assert asked == [Acquire("hq", "lan", local, remote)], "asked once, then not again for a second"


def test_E25_after_its_sa_is_gone_nothing_leaves_in_clear() -> None:
    engine = make()
    engine.install(child())
    assert len(engine.send_inner([outbound()])) == 1
    engine.remove(1)
    assert engine.send_inner([outbound()] * 4) == []
    assert engine.counters()["drop_no_policy"] == 4
    engine.policies([Policy("protect", (network("198.18.1.0/24"),), (network(THERE),), 20, "hq", "lan")])
    engine.install(child())
    assert len(engine.send_inner([outbound()])) == 1
    engine.stop()
    assert engine.send_inner([outbound()]) == [], "nor after the stop"


@pytest.mark.parametrize("provider", PROVIDERS)
@BOTH
def test_E28_one_bad_packet_in_a_batch_of_64_harms_no_other(provider: str, suite: str) -> None:
    made = lane(provider, suite=SUITES[suite])
    for bad in range(64):
        packets = [made.packet(64 * bad + n + 1, inbound(bytes([n]))) for n in range(64)]
        packets[bad] = packets[bad][:-1] + bytes([packets[bad][-1] ^ 1])
        assert made.put(*packets) == [inbound(bytes([n])) for n in range(64) if n != bad]
    assert made.drops() == {"integrity": 64}


def test_E28_a_batch_counts_like_the_same_packets_one_by_one() -> None:
    together, singly = lane(), lane()
    packets = [together.packet(n, inbound(), 4 if n % 5 else 59) for n in (1, 2, 2, 5, 10, 7, 2000, 3, 15, 1999, 0)]
    packets += [b"", packets[0][:20], b"\0\0\0\1" + packets[0][4:], packets[3][:-1] + b"\0"]
    delivered = together.put(*packets)
    one_by_one = [got for packet in packets for got in singly.put(packet)]
    assert delivered == one_by_one
    assert together.drops() == singly.drops()
    assert together.engine.usage(1) == singly.engine.usage(1)


def test_E28_packets_of_many_sas_in_one_batch_find_their_own() -> None:
    made = lane()
    lanes = [made]
    for n in range(2, 6):
        spec = child(n, spi_in=SPI_IN + n, remote_ts=(network(f"198.18.{n}.0/24"),), child=f"c{n}")
        made.engine.install(spec)
        lanes.append(Lane(made.engine, made.key, spec))
    inner = [ipv4(f"198.18.{2 if n == 0 else n + 1}.7", "198.18.1.9", udp(1, 2)) for n in range(5)]
    packets = [lanes[n % 5].packet(1 + n // 5, inner[n % 5]) for n in range(60)]
    assert made.put(*packets) == [inner[n % 5] for n in range(60)]
    assert [made.engine.usage(handle).packets_in for handle in range(1, 6)] == [12] * 5


SIZES = [*range(140), *range(1380, 1420), 2047, 2048, 9000, 16384, 32767, 65400, 65435, 65436, 65480, 65506, 65535]


@BOTH
def test_E29_every_size_goes_through_both_ways(suite: str) -> None:
    near, far, spec = make(), make(), child(suite=SUITES[suite])
    near.install(spec)
    far.install(mirror(spec))
    delivered = 0
    for size in SIZES:
        packet = outbound()[:20] if size < 20 else ipv4("198.18.1.9", "198.18.2.7", bytes(size - 20), 253)
        sealed = near.send_inner([packet[:size]])
        far.receive_outer(WEST, [data for _, data in sealed])
        got = list(far.recv_inner())
        assert got == [packet[:size]] * len(sealed)
        assert all(len(data) <= 65507 for _, data in sealed)
        delivered += len(got)
    counted = near.counters()
    assert counted["drop_outbound_header"] == 20, "sizes 0 to 19 are no IPv4 packets"
    assert delivered + counted["drop_too_big"] + 20 == len(SIZES)
    assert 3 <= counted["drop_too_big"] <= 5


def test_E29_garbage_of_every_size_is_refused_as_the_reference_refuses_it() -> None:
    made = lane()
    judge = reference(made.spec)
    garbage = [SPI_IN.to_bytes(4, "big") + os.urandom(size) for size in range(0, 700, 3)]
    garbage += [os.urandom(size) for size in (9000, 65535)]
    assert made.put(*garbage) == []
    assert made.drops() == expected(judge, garbage)[1]


def test_reference_refusals_have_the_names_of_counters() -> None:
    names = {name.removeprefix("drop_") for name in make().counters()}
    assert Refused("selectors").name in names
    assert {"short", "unknown_spi", "length", "replay", "integrity", "padding", "dummy", "next_header"} <= names

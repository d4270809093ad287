"""Rows of the bad-input table for sending, for policies on both sides, for batches and for sizes."""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

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
    lane,
    make,
    mirror,
    network,
    outbound,
    reference,
    udp,
)

BOTH = pytest.mark.parametrize("suite", ["aes256gcm16", "aes256-sha512"])


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


@BOTH
def test_E18_threads_that_seal_at_once_share_no_iv(suite: str) -> None:
    engine = make()
    engine.install(child(suite=SUITES[suite]))
    length = 16 if SUITES[suite].integ_id else 8
    with ThreadPoolExecutor(4) as threads:
        sealed = [data for batch in threads.map(engine.send_inner, [[outbound()] * 64] * 64) for _, data in batch]
    assert len(sealed) == 64 * 64
    assert len({data[4:8] for data in sealed}) == len({data[8 : 8 + length] for data in sealed}) == len(sealed)


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


@pytest.mark.long
@BOTH
def test_E29_the_sweep_over_all_sizes_from_0_to_65535(suite: str) -> None:
    near, far, spec = make(), make(), child(suite=SUITES[suite])
    near.install(spec)
    far.install(mirror(spec))
    passed = 0
    for size in range(65536):
        packet = outbound()[:size] if size < 20 else ipv4("198.18.1.9", "198.18.2.7", bytes(size - 20), 253)
        sealed = [data for _, data in near.send_inner([packet])]
        far.receive_outer(WEST, sealed)
        assert list(far.recv_inner()) == [packet] * len(sealed), size
        passed += len(sealed)
    assert passed + near.counters()["drop_too_big"] + 20 == 65536


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
    assert {"short", "unknown_spi", "length", "replay", "integrity", "padding", "dummy", "next_header"} <= names
    assert {"inner_header", "inner_source", "selectors"} <= names

"""The engine as a data-plane plugin uses it: SAs and policies come and go, upcalls and counters tell."""

from __future__ import annotations

import dataclasses
import gc
import weakref

import pytest

from fynx.errors import CryptoError, FynxError, StateError
from fynx.esp.choose import Chooser
from fynx.esp.engine import Engine, make_engine
from fynx.esp.ops import bench_loop, ops_info
from fynx.plugin.auth import Secret
from fynx.plugin.crypto import Algorithms, Provider
from fynx.plugin.dataplane import Acquire, ChildKeys, EspSuite, PathSeen, Policy, Selector, UnknownSpi
from fynx.plugin.engine import Engine as EngineProtocol
from fynx.plugin.engine import MakeEngine
from fynx.plugin.transport import Path
from tests.unit.esp.workshop import (
    ALGORITHMS,
    EAST,
    HERE,
    PROVIDERS,
    SPI_IN,
    SUITES,
    THERE,
    WEST,
    child,
    inbound,
    ipv4,
    ipv6,
    lane,
    make,
    mirror,
    network,
    outbound,
    udp,
)


def test_the_engine_is_what_the_contract_says() -> None:
    made: EngineProtocol = make()
    maker: MakeEngine = make_engine
    assert callable(maker)
    assert made.inner_fd >= 0
    assert make(inproc=False).inner_fd == -1


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_suite_works_with_every_provider_alone(provider: str, suite: str) -> None:
    near, far, spec = make(provider), make(provider), child(suite=SUITES[suite])
    near.install(spec)
    far.install(mirror(spec))
    packets = [outbound(bytes(n)) for n in range(0, 1300, 13)]
    far.receive_outer(EAST, [data for _, data in near.send_inner(packets)])
    assert list(far.recv_inner()) == packets
    usage = near.usage(1)
    assert usage.slow == (usage.provider == "cryptography")
    assert (usage.packets_out, usage.bytes_out) == (100, sum(map(len, packets)))
    assert (far.usage(1).packets_in, far.usage(1).bytes_in) == (100, sum(map(len, packets)))


def test_providers_understand_one_another() -> None:
    packets = [outbound(bytes(n)) for n in range(64)]
    for suite in SUITES:
        spec = child(suite=SUITES[suite])
        far = {name: make(name) for name in PROVIDERS}
        for engine in far.values():
            engine.install(mirror(spec))
        for name in PROVIDERS:
            near = make(name)
            near.install(spec)
            near.set_sequence(1, 100 * sorted(PROVIDERS).index(name))
            sealed = [data for _, data in near.send_inner(packets)]
            for engine in far.values():
                engine.receive_outer(EAST, sealed)
                assert list(engine.recv_inner()) == packets


@pytest.mark.parametrize("outer", [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")])
@pytest.mark.parametrize("inner", ["4", "6"])
def test_inner_and_outer_families_mix(outer: tuple[str, str], inner: str) -> None:
    path = Path(outer[0], 4500, outer[1], 4500)
    everything = (network("0.0.0.0/0"), network("::/0"))
    spec = child(path=path, local_ts=everything, remote_ts=everything)
    near, far = make(), make()
    near.install(spec)
    far.install(mirror(spec))
    packet = outbound() if inner == "4" else ipv6("2001:db8:1::1", "2001:db8:2::1", udp(1, 2))
    sealed = near.send_inner([packet])
    assert [where for where, _ in sealed] == [path]
    far.receive_outer(Path(outer[1], 4500, outer[0], 4500), [data for _, data in sealed])
    assert list(far.recv_inner()) == [packet]


def test_spis_are_above_255_free_and_not_given_twice() -> None:
    engine = make(capacity=64)
    spis = [engine.reserve_spi() for _ in range(64)]
    assert len({spi & 63 for spi in spis}) == 64
    assert min(spis) > 255
    with pytest.raises(StateError):
        engine.reserve_spi()
    engine.release_spi(spis[7])
    assert engine.reserve_spi() & 63 == spis[7] & 63
    engine.release_spi(0xDEAD_0000 | spis[8] & 63)
    with pytest.raises(StateError):
        engine.reserve_spi()


def test_a_reserved_spi_is_for_its_own_child() -> None:
    engine = make()
    spi = engine.reserve_spi()
    with pytest.raises(StateError):
        engine.install(child(1, spi_in=spi ^ 1 << 31))
    engine.install(child(1, spi_in=spi))
    with pytest.raises(StateError):
        engine.install(child(2, spi_in=spi))
    engine.remove(1)
    engine.install(child(2, spi_in=spi))


@pytest.mark.parametrize(
    "change",
    [
        {"spi_in": 255},
        {"spi_out": 0},
        {"window": 31},
        {"window": 16385},
        {"local_ts": ()},
        {"remote_ts": ()},
        {"mode": "transport"},
        {"suite": EspSuite(20, 512)},
        {"suite": EspSuite(12, 128)},
        {"suite": EspSuite(20, 128, 12)},
        {"local_ts": (Selector(b"\2\0\0\0", b"\1\0\0\0"),)},
        {"local_ts": (Selector(b"\1\0\0\0", bytes(16)),)},
        {"local_ts": (Selector(b"\1\0\0\0", b"\2\0\0\0", 17, 9, 8),)},
        {"keys_in": ChildKeys(Secret(bytes(15)), Secret(bytes(4)))},
        {"keys_out": ChildKeys(Secret(bytes(16)), Secret(b""))},
    ],
)
def test_what_makes_no_sense_is_refused_whole(change: dict[str, object]) -> None:
    engine = make()
    with pytest.raises(FynxError):
        engine.install(dataclasses.replace(child(), **change))
    assert engine.status()["sas"] == 0
    engine.install(child())


def test_a_handle_that_is_gone_is_an_error() -> None:
    engine = make()
    engine.install(child())
    with pytest.raises(StateError):
        engine.install(child(spi_in=SPI_IN + 1))
    engine.remove(1)
    for call in (engine.remove, engine.usage, engine.activate):
        with pytest.raises(StateError):
            call(1)


def test_an_sa_without_outbound_half_waits_for_activation() -> None:
    engine = make()
    engine.install(child(1, spi_out=1001))
    engine.install(child(2, spi_in=SPI_IN + 1, spi_out=1002, outbound=False))
    assert spi_of(engine) == 1001
    engine.activate(2)
    assert spi_of(engine) == 1002, "the newest SA of a policy sends"
    engine.activate(2)
    engine.remove(1)
    assert spi_of(engine) == 1002
    engine.remove(2)
    assert engine.send_inner([outbound()]) == []


def spi_of(engine: Engine) -> int:
    return int.from_bytes(engine.send_inner([outbound()])[0][1][:4], "big")


def test_both_sas_receive_while_one_replaces_the_other() -> None:
    made = lane()
    newer = child(2, spi_in=SPI_IN + 1, outbound=False)
    made.engine.install(newer)
    first, second = made.packet(1, inbound(b"old")), dataclasses.replace(made, spec=newer).packet(1, inbound(b"new"))
    assert made.put(first, second) == [inbound(b"old"), inbound(b"new")]
    made.engine.remove(1)
    assert made.put(made.packet(2, inbound())) == []
    assert made.drops() == {"unknown_spi": 1}


def test_lower_priority_numbers_are_looked_at_first() -> None:
    engine = make()
    wide, narrow, there = (network(HERE),), (network("198.18.1.0/28"),), (network(THERE),)
    engine.install(child(1, child="lan"))
    assert engine.match(outbound()) == "protect"
    engine.policies(
        [
            Policy("protect", wide, there, 50, "hq", "lan"),
            Policy("discard", narrow, there, 10),
            Policy("bypass", (network("198.18.1.9/32", 1),), there, 20),
            Policy("bypass", wide, (network("0.0.0.0/0"),), 60),
        ]
    )
    assert engine.match(outbound()) == "discard"
    assert engine.match(ipv4("198.18.1.99", "198.18.2.7", udp(1, 2))) == "protect"
    assert engine.match(ipv4("198.18.1.99", "203.0.113.7", udp(1, 2))) == "bypass"
    assert engine.match(ipv4("203.0.113.7", "198.18.2.7", udp(1, 2))) == "none"
    packets = [outbound(), ipv4("198.18.1.99", "198.18.2.7"), ipv4("198.18.1.99", "203.0.113.7"), b"junk"]
    assert len(engine.send_inner(packets)) == 1
    counted = engine.counters()
    assert counted["drop_discard"] == counted["drop_bypass_unsupported"] == counted["drop_outbound_header"] == 1
    with pytest.raises(FynxError):
        engine.match(b"junk")


def test_a_cached_flow_follows_a_change_of_policy() -> None:
    engine = make()
    engine.install(child())
    assert len(engine.send_inner([outbound()] * 3)) == 3
    engine.policies([Policy("discard", (network(HERE),), (network(THERE),), 1)])
    assert engine.send_inner([outbound()] * 3) == []
    engine.policies([])
    assert len(engine.send_inner([outbound()] * 3)) == 3


def test_an_acquire_names_the_policy_and_the_packet() -> None:
    engine = make()
    engine.policies(
        [
            Policy("protect", (network("2001:db8:1::/48"),), (network("::/0"),), 5, "hq", "six"),
            Policy("protect", (network(HERE),), (network("0.0.0.0/0"),), 6, "hq", "four"),
        ]
    )
    ping = b"\10\0\0\0\0\1\0\1"
    fragment = ipv6("2001:db8:1::5", "2001:db8:2::5", bytes([17, 0, 0, 8, 0, 0, 0, 1]) + b"rest", 44)
    engine.send_inner([ipv4("198.18.1.9", "203.0.113.1", ping, 1), fragment])
    assert engine.drain() == [
        Acquire("hq", "four", network("198.18.1.9/32", 1, (2048, 2048)), network("203.0.113.1/32", 1, (2048, 2048))),
        Acquire("hq", "six", network("2001:db8:1::5/128", 17), network("2001:db8:2::5/128", 17)),
    ]


def test_a_new_address_of_the_peer_is_told_once() -> None:
    made = lane()
    elsewhere, third = Path("192.0.2.1", 4500, "192.0.2.2", 999), Path("192.0.2.1", 4500, "203.0.113.9", 4500)
    numbers = iter(range(1, 100))
    made.put(made.packet(next(numbers), inbound()))
    made.put(made.packet(next(numbers), inbound()), made.packet(next(numbers), inbound()), path=elsewhere)
    made.put(made.packet(next(numbers), inbound()), path=elsewhere)
    assert made.engine.drain() == [PathSeen(1, elsewhere)]
    made.put(made.packet(next(numbers), inbound()), path=third)
    assert made.engine.drain() == [PathSeen(1, third)]
    made.engine.move(1, third, True)
    assert [path for path, _ in made.engine.send_inner([outbound()])] == [third]
    made.put(made.packet(next(numbers), inbound()), path=third)
    assert made.engine.drain() == []
    made.put(made.packet(next(numbers), inbound()))
    assert made.engine.drain() == [PathSeen(1, WEST)], "and back again"


def test_N2_old_replayed_or_forged_packets_tell_no_new_address() -> None:
    made = lane()
    elsewhere = Path("192.0.2.1", 4500, "203.0.113.9", 4500)
    late, newest = made.packet(5, inbound()), made.packet(10, inbound())
    made.put(newest)
    forged = made.packet(11, inbound())
    made.put(late, newest, forged[:-1] + bytes([forged[-1] ^ 1]), path=elsewhere)
    assert made.engine.drain() == []


def test_unknown_spis_are_told_at_a_limited_rate() -> None:
    engine = make()
    engine.receive_outer(WEST, [(1000 + n).to_bytes(4, "big") + bytes(40) for n in range(500)])
    told = engine.drain()
    assert UnknownSpi(WEST, 1000) in told
    assert 1 <= len(told) <= 10
    assert engine.counters()["drop_unknown_spi"] == 500


def test_paths_of_a_transport_without_ip_addresses_keep_their_names() -> None:
    made = lane(path=Path("alice", 0, "bob", 0))
    made.put(made.packet(1, inbound()), path=Path("alice", 0, "carol", 7))
    assert made.engine.drain() == [PathSeen(1, Path("alice", 0, "carol", 7))]


def test_two_planes_in_one_process_do_not_know_each_other() -> None:
    first, second = make(), make()
    first.install(child())
    assert second.status()["sas"] == 0
    second.install(child(suite=SUITES["chacha20poly1305"]))
    first.stop()
    assert len(second.send_inner([outbound()])) == 1
    assert second.counters()["packets_out"] == 1
    assert first.counters()["packets_out"] == 0


def test_received_packets_wait_until_they_are_taken_and_the_surplus_is_counted() -> None:
    made = lane(window=16384)
    packets = [inbound(bytes(1300)) for _ in range(4000)]
    made.engine.receive_outer(WEST, [made.packet(n, packet) for n, packet in enumerate(packets, start=1)])
    taken = 0
    while got := made.engine.recv_inner(100):
        assert len(got) <= 100
        taken += len(got)
    assert 2000 < taken < 4000
    assert made.drops() == {"inner_full": 4000 - taken}
    assert made.engine.usage(1).packets_in == 4000, "authentic all the same"


def test_keys_are_freed_at_removal() -> None:
    made = lane("python")
    made.engine.remove(1)
    assert made.engine.status()["retired"] == 0


def test_an_engine_that_nobody_holds_goes_away_with_its_keys() -> None:
    made = lane("python")
    gone = weakref.ref(made.engine)
    del made
    gc.collect()
    assert gone() is None


def test_installing_and_removing_many_keeps_the_books() -> None:
    engine = make(capacity=2048)
    for handle in range(1, 1001):
        third = network(f"198.18.{handle % 256}.{handle // 256}/32")
        engine.install(child(handle, spi_in=engine.reserve_spi(), remote_ts=(third,), child=str(handle)))
    assert engine.status()["sas"] == engine.status()["rules"] == 1000
    assert len(engine.send_inner([ipv4("198.18.1.9", "198.18.77.1", udp(1, 2))])) == 1
    for handle in range(1, 1001):
        engine.remove(handle)
    assert (engine.status()["sas"], engine.status()["rules"], engine.status()["retired"]) == (0, 0, 0)


def test_a_provider_that_fails_its_self_test_is_passed_over() -> None:
    address = PROVIDERS["libcrypto"][0].ops(20, 256, 0)
    liar = Provider("liar", "1", lambda encr, bits, integ: address)
    engine = make_engine(providers=[liar, *PROVIDERS["libcrypto"]], inproc=True, algorithms=ALGORITHMS)
    engine.install(child())
    assert engine.usage(1).provider == "libcrypto"
    assert [name.split()[0] for name in engine.status()["refused"]] == ["liar"]  # type: ignore[attr-defined]
    assert engine.status()["providers"] == {"aes128gcm16": "libcrypto"}


def test_without_provider_and_algorithms_a_suite_is_refused() -> None:
    engine = make_engine(providers=[], inproc=True)
    with pytest.raises(CryptoError):
        engine.install(child())
    with pytest.raises(CryptoError):
        make_engine(providers=[], inproc=True, algorithms=Algorithms()).install(child())


def test_counters_have_distinct_names_and_start_at_zero() -> None:
    counted = make().counters()
    assert len(counted) == len(set(counted)) > 30
    assert not any(counted.values())


def test_no_secret_stands_in_status_or_repr() -> None:
    engine = make()
    engine.install(child())
    shown = repr(engine.status()) + repr(engine.usage(1)) + repr(engine._installed)
    assert "0a0a0a0a" not in shown
    assert repr(bytes([10]) * 16)[2:-1] not in shown


def test_the_loop_for_measurements_runs() -> None:
    address = PROVIDERS["libcrypto"][0].ops(20, 128, 0)
    assert bench_loop(address, 1400, 64, 640) > 0
    assert ops_info(address).name == "aes128gcm16"


def test_the_fastest_provider_serves_where_no_order_is_given() -> None:
    every = PROVIDERS["sodium"] + PROVIDERS["libcrypto"] + PROVIDERS["ipsecmb"]
    wanted = SUITES["aes256gcm16"]
    first, fastest = Chooser(every, ALGORITHMS), Chooser(every, ALGORITHMS, measure=True)
    assert first.choose(wanted).info.provider == "sodium"
    assert first.measured == {}
    chosen = fastest.choose(wanted).info
    (times,) = fastest.measured.values()
    assert set(times) == {"sodium", "libcrypto", "ipsecmb"}
    assert times[chosen.provider] == min(times.values())

"""What the plane sends by the clock: payloads at a constant rate (RFC 9347 section 2.2) and dummies (RFC 4303 section
2.6). Tests wait for packets, never for times."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from select import select

import pytest

from fynx.errors import StateError
from fynx.esp.aggfrag import AGGFRAG
from fynx.esp.engine import Engine
from fynx.esp.reference import Receiver, Refused, Traffic, Window
from fynx.plugin.dataplane import Aggregation, ChildSpec, Dummies, Sealed
from tests.unit.esp.workshop import EAST, SPI_IN, SPI_OUT, child, esp_key, make, mirror, network, outbound

RATE = 2000
HEAD = 8 + 8 + 16 + 2


@contextmanager
def running(*specs: ChildSpec) -> Iterator[Engine]:
    engine = make()
    for spec in specs:
        engine.install(spec)
    try:
        yield engine
    finally:
        engine.stop()


def sent(engine: Engine, count: int) -> list[bytes]:
    """At least so many packets that the plane sent by itself."""
    found: list[bytes] = []
    while len(found) < count:
        assert select([engine.event_fd], [], [], 30)[0], f"{len(found)} of {count} packets came"
        found += [each.data for each in engine.drain() if isinstance(each, Sealed)]
    return found


def paced(**changes: object) -> ChildSpec:
    return child(aggregation=Aggregation(200, rate=RATE), **changes)


def test_silence_is_padding_of_one_length_that_the_reference_opens() -> None:
    key = esp_key(child().suite, 20)
    with running(paced()) as engine:
        found = sent(engine, 40)
        assert {len(each) for each in found} == {HEAD + 200 + 2}
        for each in found:
            body = key.open(each[8:16], each[16:], each[:8])
            assert (body[-1], set(body[:200])) == (AGGFRAG, {0})
        counters = engine.counters()
        assert counters["idle_out"] == counters["aggregates_out"] >= 40
        assert (counters["packets_out"], engine.usage(1).packets_out) == (0, 0)


def test_what_is_sent_at_a_constant_rate_arrives_whole_and_looks_like_silence() -> None:
    packets = [outbound(bytes([n]) * (n * 37 % 700)) for n in range(40)]
    far = make()
    far.install(mirror(child(), aggregation=Aggregation()))
    with running(paced()) as engine:
        assert engine.send_inner(packets) == [], "they wait for the clock"
        arrived: list[bytes] = []
        seen: list[bytes] = []
        while len(arrived) < len(packets):
            seen += (some := sent(engine, 1))
            far.receive_outer(EAST, some)
            arrived += far.recv_inner()
        assert arrived == packets
        assert {len(each) for each in seen + sent(engine, 1)} == {HEAD + 200 + 2}
        assert engine.usage(1).packets_out == len(packets)
    far.stop()


@pytest.mark.parametrize("size", [200, 300])
def test_with_whole_packets_each_is_in_one_payload(size: int) -> None:
    packets = [outbound(bytes(n)) for n in (0, 100, size - 32, 50)]
    far = make()
    far.install(mirror(child(), aggregation=Aggregation()))
    with running(child(aggregation=Aggregation(size, whole=True, rate=RATE))) as engine:
        engine.send_inner(packets)
        while far.counters()["packets_in"] != len(packets):
            far.receive_outer(EAST, sent(engine, 1))
        assert [len(each) for each in far.recv_inner()] == [len(each) for each in packets]
        assert far.counters()["drop_aggfrag_partial"] == 0
    far.stop()


def test_never_more_than_the_rate_leaves() -> None:
    begun = time.monotonic()
    with running(child(aggregation=Aggregation(100, rate=500))) as engine:
        engine.send_inner([outbound(bytes(1000)) for _ in range(100)])
        count = len(sent(engine, 60))
        assert count <= 500 * (time.monotonic() - begun) + 1


def test_what_the_rate_does_not_carry_is_dropped_by_name_and_so_is_what_waits_at_the_end() -> None:
    with running(child(aggregation=Aggregation(64, rate=1))) as engine:
        engine.send_inner([outbound(bytes(1000)) for _ in range(400)])
        waiting = engine.usage(1).packets_out
        assert engine.counters()["drop_pace_queue"] == 400 - waiting > 0
        engine.remove(1)
        assert engine.counters()["drop_pace_queue"] >= 399


def test_an_sa_that_waits_for_its_turn_sends_nothing_by_the_clock() -> None:
    """A rekeyed one, which the peer has not begun to use."""
    waiting = paced(handle=2, spi_in=SPI_IN + 1, spi_out=SPI_OUT + 1, outbound=False)
    with running(paced(), waiting) as engine:
        assert {each[:4] for each in sent(engine, 20)} == {SPI_OUT.to_bytes(4, "big")}
        engine.activate(2)
        while not any(each[:4] == (SPI_OUT + 1).to_bytes(4, "big") for each in sent(engine, 1)):
            pass
        engine.remove(1)
        engine.drain()
        assert {each[:4] for each in sent(engine, 20)} == {(SPI_OUT + 1).to_bytes(4, "big")}


@pytest.mark.parametrize("mode", ["tunnel", "transport"])
def test_E7_dummies_by_the_clock_are_dropped_unseen_and_counted(mode: str) -> None:
    hosts = {"local_ts": (network("198.18.1.9/32"),), "remote_ts": (network("198.18.2.7/32"),), "mode": mode}
    with running(child(dummies=Dummies(0.002, 0.5, 300), **hosts)) as engine:
        found = sent(engine, 20)
        assert {len(each) for each in found} == {HEAD + 300 + 2}
        spec = child(**hosts)
        key, traffic = esp_key(spec.suite, 20), Traffic(spec.remote_ts, spec.local_ts, transport=mode == "transport")
        receiver = Receiver(key, SPI_OUT, Window(spec.window), traffic)
        for each in found:
            with pytest.raises(Refused, match="dummy"):
                receiver.receive(each)
        assert engine.counters()["dummies_out"] >= len(found)
        assert engine.counters()["packets_out"] == 0


def test_dummies_of_no_size_have_lengths_at_random_and_padded_ones_that_of_the_padding() -> None:
    with running(child(dummies=Dummies(0.002))) as engine:
        assert len({len(each) for each in sent(engine, 30)}) > 5
    with running(child(dummies=Dummies(0.002, 0, 64), tfc_pad=1000)) as engine:
        (real,) = [data for _, data in engine.send_inner([outbound()])]
        assert {len(each) for each in [*sent(engine, 10), real]} == {HEAD + 1000 + 2}


def test_dummies_and_packets_share_the_numbers_of_an_sa() -> None:
    with running(child(dummies=Dummies(0.001, 0))) as engine:
        numbers: list[bytes] = []
        while len(numbers) < 60:
            numbers += [each[4:8] for _, each in engine.send_inner([outbound()] * 3)]
            numbers += [each[4:8] for each in sent(engine, 1)]
        assert sorted(numbers) == [n.to_bytes(4, "big") for n in range(1, len(numbers) + 1)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"aggregation": Aggregation(200, rate=100_001)},
        {"dummies": Dummies(1e-6)},
        {"dummies": Dummies(1, 1.5)},
        {"dummies": Dummies(1, 0, 19)},
        {"dummies": Dummies(1, 0, 9001)},
    ],
)
def test_a_clock_that_cannot_be_is_refused_at_install(wrong: dict[str, object]) -> None:
    with pytest.raises(StateError, match="refuses the values"):
        make().install(child(**wrong))


def test_aggregated_payloads_take_no_dummies() -> None:
    with running(paced()) as engine, pytest.raises(StateError, match="padding of their own"):
        engine.dummies(1, 1, 64)


def test_after_the_end_nothing_is_sent() -> None:
    engine = make()
    engine.install(paced())
    sent(engine, 3)
    engine.remove(1)
    engine.drain()
    engine.stop()
    assert [each for each in engine.drain() if isinstance(each, Sealed)] == []

"""ESP that comes before its SA: the answer that brings the SA is still being checked (RFC 7296 section 1.2)."""

from __future__ import annotations

from tests.unit.esp.workshop import SPI_IN, WEST, Lane, child, esp_key, inbound, make

ROOM = 64
"""Packets that wait in one plane."""


def reserved() -> Lane:
    """A plane that has given out an SPI, and the other end that uses it already."""
    engine = make()
    spec = child(spi_in=engine.reserve_spi())
    return Lane(engine, esp_key(spec.suite, 10), spec)


def test_packets_for_a_reserved_spi_wait_for_their_sa_and_arrive_in_order() -> None:
    made = reserved()
    bodies = [inbound(bytes([number])) for number in range(5)]
    assert made.put(*(made.packet(number, body) for number, body in enumerate(bodies, start=1))) == []
    made.engine.install(made.spec)
    assert list(made.engine.recv_inner()) == bodies
    assert made.engine.counters()["early"] == 5
    assert made.drops() == {}


def test_what_waited_is_checked_like_any_other_packet() -> None:
    made = reserved()
    good = made.packet(1, inbound())
    made.put(good, good, good[:-1] + bytes([good[-1] ^ 1]))
    made.engine.install(made.spec)
    assert list(made.engine.recv_inner()) == [inbound()]
    assert made.put(good) == []
    assert made.drops() == {"replay": 3}


def test_packets_of_an_spi_that_is_given_back_are_dropped_by_name_and_never_told() -> None:
    made = reserved()
    made.put(made.packet(1, inbound()))
    assert made.engine.drain() == []
    made.engine.release_spi(made.spec.spi_in)
    assert made.drops() == {"unknown_spi": 1}


def test_what_does_not_fit_is_dropped_and_other_spis_keep_what_they_have() -> None:
    made = reserved()
    other = child(2, spi_in=made.engine.reserve_spi())
    first = Lane(made.engine, made.key, other).packet(1, inbound(b"of the other"))
    packets = [made.packet(number, inbound()) for number in range(1, ROOM + 3)]
    made.engine.receive_outer(WEST, [first, *packets, bytes(4096)])
    made.engine.install(made.spec)
    assert len(made.engine.recv_inner()) == ROOM - 1
    made.engine.install(other)
    assert list(made.engine.recv_inner()) == [inbound(b"of the other")]
    assert made.drops() == {"unknown_spi": 4}


def test_an_spi_that_nobody_gave_out_keeps_nothing() -> None:
    made = Lane(make(), esp_key(child().suite, 10), child())
    made.put(made.packet(1, inbound()))
    assert made.drops() == {"unknown_spi": 1}
    made.engine.install(made.spec)
    assert made.spec.spi_in == SPI_IN
    assert list(made.engine.recv_inner()) == []

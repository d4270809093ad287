"""Padding that hides lengths and packets that say nothing (RFC 4303 sections 2.6 and 2.7), against the reference."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fynx.errors import StateError
from fynx.esp.reference import seal, trailer
from tests.unit.esp.workshop import EAST, SPI_OUT, SUITES, child, esp_key, make, mirror, outbound, reference

QUICK = settings(max_examples=40, database=None)
PATH = 65535


def sealed(pad_to: int, *packets: bytes, suite: str = "aes128gcm16", allowed: bool = True) -> list[bytes]:
    engine = make()
    engine.install(child(suite=SUITES[suite], tfc_pad=pad_to, tfc_allowed=allowed))
    try:
        return [data for _, data in engine.send_inner(packets)]
    finally:
        engine.stop()


@QUICK
@given(st.lists(st.integers(0, 1500), min_size=1, max_size=70), st.integers(0, 1500), st.sampled_from(sorted(SUITES)))
def test_padded_packets_are_those_of_the_reference(lengths: list[int], pad_to: int, suite: str) -> None:
    key, packets = esp_key(SUITES[suite], 20), [outbound(bytes([7]) * length) for length in lengths]
    made = sealed(pad_to, *packets, suite=suite)
    bodies = [packet.ljust(pad_to, b"\0") for packet in packets]
    assert made == [
        seal(key, SPI_OUT, number, one[8 : 8 + key.iv_len], body + trailer(key, len(body), 4))
        for number, (one, body) in enumerate(zip(made, bodies, strict=True), 1)
    ]


@QUICK
@given(st.lists(st.integers(0, 1000), min_size=2, max_size=40))
def test_the_peer_takes_the_padding_off(lengths: list[int]) -> None:
    packets = [outbound(bytes(length)) for length in lengths]
    spec = mirror(child())
    far, made = make(), sealed(1400, *packets)
    far.install(spec)
    far.receive_outer(EAST, made)
    assert list(far.recv_inner(64)) == packets
    assert len({len(one) for one in made}) == 1
    far.stop()


def test_a_path_that_nobody_knows_is_taken_for_the_narrowest() -> None:
    assert {len(one) for one in sealed(PATH, outbound(), outbound(bytes(900)))} == {8 + 8 + 1280 + 4 + 16}


def test_what_the_peer_does_not_take_is_not_padded() -> None:
    """N(ESP_TFC_PADDING_NOT_SUPPORTED), RFC 7296 section 1.3.1."""
    assert sealed(1400, outbound(), allowed=False) == sealed(0, outbound())


def test_a_packet_longer_than_the_padding_goes_as_it_is() -> None:
    assert sealed(100, outbound(bytes(500))) == sealed(0, outbound(bytes(500)))


def test_padding_beyond_9000_octets_is_refused() -> None:
    engine = make()
    with pytest.raises(StateError, match="refuses the values"):
        engine.install(child(tfc_pad=9001))


@pytest.mark.parametrize("pad_to", [0, 1000])
def test_E7_dummies_are_dropped_unseen_counted_and_move_the_window(pad_to: int) -> None:
    near, far = make(), make()
    near.install(child(tfc_pad=pad_to))
    far.install(mirror(child()))
    made = [data for _, data in near.dummies(1, 100, 300)]
    (real,) = [data for _, data in near.send_inner([outbound()])]
    far.receive_outer(EAST, made)
    assert (len(made), list(far.recv_inner())) == (100, [])
    assert far.usage(1).drops == {"dummy": 100}
    assert far.usage(1).sequence_in == 100
    assert (near.counters()["dummies_out"], near.usage(1).packets_out) == (100, 1)
    if pad_to:
        assert {len(one) for one in (*made, real)} == {len(real)}, "nobody tells them apart"
    near.stop()
    far.stop()


@pytest.mark.parametrize("size", [0, 19, 9001])
def test_dummies_of_an_impossible_size_are_refused(size: int) -> None:
    engine = make()
    engine.install(child())
    with pytest.raises(StateError):
        engine.dummies(1, 1, size)


def test_E7_the_reference_drops_our_dummies_too() -> None:
    near = make()
    near.install(child(suite=SUITES["aes128gcm16"], keys_out=child().keys_in, spi_out=child().spi_in))
    (made,) = [data for _, data in near.dummies(1, 1, 64)]
    with pytest.raises(Exception, match="dummy"):
        reference(child()).receive(made)

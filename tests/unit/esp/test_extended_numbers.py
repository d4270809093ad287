"""Extended sequence numbers where the low half wraps (RFC 4303 section 2.2.1 and appendix A2): plane and reference."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fynx.esp.reference import Receiver, Traffic, Window
from tests.unit.esp.workshop import SPI_OUT, SUITES, child, esp_key, expected, inbound, lane, make, outbound, reference

WRAP = 1 << 32
NEAR = st.integers(-200, 1200)


@settings(max_examples=40, database=None)
@given(st.lists(NEAR, min_size=1, max_size=60), st.sampled_from(sorted(SUITES)))
def test_e16_packets_on_both_sides_of_the_wrap_fare_as_in_the_reference(steps: list[int], suite: str) -> None:
    """Reordered, repeated and late ones; each alone, as the plane infers all of a batch from the window before it."""
    made = lane(suite=replace(SUITES[suite], esn=True), window=256)
    packets = [made.packet(WRAP - 400, inbound()), *(made.packet(WRAP + step, inbound()) for step in steps)]
    delivered = [one for packet in packets for one in made.put(packet)]
    assert (delivered, made.drops()) == expected(reference(made.spec), packets)
    made.engine.stop()


@pytest.mark.parametrize("suite", SUITES)
def test_what_the_plane_seals_across_the_wrap_the_reference_opens(suite: str) -> None:
    chosen = replace(SUITES[suite], esn=True)
    engine, spec = make(), child(suite=chosen, window=64)
    engine.install(spec)
    engine.set_sequence(1, WRAP - 100)
    packets = [outbound(bytes([number])) for number in range(200)]
    sealed = [packet for _, packet in engine.send_inner(packets)]
    assert [int.from_bytes(packet[4:8], "big") for packet in sealed] == [(WRAP - 99 + n) % WRAP for n in range(200)]
    judge = Receiver(esp_key(chosen, 20), SPI_OUT, Window(64, esn=True), Traffic(spec.remote_ts, spec.local_ts))
    assert expected(judge, sealed) == (packets, {})
    assert engine.usage(1).sequence_out == WRAP + 100
    engine.stop()

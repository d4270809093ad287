"""Transport mode with frames of many packets: each of a received buffer gets its IP header, wherever it stands."""

from __future__ import annotations

import itertools
import socket

import pytest

from fynx.plugin.engine import EngineOptions
from tests.unit.esp.frames import ENDS, TCP, UDP, cut, superframe
from tests.unit.esp.test_engine_frames import FAMILIES, ON, SETTINGS, gateway, octets
from tests.unit.esp.workshop import child, mirror, network


def apart_from_the_header(packet: bytes) -> bytes:
    """Without identification and header checksum, which the receiver makes anew."""
    return packet if packet[0] >> 4 == 6 else packet[:4] + bytes(2) + packet[6:10] + bytes(2) + packet[12:]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("options", [ON, *SETTINGS[1:9:3]], ids=lambda o: "-".join((o.vnet, o.uso, o.gso, o.gro)))
def test_E28_payloads_arrive_as_the_packets_they_stand_for(
    options: EngineOptions, family: socket.AddressFamily
) -> None:
    with gateway(options, family) as left, gateway(ON, family) as right:
        for version, (here, there) in ENDS.items():
            spi = {"spi_in": 0x1000_0000 + version, "spi_out": 0x2000_0000 + version}
            ends = {"local_ts": (network(here),), "remote_ts": (network(there),)}
            spec = child(version, mode="transport", path=left.path_to(right), window=4096, **spi, **ends)
            left.engine.install(spec)
            right.engine.install(mirror(spec, mode="transport", path=right.path_to(left)))
        for seed, (protocol, version, length, size) in enumerate(
            itertools.product((TCP, UDP), (4, 6), (1, 1348, 5000, 60000), (64, 536, 1348))
        ):
            frame = superframe(protocol, version, octets(length, seed), size)
            left.put(frame)
            wanted = [apart_from_the_header(packet) for packet in cut(frame)]
            assert [apart_from_the_header(packet) for packet in right.take(len(wanted))] == wanted
        assert [name for name, n in right.engine.counters().items() if name.startswith("drop_") and n] == []

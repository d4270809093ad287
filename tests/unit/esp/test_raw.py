"""ESP from raw sockets: what stands before it is looked at, and refused by name."""

from __future__ import annotations

import pytest

from fynx.esp._plane import ffi, lib
from fynx.esp.workers import drop_name
from tests.unit.esp.workshop import ipv4

GOOD = ipv4("192.0.2.1", "192.0.2.2", bytes(24), protocol=50)
OPTIONS = ipv4("192.0.2.1", "192.0.2.2", bytes(32), protocol=50, first=0x47)


def stripped(packet: bytes, *, four: bool = True) -> int | str:
    found = lib.fynx_raw_run(four, ffi.from_buffer(packet), len(packet))
    return int(found) if found >= 0 else drop_name(-1 - found)


def test_what_stands_before_esp_is_taken_off() -> None:
    assert stripped(GOOD) == 20
    assert stripped(OPTIONS) == 28
    assert stripped(bytes(8), four=False) == 0, "IPv6 comes without its header"


@pytest.mark.parametrize(
    "packet",
    [
        *(GOOD[:length] for length in (0, 1, 19, 20, len(GOOD) - 1)),
        b"\x65" + GOOD[1:],
        b"\x44" + GOOD[1:],
        OPTIONS[:27],
        b"\x4f" + GOOD[1:],
        GOOD[:9] + b"\x11" + GOOD[10:],
        ipv4("192.0.2.1", "192.0.2.2", bytes(24), protocol=50, total=19),
        ipv4("192.0.2.1", "192.0.2.2", bytes(24), protocol=50, total=45),
    ],
)
def test_E1_a_header_that_is_none_is_refused(packet: bytes) -> None:
    assert stripped(packet) == "raw_header"


@pytest.mark.parametrize("fragment", [0x2000, 1, 0x1FFF, 0x2001])
def test_E1_a_piece_of_a_packet_is_refused(fragment: int) -> None:
    assert stripped(ipv4("192.0.2.1", "192.0.2.2", bytes(24), protocol=50, fragment=fragment)) == "raw_fragment"
    assert stripped(ipv4("192.0.2.1", "192.0.2.2", bytes(24), protocol=50, fragment=0x4000)) == 20

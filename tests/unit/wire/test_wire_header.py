"""Rows H1, H2, H4 and H5: the header (RFC 7296 section 3.1)."""

from __future__ import annotations

import pytest

from fynx.errors import Drop, Dropped
from fynx.wire.header import HEADER_LEN, Header, parse_header

HEADER = Header(b"initiatr", b"responde", 33, 34, True, False, 7, HEADER_LEN)
PLAIN = HEADER.encode()


def with_length(length: int, trailing: int = 0) -> bytes:
    return PLAIN[:24] + length.to_bytes(4, "big") + bytes(trailing)


def test_the_header_has_the_layout_of_figure_4() -> None:
    assert b"initiatr" + b"responde" + bytes.fromhex("21 20 22 08 00000007 0000001c") == PLAIN


@pytest.mark.parametrize("size", range(HEADER_LEN), ids=lambda size: f"H1-{size}")
def test_a_datagram_shorter_than_a_header_is_dropped(size: int) -> None:
    with pytest.raises(Dropped) as caught:
        parse_header(PLAIN[:size])
    assert caught.value.reason is Drop.SHORT


@pytest.mark.parametrize(
    ("length", "trailing"),
    [
        pytest.param(0, 0, id="H2-zero"),
        pytest.param(27, 0, id="H2-under-a-header"),
        pytest.param(29, 0, id="H2-over-the-datagram"),
        pytest.param(0xFFFFFFFF, 0, id="H2-largest"),
        pytest.param(28, 1, id="H2-trailing-octet"),
        pytest.param(28, 400, id="H2-trailing-octets"),
    ],
)
def test_a_length_that_is_not_the_datagrams_is_dropped(length: int, trailing: int) -> None:
    with pytest.raises(Dropped) as caught:
        parse_header(with_length(length, trailing))
    assert caught.value.reason is Drop.LENGTH


@pytest.mark.parametrize("minor", range(1, 16), ids=lambda minor: f"H4-{minor}")
def test_a_minor_version_changes_nothing_else(minor: int) -> None:
    datagram = bytearray(PLAIN)
    datagram[17] |= minor

    header = parse_header(bytes(datagram))

    assert (header.major, header.minor) == (2, minor)
    assert (header.exchange, header.initiator, header.response) == (34, True, False)


@pytest.mark.parametrize("major", [0, 1, *range(3, 16)], ids=lambda major: f"H3-{major}")
def test_a_major_version_is_left_to_the_endpoint(major: int) -> None:
    datagram = bytearray(PLAIN)
    datagram[17] = major << 4

    assert parse_header(bytes(datagram)).major == major


@pytest.mark.parametrize("bits", [0x01, 0x02, 0x04, 0x40, 0x80, 0xC7], ids=lambda bits: f"H5-{bits:02x}")
def test_reserved_flags_are_ignored_and_never_sent(bits: int) -> None:
    datagram = bytearray(PLAIN)
    datagram[19] |= bits

    header = parse_header(bytes(datagram))

    assert header == HEADER
    assert header.encode() == PLAIN


@pytest.mark.parametrize("exchange", [0, 33, 39, 45, 255], ids=lambda exchange: f"H7-{exchange}")
def test_an_unknown_exchange_type_is_only_a_number(exchange: int) -> None:
    datagram = bytearray(PLAIN)
    datagram[18] = exchange

    assert parse_header(bytes(datagram)).exchange == exchange


def test_each_flag_has_its_own_bit() -> None:
    flags = {name: getattr(parse_header(PLAIN[:19] + bytes((bit,)) + PLAIN[20:]), name) for name, bit in BITS.items()}
    none = parse_header(PLAIN[:19] + b"\0" + PLAIN[20:])

    assert all(flags.values())
    assert (none.initiator, none.response, none.version_flag) == (False, False, False)


BITS = {"initiator": 0x08, "version_flag": 0x10, "response": 0x20}

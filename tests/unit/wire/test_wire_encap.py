"""Row H28: what a UDP datagram is (RFC 3948 sections 2.1 to 2.3)."""

from __future__ import annotations

import pytest

from fynx.errors import Drop, Dropped
from fynx.wire.encap import ESP_MIN, MARKER, Kind, classify
from fynx.wire.header import HEADER_LEN, Header, parse_header

IKE = Header(b"initiatr", bytes(8), 0, 34, True, False, 0, HEADER_LEN).encode()
ESP = b"\x01\x02\x03\x04" + bytes(8)


@pytest.mark.parametrize(
    ("datagram", "kind", "content"),
    [
        pytest.param(MARKER + IKE, Kind.IKE, IKE, id="H28-ike"),
        pytest.param(ESP, Kind.ESP, ESP, id="H28-esp"),
        pytest.param(b"\xff", Kind.KEEPALIVE, b"", id="H28-keepalive"),
        pytest.param(b"\xff\xff", Kind.JUNK, b"\xff\xff", id="H28-keepalive-of-two"),
        pytest.param(b"\xff" * (ESP_MIN - 1), Kind.JUNK, b"\xff" * (ESP_MIN - 1), id="H28-keepalive-of-eleven"),
        pytest.param(b"\xff" * ESP_MIN, Kind.ESP, b"\xff" * ESP_MIN, id="H28-spi-ffffffff"),
        pytest.param(b"\xfe", Kind.JUNK, b"\xfe", id="H28-other-octet"),
        pytest.param(b"\x00", Kind.JUNK, b"\x00", id="H28-zero-octet"),
        pytest.param(b"", Kind.JUNK, b"", id="H28-empty"),
        pytest.param(bytes(3), Kind.JUNK, bytes(3), id="H28-three-quarters-of-a-marker"),
        pytest.param(MARKER, Kind.IKE, b"", id="H28-marker-alone"),
        pytest.param(IKE, Kind.ESP, IKE, id="H28-marker-missing"),
        pytest.param(MARKER + MARKER + IKE, Kind.IKE, MARKER + IKE, id="H28-marker-twice"),
        pytest.param(ESP[:-1], Kind.JUNK, ESP[:-1], id="H28-esp-of-eleven"),
    ],
)
def test_a_datagram_on_4500_is_told_by_its_first_octets(datagram: bytes, kind: Kind, content: bytes) -> None:
    assert classify(datagram, True) == (kind, content)


@pytest.mark.parametrize("datagram", [IKE, ESP, b"\xff", b"", b"\x00"], ids=lambda datagram: f"H28-{len(datagram)}")
def test_a_datagram_on_500_is_ike_whatever_it_holds(datagram: bytes) -> None:
    assert classify(datagram, False) == (Kind.IKE, datagram)


def test_a_marker_on_500_is_junk() -> None:
    """H28."""
    assert classify(MARKER + IKE, False)[0] is Kind.JUNK


def test_an_spi_that_begins_with_four_zero_octets_is_no_marker_on_500() -> None:
    message = Header(bytes(4) + b"tial", bytes(8), 0, 34, True, False, 0, HEADER_LEN + 4).encode() + b"\0\0\0\4"

    assert classify(message, False) == (Kind.IKE, message)


@pytest.mark.parametrize("datagram", [MARKER, MARKER + MARKER + IKE, MARKER + IKE + b"\0"])
def test_what_follows_a_marker_and_is_no_message_falls_at_the_header(datagram: bytes) -> None:
    kind, content = classify(datagram, True)

    assert kind is Kind.IKE
    with pytest.raises(Dropped) as caught:
        parse_header(content)
    assert caught.value.reason in (Drop.SHORT, Drop.LENGTH)

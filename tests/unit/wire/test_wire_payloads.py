"""Rows K20, K27, K28, A5, A17, A19, C1, C2, C16 and C18 in the codec: bodies of payloads (RFC 7296 section 3)."""

from __future__ import annotations

import pytest

from fynx.errors import PeerFault
from fynx.wire.iana import NotifyType, PayloadType, Protocol
from fynx.wire.payload import (
    PARSERS,
    AuthPayload,
    CertPayload,
    CertReqPayload,
    CpAttr,
    CpPayload,
    DeletePayload,
    EapPayload,
    IdPayload,
    KePayload,
    NoncePayload,
    NotifyPayload,
    Payload,
    TrafficSelector,
    TsPayload,
    UnknownPayload,
    VendorPayload,
)

LAYOUTS: list[tuple[Payload, str]] = [
    (KePayload(31, b"\xaa\xbb"), "001f 0000 aabb"),
    (IdPayload(True, 2, b"a.b"), "02 000000 612e62"),
    (IdPayload(False, 1, b"\xc0\0\2\1"), "01 000000 c0000201"),
    (CertPayload(4, b"\x30\x00"), "04 3000"),
    (CertReqPayload(4, b"\x11" * 20), "04" + "11" * 20),
    (AuthPayload(2, b"\xaa"), "02 000000 aa"),
    (NoncePayload(bytes(16)), "00" * 16),
    (NotifyPayload(16388, b"\xaa"), "00 00 4004 aa"),
    (NotifyPayload(16393, b"", 3, b"\1\2\3\4"), "03 04 4009 01020304"),
    (DeletePayload(1), "01 00 0000"),
    (DeletePayload(3, (b"\1\2\3\4", b"\5\6\7\x08")), "03 04 0002 01020304 05060708"),
    (VendorPayload(b"\xaa"), "aa"),
    (
        TsPayload(True, (TrafficSelector(7, 6, 22, 22, b"\xc0\0\2\0", b"\xc0\0\2\xff"),)),
        "01 000000  07 06 0010 0016 0016 c0000200 c00002ff",
    ),
    (
        TsPayload(False, (TrafficSelector(8, 0, 0, 65535, bytes(16), b"\xff" * 16),)),
        "01 000000  08 00 0028 0000 ffff" + "00" * 16 + "ff" * 16,
    ),
    (CpPayload(1, (CpAttr(1), CpAttr(3, b"\xc0\0\2\1"))), "01 000000  0001 0000  0003 0004 c0000201"),
    (EapPayload(b"\1\7\0\6\1x"), "01 07 0006 01 78"),
]


@pytest.mark.parametrize(
    ("payload", "octets"), LAYOUTS, ids=lambda value: "" if isinstance(value, str) else repr(value)[:25]
)
def test_a_payload_has_the_layout_of_its_figure(payload: Payload, octets: str) -> None:
    body = bytes.fromhex(octets)

    assert payload.body == body
    assert PARSERS[payload.kind](body) == payload


def assert_syntax(kind: PayloadType, octets: bytes | str) -> None:
    body = bytes.fromhex(octets) if isinstance(octets, str) else octets
    with pytest.raises(PeerFault) as caught:
        PARSERS[kind](body)
    assert caught.value.notify == NotifyType.INVALID_SYNTAX
    assert caught.value.data == b""


@pytest.mark.parametrize(
    ("kind", "least"),
    [
        (PayloadType.KE, 4),
        (PayloadType.IDI, 4),
        (PayloadType.IDR, 4),
        (PayloadType.CERT, 1),
        (PayloadType.CERTREQ, 1),
        (PayloadType.AUTH, 4),
        (PayloadType.NOTIFY, 4),
        (PayloadType.DELETE, 4),
        (PayloadType.TSI, 8),
        (PayloadType.TSR, 8),
        (PayloadType.CP, 4),
        (PayloadType.EAP, 4),
    ],
)
def test_a_body_shorter_than_its_fixed_fields_is_a_syntax_error(kind: PayloadType, least: int) -> None:
    for size in range(least):
        assert_syntax(kind, bytes((1,)) * size)


@pytest.mark.parametrize("size", [0, 1, 15, 257, 65531], ids=lambda size: f"K20-{size}")
def test_a_nonce_of_a_length_outside_16_to_256_is_a_syntax_error(size: int) -> None:
    assert_syntax(PayloadType.NONCE, bytes(size))


@pytest.mark.parametrize("size", [16, 32, 256], ids=lambda size: f"K20-{size}")
def test_a_nonce_of_16_to_256_octets_is_read(size: int) -> None:
    assert PARSERS[PayloadType.NONCE](bytes(size)) == NoncePayload(bytes(size))


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param("03 ff 4009" + "00" * 255, id="K27-size-255"),
        pytest.param("03 ff 4009 01020304", id="K27-size-255-beyond-the-end"),
        pytest.param("00 04 4009 01020304", id="K27-protocol-0"),
        pytest.param("01 04 4009 01020304", id="K27-protocol-1"),
        pytest.param("01 08 4009 0102030405060708", id="K27-spi-of-the-ike-sa"),
        pytest.param("ff 04 4009 01020304", id="K27-protocol-255"),
        pytest.param("03 04 4009 010203", id="K27-shorter-than-its-spi"),
        pytest.param("03 04 4009", id="K27-no-spi"),
        pytest.param("03 03 4009 010203", id="K27-size-3"),
        pytest.param("02 08 4009 0102030405060708", id="K27-size-8"),
    ],
)
def test_a_notification_whose_spi_fits_no_child_sa_is_a_syntax_error(octets: str) -> None:
    assert_syntax(PayloadType.NOTIFY, octets)


@pytest.mark.parametrize("protocol", [0, 1, 3, 255], ids=lambda protocol: f"K27-protocol-{protocol}")
def test_the_protocol_of_a_notification_without_spi_means_nothing(protocol: int) -> None:
    assert PARSERS[PayloadType.NOTIFY](bytes((protocol, 0, 0x40, 0))) == NotifyPayload(16384, b"", protocol)


@pytest.mark.parametrize(("number", "error"), [(0, True), (14, True), (16383, True), (16384, False), (65535, False)])
def test_notifications_under_16384_are_errors(number: int, error: bool) -> None:
    """K26: an unknown number of either range is read."""
    assert NotifyPayload(number).is_error is error
    assert PARSERS[PayloadType.NOTIFY](b"\0\0" + number.to_bytes(2, "big")) == NotifyPayload(number)


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"", id="K28-empty"),
        pytest.param(bytes(65531), id="K28-64-KiB"),
        pytest.param(b"\x1b[2J\r\n\0\x7f", id="K28-control-characters"),
    ],
)
def test_a_vendor_id_of_any_octets_is_read(octets: bytes) -> None:
    assert PARSERS[PayloadType.VENDOR](octets) == VendorPayload(octets)


@pytest.mark.parametrize(
    ("id_type", "data"),
    [
        pytest.param(0, b"x", id="A5-type-0"),
        pytest.param(4, b"x", id="A5-type-4"),
        pytest.param(200, b"x", id="A5-type-200"),
        pytest.param(1, bytes(3), id="A5-ipv4-3"),
        pytest.param(1, bytes(5), id="A5-ipv4-5"),
        pytest.param(9, b"\x30\x80\0\0", id="A5-broken-der"),
        pytest.param(2, b"a\0b\nc", id="A5-nul-and-newline"),
        pytest.param(2, b"", id="A5-empty"),
        pytest.param(3, b"x" * 65527, id="A5-64-KiB"),
    ],
)
def test_an_identity_of_any_kind_is_read_for_the_comparison_to_refuse(id_type: int, data: bytes) -> None:
    body = bytes((id_type, 0, 0, 0)) + data

    payload = PARSERS[PayloadType.IDI](body)

    assert payload == IdPayload(True, id_type, data)
    assert payload.body == body


def test_reserved_octets_of_an_identity_are_not_part_of_what_we_sign_for_ourselves() -> None:
    assert PARSERS[PayloadType.IDR](b"\2\xff\xff\xffab").body == b"\2\0\0\0ab"


V4 = "07 00 0010 0000 ffff c0000200 c00002ff"


@pytest.mark.parametrize("kind", [PayloadType.TSI, PayloadType.TSR])
@pytest.mark.parametrize(
    "octets",
    [
        pytest.param("00 000000", id="C1-zero"),
        pytest.param("00 000000" + V4, id="C1-zero-for-one"),
        pytest.param("02 000000" + V4, id="C1-two-for-one"),
        pytest.param("ff 000000" + V4, id="C1-255-for-one"),
        pytest.param("01 000000" + V4 * 2, id="C1-one-for-two"),
        pytest.param("01 000000" + V4 + "00", id="C1-octet-behind"),
        pytest.param("01 000000 07 00 000f 0000 ffff c0000200 c00002", id="C1-ipv4-15"),
        pytest.param("01 000000 07 00 0028 0000 ffff" + "00" * 32, id="C1-ipv4-40"),
        pytest.param("01 000000 08 00 0010 0000 ffff c0000200 c00002ff", id="C1-ipv6-16"),
        pytest.param("01 000000 08 00 0029 0000 ffff" + "00" * 33, id="C1-ipv6-41"),
        pytest.param("01 000000 07 00 0000 0000 ffff c0000200 c00002ff", id="C1-length-0"),
        pytest.param("01 000000 07 00 0003 0000 ffff c0000200 c00002ff", id="C1-length-3"),
        pytest.param("01 000000 07 00 ffff 0000 ffff c0000200 c00002ff", id="C1-length-over-the-end"),
        pytest.param("01 000000 07 00 00", id="C1-cut-short"),
        pytest.param("01 000000 ff 00 0003 00", id="C1-unknown-type-length-3"),
    ],
)
def test_selectors_that_contradict_themselves_are_a_syntax_error(kind: PayloadType, octets: str) -> None:
    assert_syntax(kind, octets)


@pytest.mark.parametrize("ts_type", [0, 6, 9, 10, 255], ids=lambda ts_type: f"C1-type-{ts_type}")
def test_a_selector_of_an_unknown_type_is_kept_beside_the_known_ones(ts_type: int) -> None:
    body = bytes.fromhex("02 000000") + bytes((ts_type, 5)) + bytes.fromhex("0007 aabbcc") + bytes.fromhex(V4)

    payload = PARSERS[PayloadType.TSI](body)

    assert isinstance(payload, TsPayload)
    strange, known = payload.selectors
    assert strange == TrafficSelector(ts_type, 5, 0, 0, b"", b"", b"\xaa\xbb\xcc")
    assert (strange.known, known.known) == (False, True)
    assert payload.body == body


def test_a_selector_of_an_unknown_type_may_be_empty() -> None:
    payload = PARSERS[PayloadType.TSI](bytes.fromhex("01 000000  0a 00 0004"))

    assert payload == TsPayload(True, (TrafficSelector(10, 0, 0, 0, b"", b"", b""),))


def test_255_selectors_are_read() -> None:
    payload = PARSERS[PayloadType.TSR](bytes.fromhex("ff 000000" + V4 * 255))

    assert isinstance(payload, TsPayload)
    assert len(payload.selectors) == 255


@pytest.mark.parametrize(
    ("octets", "ports"),
    [
        pytest.param("07 11 0010 0050 0010 c00002ff c0000200", (80, 16), id="C2-start-over-end"),
        pytest.param("07 11 0010 ffff 0000 c0000200 c00002ff", (65535, 0), id="C2-opaque"),
        pytest.param("07 11 0010 ffff 0001 c0000200 c00002ff", (65535, 1), id="C2-opaque-pair-wrong"),
        pytest.param("07 01 0010 0800 08ff c0000200 c00002ff", (0x800, 0x8FF), id="C2-icmp-type-and-code"),
    ],
)
def test_the_ranges_of_a_selector_are_left_to_narrowing(octets: str, ports: tuple[int, int]) -> None:
    payload = PARSERS[PayloadType.TSI](bytes.fromhex("01 000000" + octets))

    assert isinstance(payload, TsPayload)
    assert (payload.selectors[0].start_port, payload.selectors[0].end_port) == ports


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param("03 04 0002 01020304", id="C16-two-for-one"),
        pytest.param("03 04 0000 01020304", id="C16-zero-for-one"),
        pytest.param("03 04 ffff 01020304", id="C16-65535-for-one"),
        pytest.param("03 04 0001 010203", id="C16-cut-short"),
        pytest.param("03 04 0001 0102030405", id="C16-octet-behind"),
        pytest.param("03 00 0001", id="C16-esp-size-0"),
        pytest.param("03 00 ffff", id="C16-esp-size-0-count-65535"),
        pytest.param("02 08 0001 0102030405060708", id="C16-ah-size-8"),
        pytest.param("01 04 0001 01020304", id="C16-ike-size-4"),
        pytest.param("01 08 0001 0102030405060708", id="C16-ike-size-8"),
        pytest.param("01 00 0001", id="C16-ike-count-1"),
        pytest.param("00 00 0005", id="C16-protocol-0-size-0"),
        pytest.param("63 ff 0001" + "00" * 255, id="C16-size-255"),
    ],
)
def test_a_delete_payload_that_contradicts_itself_is_a_syntax_error(octets: str) -> None:
    assert_syntax(PayloadType.DELETE, octets)


def test_a_delete_payload_keeps_repeated_spis_in_order() -> None:
    """C16: the same SPI twice; and it may name none."""
    spi = b"\1\2\3\4"

    assert PARSERS[PayloadType.DELETE](bytes.fromhex("03 04 0002") + spi * 2) == DeletePayload(Protocol.ESP, (spi, spi))
    assert PARSERS[PayloadType.DELETE](bytes.fromhex("03 04 0000")) == DeletePayload(Protocol.ESP)


def test_a_delete_payload_of_an_unknown_protocol_is_read_to_be_ignored() -> None:
    assert PARSERS[PayloadType.DELETE](bytes.fromhex("63 02 0001 abcd")) == DeletePayload(99, (b"\xab\xcd",))
    assert PARSERS[PayloadType.DELETE](bytes.fromhex("63 00 0000")) == DeletePayload(99)


@pytest.mark.parametrize("size", [0, 19, 41, 65530], ids=lambda size: f"A17-{size}")
def test_a_certificate_request_of_any_length_is_read(size: int) -> None:
    assert PARSERS[PayloadType.CERTREQ](b"\4" + bytes(size)) == CertReqPayload(4, bytes(size))


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param("01 07 0007 01 78", id="A19-length-over"),
        pytest.param("01 07 0005 01 78", id="A19-length-under"),
        pytest.param("01 07 0000 01 78", id="A19-length-0"),
        pytest.param("01 07 0004", id="A19-request-without-type"),
        pytest.param("02 07 0004", id="A19-response-without-type"),
        pytest.param("03 07 0005 01", id="A19-success-with-type"),
        pytest.param("04 07 0005 01", id="A19-failure-with-type"),
        pytest.param("00 07 0005 01", id="A19-code-0"),
        pytest.param("05 07 0005 01", id="A19-code-5"),
    ],
)
def test_an_eap_message_that_contradicts_itself_is_a_syntax_error(octets: str) -> None:
    assert_syntax(PayloadType.EAP, octets)


@pytest.mark.parametrize("octets", ["03 07 0004", "04 07 0004", "01 07 0005 01", "02 07 0005 03"])
def test_the_shortest_eap_message_of_each_code_is_read(octets: str) -> None:
    assert PARSERS[PayloadType.EAP](bytes.fromhex(octets)) == EapPayload(bytes.fromhex(octets))


def test_an_eap_message_tells_its_code_identifier_and_type() -> None:
    request, success = EapPayload(bytes.fromhex("01 07 0006 1a 78")), EapPayload(bytes.fromhex("03 08 0004"))

    assert (request.code, request.identifier, request.type) == (1, 7, 26)
    assert (success.code, success.identifier, success.type) == (3, 8, None)


def test_an_eap_message_does_not_show_what_it_holds() -> None:
    assert repr(EapPayload(b"\2\7\0\x0b\1secret")) == "EapPayload()"


@pytest.mark.parametrize(
    ("octets", "attribute"),
    [
        pytest.param("0001 0000", CpAttr(1), id="C18-length-0"),
        pytest.param("0001 0003 010203", CpAttr(1, b"\1\2\3"), id="C18-length-3"),
        pytest.param("7fff 0001 aa", CpAttr(0x7FFF, b"\xaa"), id="C18-type-unknown"),
        pytest.param("8001 0000", CpAttr(1), id="reserved-bit-ignored"),
    ],
)
def test_a_configuration_attribute_of_any_type_and_length_is_read(octets: str, attribute: CpAttr) -> None:
    assert PARSERS[PayloadType.CP](bytes.fromhex("01 000000" + octets)) == CpPayload(1, (attribute,))


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param("01 000000 0001 ffff 01020304", id="C18-length-65535"),
        pytest.param("01 000000 0001 0005 01020304", id="C18-length-over-the-end"),
        pytest.param("01 000000 0001 00", id="C18-cut-short"),
        pytest.param("01 000000" + "0001 0000" * 257, id="C18-257-attributes"),
    ],
)
def test_configuration_attributes_that_pass_the_end_are_a_syntax_error(octets: str) -> None:
    assert_syntax(PayloadType.CP, octets)


def test_an_unknown_payload_is_its_octets() -> None:
    assert UnknownPayload(200, True, b"x").kind == 200
    assert UnknownPayload(200, True, b"x").body == b"x"

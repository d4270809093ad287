"""Identities as text (RFC 7296 section 3.5) and rows A5, A7 and K28 where they are shown."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest

from fynx.wire import dn
from fynx.wire.iana import IdType
from fynx.wire.identity import SHOW_MAX, cut, escape, parse_identity, show

GATEWAY_DN = bytes.fromhex(
    "302a 310b 3009 0603550406 1302 4348 310b 3009 060355040a 0c02 4658 310e 300c 0603550403 0c05 67772e6131"
)

WRITTEN = [
    ("192.0.2.1", IdType.ID_IPV4_ADDR, b"\xc0\0\2\1"),
    ("2001:db8::1", IdType.ID_IPV6_ADDR, IPv6Address("2001:db8::1").packed),
    ("gw.example.net", IdType.ID_FQDN, b"gw.example.net"),
    ("west", IdType.ID_FQDN, b"west"),
    ("@gw.example.net", IdType.ID_FQDN, b"gw.example.net"),
    ("@192.0.2.1", IdType.ID_FQDN, b"192.0.2.1"),
    ("fqdn:192.0.2.1", IdType.ID_FQDN, b"192.0.2.1"),
    ("dns:gw", IdType.ID_FQDN, b"gw"),
    ("carol@example.net", IdType.ID_RFC822_ADDR, b"carol@example.net"),
    ("@@carol@example.net", IdType.ID_RFC822_ADDR, b"carol@example.net"),
    ("email:carol", IdType.ID_RFC822_ADDR, b"carol"),
    ("RFC822:carol@example.net", IdType.ID_RFC822_ADDR, b"carol@example.net"),
    ("@#c0ffee", IdType.ID_KEY_ID, b"\xc0\xff\xee"),
    ("keyid:#c0ffee", IdType.ID_KEY_ID, b"\xc0\xff\xee"),
    ("keyid:branch-7", IdType.ID_KEY_ID, b"branch-7"),
    ("keyid:%any", IdType.ID_KEY_ID, b"%any"),
    ("ipv4:192.0.2.1", IdType.ID_IPV4_ADDR, b"\xc0\0\2\1"),
    ("ipv6:::1", IdType.ID_IPV6_ADDR, IPv6Address("::1").packed),
    ("C=CH, O=FX, CN=gw.a1", IdType.ID_DER_ASN1_DN, GATEWAY_DN),
    ("asn1dn:C=CH,O=FX,CN=gw.a1", IdType.ID_DER_ASN1_DN, GATEWAY_DN),
    ("asn1dn:#3000", IdType.ID_DER_ASN1_DN, b"\x30\0"),
    ("asn1gn:#8200", IdType.ID_DER_ASN1_GN, b"\x82\0"),
]


@pytest.mark.parametrize(("text", "id_type", "data"), WRITTEN, ids=[text for text, _, _ in WRITTEN])
def test_an_identity_is_read_as_it_is_written(text: str, id_type: int, data: bytes) -> None:
    assert parse_identity(text) == (id_type, data)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "empty"),
        (" gw", "blanks"),
        ("%any", "pattern"),
        ("%any6", "pattern"),
        ("gw example", "xn--"),
        ("gw\nexample", "xn--"),
        ("gw\0", "xn--"),
        ("gäteway.example", "xn--"),
        ("@", "xn--"),
        ("@#", "hexadecimal"),
        ("@#xyz", "hexadecimal"),
        ("@@", "e-mail"),
        ("keyid:", "needs"),
        ("branch:7", "keyid:branch:7"),
        ("ipv4:gw", "gw"),
        ("fe80::1%eth0", "zone"),
        ("asn1gn:gw", "DER"),
        ("CN=", "no value"),
        ("C=CH, gw", "TYPE=value"),
        ("C=CH, XX=1", "TYPE=value"),
        ("C=ÄÖ", "ASCII"),
        ("x" * 1025, "1024"),
    ],
)
def test_what_is_no_identity_is_refused_with_a_hint(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        parse_identity(text)


SHOWN = [
    (IdType.ID_IPV4_ADDR, b"\xc0\0\2\1", "192.0.2.1"),
    (IdType.ID_IPV6_ADDR, IPv6Address("2001:db8::1").packed, "2001:db8::1"),
    (IdType.ID_FQDN, b"gw.example.net", "gw.example.net"),
    (IdType.ID_RFC822_ADDR, b"carol@example.net", "carol@example.net"),
    (IdType.ID_KEY_ID, b"branch-7", "keyid:branch-7"),
    (IdType.ID_KEY_ID, b"\xc0\xff\xee", "keyid:#c0ffee"),
    (IdType.ID_KEY_ID, b"#c0ffee", "keyid:#2363306666" + "6565"),
    (IdType.ID_DER_ASN1_DN, GATEWAY_DN, "C=CH, O=FX, CN=gw.a1"),
    (IdType.ID_DER_ASN1_GN, b"\x82\0", "asn1gn:#8200"),
]


@pytest.mark.parametrize(("id_type", "data", "text"), SHOWN, ids=[text for _, _, text in SHOWN])
def test_an_identity_that_is_shown_can_be_written(id_type: int, data: bytes, text: str) -> None:
    assert show(id_type, data) == text
    assert parse_identity(text) == (id_type, data)


@pytest.mark.parametrize(
    ("id_type", "data", "text"),
    [
        pytest.param(2, b"gw\nuser=root\0", "gw\\x0auser=root\\x00", id="A5-newline-and-nul"),
        pytest.param(2, b"gw\x1b[2J", "gw\\x1b[2J", id="K28-terminal-escape"),
        pytest.param(2, "gаteway".encode(), "g\\xd0\\xb0teway", id="A5-homoglyph"),
        pytest.param(2, b"a\\x0a", "a\\\\x0a", id="A5-backslash"),
        pytest.param(1, bytes(3), "type 1:#000000", id="A5-ipv4-3"),
        pytest.param(1, bytes(5), "type 1:#0000000000", id="A5-ipv4-5"),
        pytest.param(5, bytes(4), "type 5:#00000000", id="A5-ipv6-4"),
        pytest.param(9, b"\x30\x80\0\0", "asn1dn:#30800000", id="A5-broken-der"),
        pytest.param(0, b"x", "type 0:#78", id="A5-type-0"),
        pytest.param(4, b"", "type 4:#", id="A5-type-4"),
        pytest.param(11, b"", "keyid:#", id="A5-empty-key-id"),
        pytest.param(13, b"", "(null)", id="A5-null"),
        pytest.param(13, b"x", "type 13:#78", id="A5-null-with-data"),
        pytest.param(2, b"%any", "%any", id="A7-literal"),
    ],
)
def test_a_strange_identity_is_shown_escaped(id_type: int, data: bytes, text: str) -> None:
    assert show(id_type, data) == text


@pytest.mark.parametrize("id_type", range(14), ids=lambda id_type: f"A5-64-KiB-{id_type}")
def test_a_huge_identity_is_cut(id_type: int) -> None:
    text = show(id_type, b"\n" * 65527)

    assert len(text) == SHOW_MAX
    assert text.endswith("…")


def test_a_text_that_fits_is_not_cut() -> None:
    assert cut("x" * SHOW_MAX) == "x" * SHOW_MAX
    assert cut("abcdef", 4) == "abc…"


def test_escaping_keeps_printable_ascii_only() -> None:
    assert escape(bytes(range(0x20, 0x5C))) == bytes(range(0x20, 0x5C)).decode()
    assert escape(b"\x1f\x7f\x80\xff") == "\\x1f\\x7f\\x80\\xff"


@pytest.mark.parametrize(
    "text",
    [
        "C=CH, ST=Zug, L=Baar, O=Example AG, OU=VPN, T=Gate, UID=7, serialNumber=12-3, CN=gw",
        "DC=net, DC=example, CN=gw",
        "CN=Example\\, Inc., E=vpn@example.net",
        "CN=" + "x" * 130,
    ],
)
def test_a_distinguished_name_is_written_as_it_is_read(text: str) -> None:
    assert show(IdType.ID_DER_ASN1_DN, parse_identity(text)[1]) == text


def test_other_spellings_of_attribute_types_are_known() -> None:
    assert dn.encode("s=a, emailAddress=b@c, SERIALNUMBER=1") == dn.encode("ST=a,E=b@c,serialNumber=1")


def test_an_attribute_type_without_a_name_is_shown_by_its_number() -> None:
    der = bytes.fromhex("300e 310c 300a 0603550429 0c03 666f6f")

    assert show(IdType.ID_DER_ASN1_DN, der) == "oid.#550429=foo"


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param("", id="empty"),
        pytest.param("30", id="no-length"),
        pytest.param("3080 0000", id="indefinite-length"),
        pytest.param("3001", id="over-the-end"),
        pytest.param("3000 00", id="trailing-octet"),
        pytest.param("3100", id="a-set"),
        pytest.param("3002 3000", id="no-set-inside"),
        pytest.param("3004 3102 3100", id="no-sequence-in-the-set"),
        pytest.param("3081 00", id="long-form-for-a-short-length"),
        pytest.param("3083 000000", id="length-of-three-octets"),
        pytest.param("300b 3109 3007 0603550403 0c", id="value-without-length"),
        pytest.param("300b 3109 3007 0403550403 0c00", id="no-oid"),
        pytest.param("3008 3106 3004 0600 0c00", id="empty-oid"),
        pytest.param("300c 310a 3008 0603550403 0c00 00", id="three-elements"),
    ],
)
def test_octets_that_are_no_name_are_not_well_formed(octets: str) -> None:
    """Row A5."""
    assert not dn.well_formed(bytes.fromhex(octets))


def test_names_are_well_formed() -> None:
    assert dn.well_formed(GATEWAY_DN)
    assert dn.well_formed(b"\x30\0")

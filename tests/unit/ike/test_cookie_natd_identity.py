"""Cookies (RFC 7296 section 2.6, row K23), NAT detection (2.23, N3) and identities (3.5, rows A5 and A7)."""

from __future__ import annotations

import hashlib
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fynx.ike.cookie import CookieJar
from fynx.ike.identity_match import fault
from fynx.ike.natd import NatStatus, detect, natd_hash, natd_notifies, packed
from fynx.plugin import Identity, Path
from fynx.wire.iana import IdType, NotifyType
from fynx.wire.payload import NotifyPayload

NI, SOURCE, SPI = b"n" * 32, bytes((192, 0, 2, 1)), b"12345678"


def jar() -> CookieJar:
    numbers = count(1)
    return CookieJar(lambda length: next(numbers).to_bytes(length, "big"), lifetime_s=60.0)


def test_a_cookie_holds_for_its_own_initiator_alone_k23() -> None:
    cookies = jar()
    cookie = cookies.make(0.0, NI, SOURCE, SPI)
    assert cookies.check(1.0, cookie, NI, SOURCE, SPI)
    assert not cookies.check(1.0, cookie, b"m" * 32, SOURCE, SPI)
    assert not cookies.check(1.0, cookie, NI, bytes((192, 0, 2, 2)), SPI)
    assert not cookies.check(1.0, cookie, NI, SOURCE, b"87654321")


@pytest.mark.parametrize("size", [0, 1, 32, 34, 64, 65, 1000])
def test_cookies_of_other_lengths_are_no_cookies_k23(size: int) -> None:
    cookies = jar()
    cookie = cookies.make(0.0, NI, SOURCE, SPI)
    assert len(cookie) == 33
    assert not cookies.check(0.0, (cookie * 40)[:size], NI, SOURCE, SPI)


@given(bit=st.integers(0, 33 * 8 - 1))
def test_a_cookie_with_a_flipped_bit_is_no_cookie_k23(bit: int) -> None:
    cookies = jar()
    cookie = int.from_bytes(cookies.make(0.0, NI, SOURCE, SPI), "big") ^ 1 << bit
    assert not cookies.check(0.0, cookie.to_bytes(33, "big"), NI, SOURCE, SPI)


def test_two_generations_of_the_secret_are_accepted_and_no_third_k23() -> None:
    cookies = jar()
    cookie = cookies.make(0.0, NI, SOURCE, SPI)
    assert cookies.check(59.0, cookie, NI, SOURCE, SPI)
    assert cookies.check(61.0, cookie, NI, SOURCE, SPI)
    assert cookies.make(61.0, NI, SOURCE, SPI) != cookie
    assert not cookies.check(122.0, cookie, NI, SOURCE, SPI)


def test_a_cookie_expires_while_nobody_asks_k23() -> None:
    cookies = jar()
    cookie = cookies.make(0.0, NI, SOURCE, SPI)
    assert not cookies.check(1000.0, cookie, NI, SOURCE, SPI)


def test_a_fresh_jar_knows_no_cookie() -> None:
    empty = b"\0" + bytes(32)
    assert not jar().check(0.0, empty, NI, SOURCE, SPI)
    assert not jar().check(0.0, jar().make(0.0, b"", b"", b""), NI, SOURCE, SPI)


def test_parts_of_the_cookie_text_do_not_run_into_each_other() -> None:
    cookies = jar()
    assert cookies.make(0.0, b"ab", b"c", SPI) != cookies.make(0.0, b"a", b"bc", SPI)


HERE = Path("192.0.2.1", 500, "198.51.100.9", 500)
THERE = Path("198.51.100.9", 500, "192.0.2.1", 500)
SPI_I, SPI_R = b"iiiiiiii", b"rrrrrrrr"


def test_the_hash_is_sha1_over_spis_address_and_port() -> None:
    text = SPI_I + SPI_R + bytes((192, 0, 2, 1, 0x01, 0xF4))
    assert natd_hash(SPI_I, SPI_R, packed("192.0.2.1"), 500) == hashlib.sha1(text).digest()
    assert packed("fe80::1%eth0") == packed("fe80::1")


def test_no_nat_is_seen_on_a_straight_path() -> None:
    assert detect(SPI_I, SPI_R, THERE, natd_notifies(SPI_I, SPI_R, HERE)) == NatStatus(local=False, remote=False)


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        (Path("198.51.100.9", 500, "203.0.113.1", 500), NatStatus(local=False, remote=True)),
        (Path("198.51.100.9", 500, "192.0.2.1", 1024), NatStatus(local=False, remote=True)),
        (Path("10.0.0.5", 500, "192.0.2.1", 500), NatStatus(local=True, remote=False)),
        (Path("10.0.0.5", 500, "203.0.113.1", 4000), NatStatus(local=True, remote=True)),
        (Path("", 500, "192.0.2.1", 500), NatStatus(local=True, remote=False)),
    ],
)
def test_a_changed_address_or_port_is_a_nat_on_that_side(seen: Path, status: NatStatus) -> None:
    assert detect(SPI_I, SPI_R, seen, natd_notifies(SPI_I, SPI_R, HERE)) == status


def test_forcing_makes_the_peer_see_a_nat_on_our_side() -> None:
    status = detect(SPI_I, SPI_R, THERE, natd_notifies(SPI_I, SPI_R, HERE, force=True))
    assert status == NatStatus(local=False, remote=True)
    assert status.found


def test_a_peer_without_notifications_does_no_nat_traversal() -> None:
    assert detect(SPI_I, SPI_R, THERE, ()) is None
    assert detect(SPI_I, SPI_R, THERE, natd_notifies(SPI_I, SPI_R, HERE)[:1]) is None


def test_only_the_first_hashes_are_looked_at_n3() -> None:
    source, destination = natd_notifies(SPI_I, SPI_R, HERE)
    noise = tuple(NotifyPayload(int(NotifyType.NAT_DETECTION_SOURCE_IP), bytes(19)) for _ in range(100))
    assert detect(SPI_I, SPI_R, THERE, (source, *noise, destination)) == NatStatus(local=False, remote=False)
    assert detect(SPI_I, SPI_R, THERE, (*noise, source, destination)) == NatStatus(local=False, remote=True)


RDN = bytes.fromhex("3009060355040313026571")
DN = bytes.fromhex("300d310b3009060355040313026571")
FQDN = Identity(IdType.ID_FQDN, b"vpn.example.org")


@pytest.mark.parametrize(
    "identity",
    [
        FQDN,
        Identity(IdType.ID_IPV4_ADDR, SOURCE),
        Identity(IdType.ID_IPV6_ADDR, bytes(16)),
        Identity(IdType.ID_RFC822_ADDR, b"a@example.org"),
        Identity(IdType.ID_RFC822_ADDR, "bär@example.org".encode()),
        Identity(IdType.ID_KEY_ID, b"\0\xff\n"),
        Identity(IdType.ID_DER_ASN1_DN, DN),
        Identity(IdType.ID_DER_ASN1_GN, RDN),
        Identity(IdType.ID_FQDN, b"%any"),
        Identity(IdType.ID_FQDN, b"*"),
    ],
)
def test_good_identities_have_no_fault(identity: Identity) -> None:
    assert fault(identity) == ""


@pytest.mark.parametrize(
    "identity",
    [
        *[Identity(kind, b"x") for kind in (0, 4, 6, 12, 13, 14, 201, 255)],
        Identity(IdType.ID_IPV4_ADDR, bytes(3)),
        Identity(IdType.ID_IPV4_ADDR, bytes(5)),
        Identity(IdType.ID_IPV6_ADDR, bytes(15)),
        Identity(IdType.ID_FQDN, b""),
        Identity(IdType.ID_FQDN, b"vpn.example.org\0"),
        Identity(IdType.ID_FQDN, b"vpn.example.org\n"),
        Identity(IdType.ID_FQDN, "vpn.exаmple.org".encode()),  # a Cyrillic letter
        Identity(IdType.ID_FQDN, b"a" * 65536),
        Identity(IdType.ID_KEY_ID, b"a" * 1025),
        Identity(IdType.ID_RFC822_ADDR, b"a@example.org\0"),
        Identity(IdType.ID_RFC822_ADDR, b"\xff@example.org"),
        Identity(IdType.ID_RFC822_ADDR, "a\u202e@example.org".encode()),
        Identity(IdType.ID_DER_ASN1_DN, b"0"),
        Identity(IdType.ID_DER_ASN1_DN, bytes.fromhex("3000")),
        Identity(IdType.ID_DER_ASN1_DN, DN[:-1]),
        Identity(IdType.ID_DER_ASN1_DN, DN + b"\0"),
        Identity(IdType.ID_DER_ASN1_DN, RDN),
        Identity(IdType.ID_DER_ASN1_DN, b"\x30\x84\xff\xff\xff\xff" + DN),
        Identity(IdType.ID_DER_ASN1_DN, b"\x30\x80" + DN),
    ],
)
def test_identities_that_cannot_be_are_nobodys_a5(identity: Identity) -> None:
    assert fault(identity)


@given(data=st.binary(max_size=40), kind=st.integers(0, 255))
def test_any_octets_get_a_verdict_a5(data: bytes, kind: int) -> None:
    assert isinstance(fault(Identity(kind, data)), str)
    assert isinstance(fault(Identity(9, DN[:4] + data)), str)

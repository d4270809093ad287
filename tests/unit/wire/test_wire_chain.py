"""Rows H11 to H19 and H21: the chain of payloads (RFC 7296 sections 2.5 and 3.2)."""

from __future__ import annotations

import pytest

from fynx.errors import Drop, Dropped, FynxError, PeerFault
from fynx.wire.iana import NotifyType, PayloadType
from fynx.wire.message import MAX_PAYLOADS, encode_payloads, parse_payloads, refuse_critical
from fynx.wire.payload import (
    AuthPayload,
    CertPayload,
    EncryptedPayload,
    FragmentPayload,
    IdPayload,
    KePayload,
    NoncePayload,
    NotifyPayload,
    Payload,
    SaPayload,
    UnknownPayload,
    VendorPayload,
)
from fynx.wire.proposal import Proposal, transform

NONCE = NoncePayload(bytes(range(32)))
VENDOR = VendorPayload(b"fynx")
SK = EncryptedPayload(PayloadType.IDI, bytes(40))
SA = SaPayload((Proposal(1, 1, b"", (transform(1, 20, 256),)),))


def generic(following: int, body: bytes = b"", *, critical: bool = False, length: int | None = None) -> bytes:
    size = 4 + len(body) if length is None else length
    return bytes((following, 0x80 if critical else 0)) + size.to_bytes(2, "big") + body


def refused(first: int, chain: bytes, *, protected: bool) -> FynxError:
    with pytest.raises((PeerFault, Dropped)) as caught:
        parse_payloads(first, chain, protected=protected)
    return caught.value


def assert_broken(first: int, chain: bytes, reason: Drop = Drop.SYNTAX) -> None:
    """Answered where the peer is authenticated, dropped where it is not."""
    inside = refused(first, chain, protected=True)
    outside = refused(first, chain, protected=False)
    assert isinstance(inside, PeerFault)
    assert inside.notify == NotifyType.INVALID_SYNTAX
    assert isinstance(outside, Dropped)
    assert outside.reason is reason


@pytest.mark.parametrize("length", range(4), ids=lambda length: f"H11-{length}")
def test_a_payload_shorter_than_its_header_breaks_the_chain(length: int) -> None:
    assert_broken(PayloadType.VENDOR, generic(0, b"1234", length=length))


@pytest.mark.parametrize("excess", [1, 4, 60000], ids=lambda excess: f"H12-{excess}")
def test_a_payload_longer_than_the_message_breaks_the_chain(excess: int) -> None:
    assert_broken(PayloadType.VENDOR, generic(0, b"1234", length=8 + excess))


@pytest.mark.parametrize(
    ("first", "chain"),
    [
        pytest.param(PayloadType.NONCE, b"", id="H13-first-payload-and-no-octets"),
        pytest.param(PayloadType.VENDOR, generic(PayloadType.NONCE, b"x"), id="H13-next-payload-and-no-octets"),
        pytest.param(PayloadType.VENDOR, generic(PayloadType.NONCE, b"x") + b"\0\0\0", id="H13-three-octets-left"),
        pytest.param(PayloadType.VENDOR, generic(0, b"x") + b"\0", id="H13-none-and-an-octet-left"),
        pytest.param(PayloadType.VENDOR, generic(0, b"x") + generic(0, b"y"), id="H13-none-and-a-payload-left"),
        pytest.param(PayloadType.NONE, b"\0\0\0\4", id="H13-no-first-payload-and-octets"),
    ],
)
def test_a_chain_that_does_not_end_where_the_message_ends_is_broken(first: int, chain: bytes) -> None:
    assert_broken(first, chain)


def test_an_empty_chain_is_an_empty_message() -> None:
    assert parse_payloads(PayloadType.NONE, b"", protected=True) == ()
    assert encode_payloads(()) == (0, b"")


@pytest.mark.parametrize(
    ("count", "kind"),
    [
        pytest.param(MAX_PAYLOADS + 1, PayloadType.VENDOR, id="H14-one-too-many"),
        pytest.param(1000, PayloadType.VENDOR, id="H14-1000-tiny"),
        pytest.param(10000, PayloadType.NOTIFY, id="H14-10000-notifies"),
    ],
)
def test_more_payloads_than_the_limit_are_refused(count: int, kind: PayloadType) -> None:
    body = b"\0\0\x40\0" if kind is PayloadType.NOTIFY else b""
    chain = generic(kind, body) * (count - 1) + generic(0, body)

    assert_broken(kind, chain, Drop.TOO_LARGE)


def test_as_many_payloads_as_the_limit_are_read() -> None:
    chain = generic(PayloadType.VENDOR) * (MAX_PAYLOADS - 1) + generic(0)

    assert len(parse_payloads(PayloadType.VENDOR, chain)) == MAX_PAYLOADS


UNKNOWN = [
    *(pytest.param(kind, id=f"H18-{kind}") for kind in (*range(1, 14), 128, 200, 255)),
    *(pytest.param(kind, id=f"H15-{kind}") for kind in (14, 32, 49, 50, 51, 52, 54, 55, 127)),
]


@pytest.mark.parametrize("kind", UNKNOWN)
def test_an_unknown_payload_that_is_not_critical_is_skipped(kind: int) -> None:
    chain = generic(PayloadType.VENDOR, b"strange") + generic(0, b"fynx")

    assert parse_payloads(kind, chain) == (UnknownPayload(kind, False, b"strange"), VENDOR)


@pytest.mark.parametrize("protected", [True, False])
@pytest.mark.parametrize("kind", [*UNKNOWN, pytest.param(99, id="H16-99")])
def test_an_unknown_critical_payload_is_refused_with_its_type(kind: int, protected: bool) -> None:
    chain = generic(PayloadType.VENDOR, b"strange", critical=True) + generic(0, b"fynx")

    fault = refused(kind, chain, protected=protected)

    assert isinstance(fault, PeerFault)
    assert fault.notify == NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD
    assert fault.data == bytes((kind,))


@pytest.mark.parametrize("payload", [SA, NONCE, VENDOR, NotifyPayload(16384)], ids=lambda p: f"H17-{p.kind.name}")
def test_the_critical_bit_of_a_known_payload_is_ignored(payload: Payload) -> None:
    chain = generic(0, payload.body, critical=True)

    assert parse_payloads(int(payload.kind), chain) == (payload,)


def test_reserved_bits_of_the_generic_header_are_ignored() -> None:
    chain = bytearray(generic(0, b"fynx"))
    chain[1] = 0x7F

    assert parse_payloads(PayloadType.VENDOR, bytes(chain)) == (VENDOR,)


@pytest.mark.parametrize(
    "payload",
    [SA, KePayload(31, bytes(32)), NONCE, IdPayload(True, 2, b"a"), IdPayload(False, 2, b"a"), AuthPayload(2, b"mac")],
    ids=lambda payload: f"H19-{payload.kind.name}",
)
def test_a_payload_that_may_occur_once_is_refused_twice(payload: Payload) -> None:
    assert_broken(*encode_payloads((payload, VENDOR, payload)))


def test_payloads_that_may_repeat_are_read_in_order() -> None:
    payloads = (
        CertPayload(4, b"leaf"),
        CertPayload(4, b"ca"),
        NotifyPayload(16384),
        NotifyPayload(16384),
        VENDOR,
        VENDOR,
    )

    assert parse_payloads(*encode_payloads(payloads)) == payloads


def test_an_encrypted_payload_ends_the_chain_and_names_the_first_payload_inside() -> None:
    assert parse_payloads(PayloadType.SK, generic(PayloadType.IDI, bytes(40))) == (SK,)


@pytest.mark.parametrize(
    ("first", "chain", "protected"),
    [
        pytest.param(PayloadType.SK, generic(35, bytes(40)) + generic(0, b"x"), False, id="H21-payload-after-SK"),
        pytest.param(PayloadType.SK, generic(35, bytes(40)) + b"\0", False, id="H21-octet-after-SK"),
        pytest.param(PayloadType.SKF, generic(35, b"\0\1\0\2" + bytes(40)) + b"\0", False, id="H21-octet-after-SKF"),
        pytest.param(PayloadType.SK, generic(0, bytes(40)), True, id="H21-SK-in-SK"),
        pytest.param(PayloadType.SKF, generic(0, b"\0\1\0\1"), True, id="H21-SKF-in-SK"),
        pytest.param(PayloadType.VENDOR, generic(46, b"x") + generic(0, bytes(40)), True, id="H21-SK-later-in-SK"),
    ],
)
def test_an_encrypted_payload_that_is_not_last_and_outermost_is_dropped(
    first: int, chain: bytes, protected: bool
) -> None:
    fault = refused(first, chain, protected=protected)

    assert isinstance(fault, Dropped)
    assert fault.reason is Drop.SYNTAX


@pytest.mark.parametrize(
    "body", [b"", b"\0\1\0", b"\0\0\0\2", b"\0\3\0\2", b"\0\1\0\0"], ids=lambda body: body.hex() or "empty"
)
def test_a_fragment_with_impossible_numbers_is_dropped(body: bytes) -> None:
    fault = refused(PayloadType.SKF, generic(0, body), protected=False)

    assert isinstance(fault, Dropped)


def test_a_fragment_knows_its_number_and_the_total() -> None:
    chain = generic(PayloadType.IDI, b"\0\2\0\5" + b"ciphertext")

    assert parse_payloads(PayloadType.SKF, chain) == (FragmentPayload(PayloadType.IDI, 2, 5, b"ciphertext"),)


def test_what_stands_in_clear_before_an_encrypted_payload_is_not_read() -> None:
    """Row H22: the first would be refused if it were read."""
    chain = generic(PayloadType.NOTIFY, b"bad nonce") + generic(PayloadType.SK, b"\1") + generic(35, bytes(40))

    payloads = parse_payloads(PayloadType.NONCE, chain)

    assert payloads == (UnknownPayload(40, False, b"bad nonce"), UnknownPayload(41, False, b"\1"), SK)


def test_a_critical_unknown_payload_before_an_encrypted_one_waits_for_the_integrity_check() -> None:
    chain = generic(PayloadType.SK, b"strange", critical=True) + generic(35, bytes(40))

    payloads = parse_payloads(99, chain)

    assert payloads == (UnknownPayload(99, True, b"strange"), SK)
    with pytest.raises(PeerFault) as caught:
        refuse_critical(payloads)
    assert caught.value.data == b"\x63"


def test_a_known_payload_with_the_critical_bit_before_an_encrypted_one_is_no_fault() -> None:
    payloads = parse_payloads(PayloadType.NONCE, generic(PayloadType.SK, b"x", critical=True) + generic(35, bytes(40)))

    refuse_critical(payloads)


@pytest.mark.parametrize(
    "payloads",
    [
        pytest.param((VendorPayload(bytes(65532)),), id="too-long"),
        pytest.param((SK, VENDOR), id="encrypted-not-last"),
    ],
)
def test_a_chain_that_cannot_be_written_is_our_mistake(payloads: tuple[Payload, ...]) -> None:
    with pytest.raises(ValueError, match="payload"):
        encode_payloads(payloads)

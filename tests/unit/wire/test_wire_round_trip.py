"""What is encoded is read back the same, and nothing that a peer sends raises anything but a refusal."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from fynx.errors import Dropped, PeerFault
from fynx.wire.encap import MARKER, Kind, classify
from fynx.wire.header import HEADER_LEN, Header, parse_header
from fynx.wire.identity import SHOW_MAX, show
from fynx.wire.message import MAX_PAYLOADS, encode_message, encode_payloads, parse_payloads
from fynx.wire.payload import PARSERS, EncryptedPayload, FragmentPayload, Payload
from tests.unit.wire import strategies

REFUSALS = (PeerFault, Dropped)
FEW = settings(max_examples=100, database=None)
MANY = settings(max_examples=400, database=None)


@given(strategies.headers)
@FEW
def test_a_header_is_read_back_as_it_was_written(header: Header) -> None:
    assert parse_header(header.encode()) == header


@given(strategies.payloads())
@MANY
def test_payloads_are_read_back_as_they_were_written(payloads: tuple[Payload, ...]) -> None:
    first, chain = encode_payloads(payloads)

    assert parse_payloads(first, chain, protected=True) == payloads
    assert parse_payloads(first, chain) == payloads


@given(strategies.headers, strategies.encrypted)
@FEW
def test_an_encrypted_payload_keeps_the_type_of_the_first_payload_inside(
    header: Header, payload: EncryptedPayload | FragmentPayload
) -> None:
    message = encode_message(header, [payload])
    read = parse_header(message)

    assert read.next_payload == payload.kind
    assert read.length == len(message)
    assert parse_payloads(read.next_payload, message[HEADER_LEN:]) == (payload,)


@given(strategies.damaged_chains(), st.booleans())
@MANY
def test_a_damaged_chain_is_read_or_refused_and_what_is_read_can_be_written(
    damaged: tuple[int, bytes], protected: bool
) -> None:
    first, chain = damaged
    with contextlib.suppress(*REFUSALS):
        payloads = parse_payloads(first, chain, protected=protected)
        again = parse_payloads(*encode_payloads(payloads), protected=protected)
        assert again == payloads


@given(st.integers(0, 255), st.binary(max_size=400), st.booleans())
@MANY
def test_any_octets_are_read_or_refused(first: int, chain: bytes, protected: bool) -> None:
    with contextlib.suppress(*REFUSALS):
        assert len(parse_payloads(first, chain, protected=protected)) <= MAX_PAYLOADS


@given(st.sampled_from(sorted(PARSERS)), st.binary(max_size=200))
@MANY
def test_any_body_of_any_payload_is_read_or_refused(kind: int, body: bytes) -> None:
    with contextlib.suppress(*REFUSALS):
        payload = PARSERS[kind](body)
        assert PARSERS[kind](payload.body) == payload


@given(st.binary(max_size=80))
@FEW
def test_any_datagram_has_a_header_or_is_dropped(datagram: bytes) -> None:
    with contextlib.suppress(Dropped):
        assert parse_header(datagram).length == len(datagram)


@given(st.binary(max_size=80), st.booleans())
@FEW
def test_any_datagram_has_exactly_one_kind(datagram: bytes, encapsulated: bool) -> None:
    kind, content = classify(datagram, encapsulated)

    assert content == {
        Kind.KEEPALIVE: b"",
        Kind.IKE: datagram.removeprefix(MARKER) if encapsulated else datagram,
    }.get(kind, datagram)


@given(st.integers(0, 255), st.binary(max_size=1200))
@MANY
def test_any_identity_is_shown_in_one_short_printable_line(id_type: int, octets: bytes) -> None:
    text = show(id_type, octets)

    assert text.isprintable()
    assert text.removesuffix("…").isascii()
    assert len(text) <= SHOW_MAX

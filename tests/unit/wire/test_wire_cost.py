"""What reading costs: bounds on the work, which hold on any machine (rows K4 and H14)."""

from __future__ import annotations

import pytest

from fynx.errors import PeerFault
from fynx.wire.header import HEADER_LEN, Header, parse_header
from fynx.wire.iana import PayloadType
from fynx.wire.message import encode_message, encode_payloads, parse_payloads
from fynx.wire.payload import (
    PARSERS,
    CpAttr,
    CpPayload,
    KePayload,
    NoncePayload,
    NotifyPayload,
    Payload,
    Proposal,
    SaPayload,
    Transform,
    VendorPayload,
)
from fynx.wire.proposal import MAX_TRANSFORMS, transform
from tests.work import calls

NORMAL, REFUSED, LARGEST = 300, 1000, 12_000
"""Calls: for a message as peers send it, for an offer that is refused by its size, for the largest that is read."""


def init_message() -> bytes:
    suites = tuple(
        Proposal(n, 1, b"", tuple(transform(kind, number, bits) for kind, number, bits in OFFER)) for n in (1, 2)
    )
    payloads: tuple[Payload, ...] = (
        SaPayload(suites),
        KePayload(31, bytes(32)),
        NoncePayload(bytes(32)),
        *(NotifyPayload(kind, bytes(20)) for kind in (16388, 16389, 16430, 16431, 16406)),
        VendorPayload(bytes(16)),
    )
    return encode_message(Header(b"initiatr", bytes(8), 0, 34, True, False, 0, 0), payloads)


OFFER = [(1, 20, 256), (1, 20, 128), (2, 5, None), (2, 6, None), (4, 31, None), (4, 19, None), (4, 14, None)]


def test_a_normal_message_is_read_in_few_calls() -> None:
    message = init_message()

    def read() -> None:
        parse_payloads(parse_header(message).next_payload, message[HEADER_LEN:])

    assert calls(read) < NORMAL


def test_a_normal_message_is_written_in_few_calls() -> None:
    message = init_message()
    head = parse_header(message)
    payloads = parse_payloads(head.next_payload, message[HEADER_LEN:])

    assert encode_message(head, payloads) == message
    assert calls(lambda: encode_message(head, payloads)) < NORMAL


def crammed(transforms: int, proposals: int, attributes: bytes = b"") -> bytes:
    """An SA body whose numbers run on, where no two transforms are alike; a payload holds 64 KiB of it."""
    body, number = b"", 0
    for index in range(1, proposals + 1):
        inner = b""
        for left in range(transforms, 0, -1):
            number += 1
            size = (8 + len(attributes)).to_bytes(2, "big")
            inner += bytes((3 if left > 1 else 0, 0)) + size + b"\1\0" + number.to_bytes(2, "big") + attributes
        head = bytes((2 if index < proposals else 0, 0)) + (8 + len(inner)).to_bytes(2, "big")
        body += head + bytes((index, 1, 0, transforms)) + inner
    return body


@pytest.mark.parametrize(
    ("body", "why"),
    [
        pytest.param(crammed(255, 32)[:65531], "where", id="K4-255-transforms-in-all-that-a-payload-holds"),
        pytest.param(crammed(255, 31), "7905 transforms", id="K4-255-transforms-per-proposal"),
        pytest.param(crammed(24, 255), "6120 transforms", id="K4-255-proposals"),
        pytest.param(crammed(1, 255) + bytes((0, 0, 0, 7)), "last-proposal", id="K4-255-proposals-and-a-broken-one"),
        pytest.param(crammed(2, 255, b"\x80\x0e\x00\x80" * 29), "510 transforms", id="K4-510-of-29-attributes"),
    ],
)
def test_an_offer_that_is_too_large_is_refused_before_its_transforms_are_read(body: bytes, why: str) -> None:
    def refuse() -> None:
        with pytest.raises(PeerFault, match=why):
            PARSERS[PayloadType.SA](body)

    assert calls(refuse) < REFUSED


@pytest.mark.parametrize("size", [255, 4])
def test_the_largest_offer_that_is_read_is_bounded_work(size: int) -> None:
    """K4: all transforms differ, and each has as many attributes as are looked at."""
    every = tuple(Transform(1, n, transform(1, 1, n).attributes * 2) for n in range(MAX_TRANSFORMS))
    parts = [every[start : start + size] for start in range(0, len(every), size)]
    offer = SaPayload(tuple(Proposal(n, 1, b"", part) for n, part in enumerate(parts, 1)))
    body = offer.body

    assert PARSERS[PayloadType.SA](body) == offer
    assert calls(lambda: PARSERS[PayloadType.SA](body)) < LARGEST


def test_a_payload_of_64_kib_of_anything_is_bounded_work() -> None:
    deletes = bytes.fromhex("03 04 3ffd") + bytes(4 * 0x3FFD)
    selectors = bytes.fromhex("ff 000000" + "07 00 0010 0000 ffff c0000200 c00002ff" * 255)
    attributes = CpPayload(1, (CpAttr(1),) * 256).body

    assert calls(lambda: PARSERS[PayloadType.DELETE](deletes)) < LARGEST
    assert calls(lambda: PARSERS[PayloadType.TSI](selectors)) < LARGEST
    assert calls(lambda: PARSERS[PayloadType.CP](attributes)) < LARGEST


def test_h14_the_walk_over_ten_thousand_payloads_ends_at_the_limit() -> None:
    chain = encode_payloads((VendorPayload(b""),) * 10000)[1]

    def read() -> None:
        with pytest.raises(PeerFault):
            parse_payloads(PayloadType.VENDOR, chain, protected=True)

    assert calls(read) < REFUSED

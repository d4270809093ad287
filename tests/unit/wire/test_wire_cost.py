"""What reading costs: bounds that hold on a slow machine, on the process's own time (row K4)."""

from __future__ import annotations

import time
from collections.abc import Callable

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

FIVE_MS = 0.005


def least_seconds(run: Callable[[], object], *, repeats: int = 1) -> float:
    """Per run, the best of twenty rounds: other programs and the collector only ever add."""
    best = float("inf")
    for _ in range(20):
        start = time.process_time()
        for _ in range(repeats):
            run()
        best = min(best, (time.process_time() - start) / repeats)
    return best


def refused(kind: PayloadType, body: bytes) -> None:
    with pytest.raises(PeerFault):
        PARSERS[kind](body)


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


def test_a_normal_message_is_read_in_under_200_microseconds() -> None:
    message = init_message()

    def read() -> None:
        parse_payloads(parse_header(message).next_payload, message[HEADER_LEN:])

    assert least_seconds(read, repeats=20) < 0.0002


def test_a_normal_message_is_written_in_under_200_microseconds() -> None:
    message = init_message()
    head = parse_header(message)
    payloads = parse_payloads(head.next_payload, message[HEADER_LEN:])

    assert encode_message(head, payloads) == message
    assert least_seconds(lambda: encode_message(head, payloads), repeats=20) < 0.0002


def crammed(transforms: int, proposals: int, attributes: bytes = b"") -> bytes:
    """An SA body filled to the 64 KiB of a payload: numbers run on, and no two transforms are alike."""
    body, number = b"", 0
    for index in range(1, proposals + 1):
        inner = b""
        for left in range(transforms, 0, -1):
            number += 1
            size = (8 + len(attributes)).to_bytes(2, "big")
            inner += bytes((3 if left > 1 else 0, 0)) + size + b"\1\0" + number.to_bytes(2, "big") + attributes
        head = bytes((2, 0)) + (8 + len(inner)).to_bytes(2, "big") + bytes((index, 1, 0, transforms))
        body += head + inner
    return body[:65531]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(crammed(255, 32), id="K4-255-transforms-per-proposal"),
        pytest.param(crammed(24, 255), id="K4-255-proposals"),
        pytest.param(crammed(1, 255) + bytes((0, 0, 0, 7)), id="K4-255-proposals-and-a-broken-one"),
        pytest.param(crammed(2, 255, b"\x80\x0e\x00\x80" * 29), id="K4-510-transforms-of-29-attributes"),
    ],
)
def test_an_offer_of_64_kib_that_is_refused_costs_under_five_milliseconds(body: bytes) -> None:
    assert least_seconds(lambda: refused(PayloadType.SA, body)) < FIVE_MS


def test_the_largest_offer_that_is_read_costs_under_five_milliseconds() -> None:
    """K4: all transforms differ, and each has as many attributes as are looked at."""
    every = tuple(Transform(1, n, transform(1, 1, n).attributes * 2) for n in range(MAX_TRANSFORMS))
    parts = [every[start : start + 255] for start in range(0, MAX_TRANSFORMS, 255)]
    offer = SaPayload(tuple(Proposal(n, 1, b"", part) for n, part in enumerate(parts, 1)))
    body = offer.body

    assert PARSERS[PayloadType.SA](body) == offer
    assert least_seconds(lambda: PARSERS[PayloadType.SA](body)) < FIVE_MS


def test_a_message_of_64_kib_of_anything_costs_under_five_milliseconds() -> None:
    deletes = bytes.fromhex("03 04 3ffd") + bytes(4 * 0x3FFD)
    selectors = bytes.fromhex("ff 000000" + "07 00 0010 0000 ffff c0000200 c00002ff" * 255)
    attributes = CpPayload(1, (CpAttr(1),) * 256).body

    assert least_seconds(lambda: PARSERS[PayloadType.DELETE](deletes)) < FIVE_MS
    assert least_seconds(lambda: PARSERS[PayloadType.TSI](selectors)) < FIVE_MS
    assert least_seconds(lambda: PARSERS[PayloadType.CP](attributes)) < FIVE_MS


def test_ten_thousand_payloads_cost_under_five_milliseconds() -> None:
    """H14: the walk ends at the limit."""
    chain = encode_payloads((VendorPayload(b""),) * 10000)[1]

    def read() -> None:
        with pytest.raises(PeerFault):
            parse_payloads(PayloadType.VENDOR, chain, protected=True)

    assert least_seconds(read) < FIVE_MS

"""Rows K1 to K4, K7, K8 and C7: proposals and transforms (RFC 7296 sections 3.3.1 to 3.3.6)."""

from __future__ import annotations

import pytest

from fynx.errors import PeerFault
from fynx.wire.iana import Encr, NotifyType, Protocol, TransformType
from fynx.wire.proposal import (
    MAX_TRANSFORMS,
    Attribute,
    Proposal,
    Transform,
    check_offer,
    encode_proposals,
    parse_proposals,
    transform,
)

AES_128 = transform(TransformType.ENCR, Encr.ENCR_AES_CBC, 128)
PRF = transform(TransformType.PRF, 5)


def plain(transform_id: int = 1, *, last: int = 0, kind: int = 1, attributes: bytes = b"", length: int = 0) -> bytes:
    size = (length or 8 + len(attributes)).to_bytes(2, "big")
    return bytes((last, 0)) + size + bytes((kind, 0)) + transform_id.to_bytes(2, "big") + attributes


def proposal(
    number: int = 1,
    *,
    last: int = 0,
    protocol: int = 1,
    spi: bytes = b"",
    spi_size: int | None = None,
    count: int = 1,
    body: bytes = plain(),
    excess: int = 0,
) -> bytes:
    length = (8 + len(spi) + len(body) + excess).to_bytes(2, "big")
    size = len(spi) if spi_size is None else spi_size
    return bytes((last, 0)) + length + bytes((number, protocol, size, count)) + spi + body


def assert_syntax(body: bytes) -> None:
    with pytest.raises(PeerFault) as caught:
        parse_proposals(body)
    assert caught.value.notify == NotifyType.INVALID_SYNTAX


def test_an_offer_has_the_layout_of_figures_7_to_9() -> None:
    offer = (Proposal(1, Protocol.ESP, b"\xde\xad\xbe\xef", (AES_128, PRF)),)
    octets = bytes.fromhex("0000 0020 01 03 04 02 deadbeef  0300 000c 0100 000c 800e 0080  0000 0008 0200 0005")

    assert encode_proposals(offer) == octets
    assert parse_proposals(octets) == offer


def test_zero_proposals_are_read_as_none() -> None:
    """K1: the answer is NO_PROPOSAL_CHOSEN, which is not the codec's to give."""
    assert parse_proposals(b"") == ()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(proposal(0), id="K1-zero"),
        pytest.param(proposal(2, last=2) + proposal(3), id="K1-first-of-two-is-2"),
        pytest.param(proposal(1, last=2) + proposal(3), id="K1-gap"),
        pytest.param(proposal(1, last=2) + proposal(1), id="K1-repeated"),
        pytest.param(proposal(1, last=2) + proposal(2, last=2) + proposal(1), id="K1-backwards"),
        pytest.param(proposal(1, last=2) + proposal(0), id="K1-zero-later"),
        pytest.param(proposal(1, spi_size=255), id="K2-255-beyond-the-end"),
        pytest.param(proposal(1, spi=bytes(255)), id="K2-255-there"),
        pytest.param(proposal(1, protocol=200, spi=bytes(255)), id="K2-255-of-an-unknown-protocol"),
        pytest.param(proposal(1, spi=bytes(4)), id="K2-ike-4"),
        pytest.param(proposal(1, last=1), id="K3-proposal-last-1"),
        pytest.param(proposal(1, last=2), id="K3-proposal-more-at-the-end"),
        pytest.param(proposal(1, last=3), id="K3-proposal-3"),
        pytest.param(proposal(1) + proposal(2), id="K3-proposal-last-too-early"),
        pytest.param(proposal(1, last=3) + proposal(2), id="K3-proposal-3-for-2"),
        pytest.param(proposal(body=plain(last=3)), id="K3-transform-more-at-the-end"),
        pytest.param(proposal(body=plain(last=2)), id="K3-transform-2"),
        pytest.param(proposal(count=2, body=plain() + plain(2)), id="K3-transform-last-too-early"),
        pytest.param(proposal(count=2, body=plain(last=2) + plain(2)), id="K3-transform-2-for-3"),
        pytest.param(proposal(count=0), id="K4-zero-for-one"),
        pytest.param(proposal(count=2), id="K4-two-for-one"),
        pytest.param(proposal(count=255), id="K4-255-for-one"),
        pytest.param(proposal(count=1, body=plain(last=3) + plain(2)), id="K4-one-for-two"),
        pytest.param(proposal(count=1, body=plain() + plain(2)), id="K4-one-for-two-marked-last"),
        pytest.param(proposal(count=0, body=b""), id="K4-none"),
        pytest.param(proposal(excess=1), id="length-over-the-end"),
        pytest.param(proposal(excess=-9), id="length-under-eight"),
        pytest.param(proposal()[:7], id="cut-short"),
        pytest.param(proposal(body=plain(length=7)), id="transform-length-7"),
        pytest.param(proposal(body=plain(length=0x100)), id="transform-over-the-end"),
        pytest.param(proposal(body=plain() + b"\0"), id="octet-after-the-last-transform"),
        pytest.param(proposal(body=plain()[:5]), id="transform-cut-short"),
    ],
)
def test_an_offer_that_contradicts_itself_is_a_syntax_error(body: bytes) -> None:
    assert_syntax(body)


@pytest.mark.parametrize("number", [1, 2, 17, 255], ids=lambda number: f"K1-answer-{number}")
def test_a_single_proposal_keeps_the_number_of_the_offer_it_answers(number: int) -> None:
    assert parse_proposals(proposal(number))[0].number == number


def test_a_request_must_begin_with_proposal_one() -> None:
    """K1: only the reader of a request can know that it is one."""
    with pytest.raises(PeerFault) as caught:
        check_offer(parse_proposals(proposal(2)), 0)
    assert caught.value.notify == NotifyType.INVALID_SYNTAX


@pytest.mark.parametrize(
    ("body", "spi_size"),
    [
        pytest.param(proposal(spi=bytes(8)), 0, id="K2-spi-in-the-initial-exchange"),
        pytest.param(proposal(), 8, id="no-spi-in-a-rekey"),
        pytest.param(proposal(protocol=3, spi=b"\1\1\1\1"), 8, id="esp-for-ike"),
    ],
)
def test_the_spi_size_must_fit_the_exchange(body: bytes, spi_size: int) -> None:
    with pytest.raises(PeerFault) as caught:
        check_offer(parse_proposals(body), spi_size)
    assert caught.value.notify == NotifyType.INVALID_SYNTAX


@pytest.mark.parametrize(
    ("body", "spi_size"),
    [(b"", 0), (proposal(), 0), (proposal(spi=bytes(8)), 8), (proposal(protocol=3, spi=b"\1\1\1\1"), 4)],
)
def test_a_regular_offer_passes(body: bytes, spi_size: int) -> None:
    check_offer(parse_proposals(body), spi_size)


@pytest.mark.parametrize("size", [0, 1, 3, 5, 8, 16], ids=lambda size: f"C7-size-{size}")
@pytest.mark.parametrize("protocol", [Protocol.AH, Protocol.ESP])
def test_a_child_spi_of_another_size_than_four_is_a_syntax_error(protocol: int, size: int) -> None:
    assert_syntax(proposal(protocol=protocol, spi=b"\1" * size))


@pytest.mark.parametrize("spi", [0, 1, 255], ids=lambda spi: f"C7-spi-{spi}")
def test_a_reserved_child_spi_is_a_syntax_error(spi: int) -> None:
    assert_syntax(proposal(protocol=3, spi=spi.to_bytes(4, "big")))


def test_the_first_spi_that_is_not_reserved_is_read() -> None:
    assert parse_proposals(proposal(protocol=3, spi=b"\0\0\1\0"))[0].spi == b"\0\0\1\0"


def test_an_offer_for_an_unknown_protocol_is_kept_for_negotiation_to_pass_over() -> None:
    assert parse_proposals(proposal(protocol=77, spi=b"abc"))[0] == Proposal(77 - 76, 77, b"abc", (Transform(1, 1),))


def read(attributes: bytes, transform_id: int = Encr.ENCR_AES_CBC) -> Transform:
    (found,) = parse_proposals(proposal(body=plain(transform_id, attributes=attributes)))[0].transforms
    return found


@pytest.mark.parametrize("bits", [0, 1, 127, 128, 256, 65535], ids=lambda bits: f"K7-{bits}")
def test_a_key_length_of_any_value_is_read_for_negotiation_to_judge(bits: int) -> None:
    found = read(b"\x80\x0e" + bits.to_bytes(2, "big"))

    assert found.key_bits == bits
    assert found.acceptable


def test_a_transform_without_key_length_has_none() -> None:
    """K7: AES without key length; negotiation compares it with what the cipher needs."""
    assert read(b"").key_bits is None
    assert read(b"").acceptable


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param("800e0080 800e0080", id="K7-key-length-twice-the-same"),
        pytest.param("800e0080 800e0100", id="K7-key-length-twice"),
        pytest.param("800e0080 800e0080" * 500, id="K7-key-length-1000-times"),
        pytest.param("800f0080", id="K7-unknown-attribute"),
        pytest.param("800e0080 800f0001", id="K7-unknown-attribute-too"),
        pytest.param("000e0002 0080", id="K7-key-length-in-long-form"),
        pytest.param("00990000", id="K7-unknown-empty-long-form"),
        pytest.param("000e0003 0080", id="K7-long-form-over-the-end"),
        pytest.param("000effff", id="K7-long-form-far-over-the-end"),
        pytest.param("800e0080 00", id="K7-octet-behind"),
        pytest.param("800e", id="K7-half-an-attribute"),
    ],
)
def test_a_transform_with_bad_attributes_is_read_and_not_acceptable(attributes: str) -> None:
    octets = bytes.fromhex(attributes)

    found = read(octets)

    assert not found.acceptable
    assert encode_proposals((Proposal(1, 1, b"", (found,)),)) == proposal(body=plain(12, attributes=octets))


def test_a_long_attribute_that_ends_with_its_transform_is_read() -> None:
    assert read(bytes.fromhex("00630002 abcd")) == Transform(1, 12, (Attribute(99, b"\xab\xcd"),))


def test_a_bad_transform_leaves_its_neighbours_alone() -> None:
    body = plain(12, last=3, attributes=bytes.fromhex("000effff")) + plain(12, attributes=bytes.fromhex("800e0100"))

    bad, good = parse_proposals(proposal(count=2, body=body))[0].transforms

    assert not bad.acceptable
    assert good == transform(1, 12, 256)


@pytest.mark.parametrize("kind", [*range(1, 15), 240, 255], ids=lambda kind: f"K8-{kind}")
def test_any_transform_type_and_number_is_read(kind: int) -> None:
    for number in range(0, 65536, 257):
        (found,) = parse_proposals(proposal(body=plain(number, kind=kind)))[0].transforms
        assert (found.type, found.id) == (kind, number)


def test_all_65536_numbers_of_a_transform_are_read() -> None:
    """K8, in as few messages as there can be."""
    seen: set[int] = set()
    for start in range(0, 65536, 128):
        body = b"".join(plain(n, last=0 if n == start + 127 else 3) for n in range(start, start + 128))
        seen |= {found.id for found in parse_proposals(proposal(count=128, body=body))[0].transforms}

    assert seen == set(range(65536))


def test_the_alternatives_of_a_type_keep_their_order() -> None:
    one, two = transform(1, 20, 256), transform(1, 12, 128)

    assert Proposal(1, 1, b"", (one, PRF, two)).of_type(TransformType.ENCR) == (one, two)


def test_more_transforms_than_anyone_offers_are_refused() -> None:
    full = b"".join(plain(n, last=3) for n in range(254)) + plain(254)
    count = MAX_TRANSFORMS // 255 + 1
    body = b"".join(proposal(n, last=0 if n == count else 2, count=255, body=full) for n in range(1, count + 1))

    assert_syntax(body)


def test_an_attribute_holds_a_number_or_octets() -> None:
    assert Attribute(14, 256).encode() == bytes.fromhex("800e0100")
    assert Attribute(99, b"abc").encode() == bytes.fromhex("00630003616263")

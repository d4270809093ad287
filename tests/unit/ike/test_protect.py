"""The Encrypted payload: RFC 7634's message, messages of other implementations, and every way to be wrong (H21-H25)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fynx.errors import Drop, Dropped
from fynx.ike.keymat import IkeKeys
from fynx.ike.protect import IkeSuite, Protector
from fynx.plugin import Cipher, Integ
from fynx.wire.header import HEADER_LEN, Header, parse_header
from fynx.wire.iana import ExchangeType, IdType, NotifyType
from fynx.wire.message import parse_payloads
from fynx.wire.payload import AuthPayload, IdPayload, NotifyPayload, Payload
from tests.unit.ike.algorithms import ALGORITHMS
from tests.unit.ike.captured import AES_CBC_256, AES_GCM_256, WRONG_ICV, Captured

GCM = ALGORITHMS.ciphers[20, 256]
CBC = ALGORITHMS.ciphers[12, 256]
CHACHA = ALGORITHMS.ciphers[28, 0]
SHA256 = ALGORITHMS.integs[12]
SUITES = [(GCM, None), (ALGORITHMS.ciphers[20, 128], None), (CHACHA, None)] + [
    (ALGORITHMS.ciphers[12, bits], integ) for bits in (128, 192, 256) for integ in ALGORITHMS.integs.values()
]
HEADER = Header(b"i" * 8, b"r" * 8, 0, ExchangeType.IKE_AUTH, True, False, 1, 0)
ANSWER = Header(b"i" * 8, b"r" * 8, 0, ExchangeType.IKE_AUTH, False, True, 1, 0)
NOTIFY = NotifyPayload(int(NotifyType.INITIAL_CONTACT))


def suite_of(cipher: Cipher, integ: Integ | None) -> IkeSuite:
    return IkeSuite(cipher, ALGORITHMS.prfs[5], integ, ALGORITHMS.key_exchanges[31])


def counted() -> Iterator[bytes]:
    return (number.to_bytes(16, "big") for number in count(1))


def pair(cipher: Cipher, integ: Integ | None) -> tuple[Protector, Protector]:
    """Initiator and responder of one IKE SA."""
    suite = suite_of(cipher, integ)
    size = suite.encr_len
    keys = (b"d" * 32, b"a" * suite.integ_len, b"b" * suite.integ_len, b"e" * size, b"f" * size, b"p" * 32, b"q" * 32)
    ivs = counted()
    made = [
        Protector(suite, IkeKeys(*keys), initiator=initiator, random=lambda length: next(ivs)[:length])
        for initiator in (True, False)
    ]
    return made[0], made[1]


def opened(protector: Protector, message: bytes) -> tuple[Payload, ...]:
    header = parse_header(message)
    first, chain = protector.open(message, parse_payloads(header.next_payload, message[HEADER_LEN:]))
    return parse_payloads(first, chain, protected=True)


def refused(protector: Protector, message: bytes) -> Drop:
    with pytest.raises(Dropped) as caught:
        opened(protector, message)
    return caught.value.reason


@pytest.mark.parametrize(("cipher", "integ"), SUITES)
def test_both_sides_open_what_the_other_sealed_and_not_their_own(cipher: Cipher, integ: Integ | None) -> None:
    ours, theirs = pair(cipher, integ)
    for sender, receiver, header in ((ours, theirs, HEADER), (theirs, ours, ANSWER)):
        message = sender.seal(header, (NOTIFY,))
        assert parse_header(message).length == len(message)
        assert opened(receiver, message) == (NOTIFY,)
        assert refused(sender, message) is Drop.INTEGRITY  # H27: direction keys differ


@pytest.mark.parametrize(("cipher", "integ"), SUITES)
def test_an_empty_message_is_sealed_and_opened(cipher: Cipher, integ: Integ | None) -> None:
    ours, theirs = pair(cipher, integ)
    assert opened(theirs, ours.seal(HEADER, ())) == ()


@given(size=st.integers(0, 100), which=st.sampled_from(SUITES))
@settings(max_examples=60)
def test_any_length_fits_the_block(size: int, which: tuple[Cipher, Integ | None]) -> None:
    ours, theirs = pair(*which)
    payload = NotifyPayload(16400, bytes(size))
    assert opened(theirs, ours.seal(HEADER, (payload,))) == (payload,)


@pytest.mark.parametrize(("cipher", "integ"), [(GCM, None), (CHACHA, None), (CBC, SHA256)])
def test_every_flipped_bit_is_dropped_h24_h25(cipher: Cipher, integ: Integ | None) -> None:
    ours, theirs = pair(cipher, integ)
    message = ours.seal(HEADER, (NOTIFY,))
    for bit in range(8 * len(message)):
        at, mask = bit // 8, 1 << bit % 8
        if 24 <= at < 28 or 30 <= at < 32 or at == 16:  # lengths and first payload: the codec or the endpoint refuses
            continue
        forged = message[:at] + bytes((message[at] ^ mask,)) + message[at + 1 :]
        header = parse_header(forged)
        with pytest.raises(Dropped) as caught:
            theirs.open(forged, parse_payloads(header.next_payload, forged[HEADER_LEN:]))
        assert caught.value.reason is Drop.INTEGRITY, f"octet {at}"


@pytest.mark.parametrize(("cipher", "integ"), [(GCM, None), (CHACHA, None), (CBC, SHA256)])
def test_every_truncation_is_dropped_h23(cipher: Cipher, integ: Integ | None) -> None:
    ours, theirs = pair(cipher, integ)
    message = ours.seal(HEADER, (NOTIFY,))
    for length in range(HEADER_LEN + 4, len(message)):
        sk = message[28:30] + (length - HEADER_LEN).to_bytes(2, "big")
        cut = message[:24] + length.to_bytes(4, "big") + sk + message[32:length]
        assert refused(theirs, cut) is Drop.INTEGRITY, length


@pytest.mark.parametrize(("cipher", "integ"), [(GCM, None), (CBC, SHA256)])
def test_a_pad_length_beyond_the_body_is_dropped_like_a_bad_icv_h23(cipher: Cipher, integ: Integ | None) -> None:
    ours, theirs = pair(cipher, integ)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Protector, "_padding", lambda self, length: b"\xff" * 16)
        message = ours.seal_raw(HEADER, 0, b"")
    assert refused(theirs, message) is Drop.INTEGRITY


@pytest.mark.parametrize(("cipher", "integ"), [(GCM, None), (CBC, SHA256)])
def test_clear_payloads_before_sk_are_covered_by_the_icv_h22(cipher: Cipher, integ: Integ | None) -> None:
    ours, theirs = pair(cipher, integ)
    clear = bytes((46, 0, 0, 8)) + b"text"
    message = ours.seal_raw(HEADER, 0, b"", clear, 43)
    assert opened(theirs, message) == ()
    forged = message.replace(b"text", b"test")
    assert refused(theirs, forged) is Drop.INTEGRITY


def test_a_message_without_sk_is_not_protected_h26() -> None:
    _, theirs = pair(GCM, None)
    with pytest.raises(Dropped) as caught:
        theirs.open(b"", (NOTIFY,))
    assert caught.value.reason is Drop.NOT_PROTECTED


def test_no_two_messages_share_an_iv() -> None:
    ours, _ = pair(GCM, None)
    ivs = [ours.seal(HEADER, ())[32:40] for _ in range(100)]
    assert len(set(ivs)) == 100


def test_cbc_takes_its_iv_from_the_injected_randomness() -> None:
    ours, _ = pair(CBC, SHA256)
    assert ours.seal(HEADER, ())[32:48] == (1).to_bytes(16, "big")


def test_the_message_of_rfc_7634_appendix_b_opens_and_is_made() -> None:
    message = bytes.fromhex(
        "c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e202500000000090000004529000029"
        "1011121314151617610394701f8d017f7c129248896b71bfe25236efd7cdc67066906315b2"
    )
    key = bytes(range(0x80, 0xA4))
    suite = suite_of(CHACHA, None)
    keys = IkeKeys(b"", b"", b"", key, bytes(36), b"", b"")
    receiver = Protector(suite, keys, initiator=False, random=bytes)
    first, chain = receiver.open(message, parse_payloads(46, message[28:]))
    assert (first, chain.hex()) == (41, "0000000c000040010000000a")
    sender = Protector(suite, keys, initiator=True, random=bytes)
    sender._iv_count = int.from_bytes(message[32:40], "big") - 1
    assert sender.seal_raw(parse_header(message), first, chain) == message


@pytest.mark.parametrize("capture", [AES_GCM_256, AES_CBC_256])
def test_messages_of_other_implementations_open(capture: Captured) -> None:
    auth_values = []
    for message in capture.protected():
        header = parse_header(message)
        protector = capture.protector(initiator=not header.initiator)
        auth_values += [one.data.hex() for one in opened(protector, message) if isinstance(one, AuthPayload)]
    assert capture.auth in auth_values


def test_the_captured_message_whose_icv_is_wrong_is_refused() -> None:
    (message,) = WRONG_ICV.protected()
    assert refused(WRONG_ICV.protector(initiator=False), message) is Drop.INTEGRITY
    mended = WRONG_ICV.with_right_icv(message)
    identity = next(one for one in opened(WRONG_ICV.protector(initiator=False), mended) if isinstance(one, IdPayload))
    assert (identity.id_type, identity.data) == (IdType.ID_FQDN, b"west")

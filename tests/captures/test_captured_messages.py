"""Messages written by other implementations, transcribed so that these tests need no other folder."""

from __future__ import annotations

import pytest

from fynx.errors import Drop, Dropped
from fynx.wire.header import HEADER_LEN, parse_header
from fynx.wire.iana import Encr, ExchangeType, PayloadType, TransformType
from fynx.wire.message import encode_message, parse_payloads
from fynx.wire.payload import EncryptedPayload, KePayload, NoncePayload, SaPayload
from fynx.wire.proposal import Proposal, transform

IKE_SA_INIT = bytes.fromhex(
    "54c184961bc3fd7700000000000000002120220800000000000001002200003800000034010100050300000c0100000c800e0080"
    "030000080100000303000008020000020300000803000002000000080400000228000088000200"
    "00c72c1cfdccbb5b0dc0f654861d4aa3987293bd41e9d2dc9b2b806c26c1dcf880908f6a8a3c7065b40bf458c86787c135c570c8"
    "df48b740f0ed283d73056272baf68491a3443e159c5cd14c15a15cf2fc86459dc80b6e76ca01fa458fc8828c05d03dbb37bbbeb8"
    "82d51b3412dd87cf68322ff4bb40b6c4b66191bc580d9fe1a8000000244b98c2d7d3d81e9f52b0ca4e0545817d94560249583970"
    "190d97e44002ce1752"
)
"""rusticata ipsec-parser, assets/ike-sa-init-req.bin."""

INFORMATIONAL = bytes.fromhex(
    "c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e2025000000000900000045"
    "290000291011121314151617610394701f8d017f7c129248896b71bfe25236efd7cdc67066906315b2"
)
"""RFC 7634 Appendix B."""

OCTETS_AFTER_NONE = bytes.fromhex("0000000000000000000000000000000023202308000000010000004c0000000901000000") + (
    bytes.fromhex("deadbeef") * 10
)
"""tcpdump, tests/ikev2-id-normal.pcap: an IKE_AUTH in clear, its ID payload ends before the message does."""

OVERLONG_PAYLOAD = bytes.fromhex(
    "000102030405060700000000000000002120220800000000000001fc228000f4"
    "0200002801010004030000080100670c03000008030000022e0000080200000200000008430000"
).ljust(508, b"\xaa")
"""tcpdump, tests/ikev2pI2-segfault.pcapng: what follows the SA payload has a length beyond the message."""


def test_a_request_of_another_implementation_is_parsed_and_written_again() -> None:
    header = parse_header(IKE_SA_INIT)
    payloads = parse_payloads(header.next_payload, IKE_SA_INIT[HEADER_LEN:])

    offer, ke, nonce = payloads
    assert (header.exchange, header.initiator, header.message_id) == (ExchangeType.IKE_SA_INIT, True, 0)
    assert offer == SaPayload((Proposal(1, 1, b"", OFFERED),))
    assert isinstance(ke, KePayload)
    assert (ke.method, len(ke.data)) == (2, 128)
    assert isinstance(nonce, NoncePayload)
    assert len(nonce.data) == 32
    assert encode_message(header, payloads) == IKE_SA_INIT


OFFERED = (
    transform(TransformType.ENCR, Encr.ENCR_AES_CBC, 128),
    transform(TransformType.ENCR, Encr.ENCR_3DES),
    transform(TransformType.PRF, 2),
    transform(TransformType.INTEG, 2),
    transform(TransformType.KE, 2),
)


def test_an_encrypted_message_of_an_rfc_is_parsed_and_written_again() -> None:
    header = parse_header(INFORMATIONAL)
    (payload,) = parse_payloads(header.next_payload, INFORMATIONAL[HEADER_LEN:])

    assert payload == EncryptedPayload(PayloadType.NOTIFY, INFORMATIONAL[32:])
    assert encode_message(header, (payload,)) == INFORMATIONAL


@pytest.mark.parametrize("octets", [OCTETS_AFTER_NONE, OVERLONG_PAYLOAD], ids=["H13-octets-after-none", "H12-overlong"])
def test_a_malformed_message_is_refused(octets: bytes) -> None:
    header = parse_header(octets)

    with pytest.raises(Dropped) as caught:
        parse_payloads(header.next_payload, octets[HEADER_LEN:])
    assert caught.value.reason is Drop.SYNTAX

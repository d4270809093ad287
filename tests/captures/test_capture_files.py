"""Every file of the reference folder's ``captures`` parses, or is refused, as its ``captures.yaml`` says."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from fynx.errors import Dropped, PeerFault
from fynx.wire.encap import ESP_MIN, Kind, classify
from fynx.wire.header import HEADER_LEN, Header, parse_header
from fynx.wire.iana import ExchangeType, PayloadType, name_of
from fynx.wire.message import encode_message, parse_payloads
from fynx.wire.payload import EncryptedPayload, FragmentPayload, Payload
from tests.captures.reader import datagrams, esp_packets, frames

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("FYNX_REFERENCE") or ROOT.parent / "shared") / "captures"
CAPTURES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "captures.yaml").read_text(encoding="utf-8"))["captures"]

MALFORMED = {"tcpdump-ikev2pI2-segfault.pcapng", "tcpdump-ikev2-id-normal.pcap"}
"""IKEv2 messages whose chain is broken: the second leaves 39 octets after NONE (row H13)."""

CRITICAL_BITS = {"tcpdump-ikev2pI2.pcap"}
"""Sets the critical bit on payloads of RFC 7296, which is ignored (row H17) and not written again."""

PACKETS = [capture for capture in CAPTURES if "frames" in capture]
REGULAR = [capture for capture in PACKETS if capture["ikev2_frames"] and capture["file"] not in MALFORMED]


def name(capture: dict[str, Any]) -> str:
    return str(capture["file"])


@dataclass(frozen=True)
class Message:
    header: Header
    octets: bytes

    @property
    def payloads(self) -> tuple[Payload, ...]:
        return parse_payloads(self.header.next_payload, self.octets[HEADER_LEN:])


def ike_octets(capture: dict[str, Any]) -> Iterator[bytes]:
    for datagram in datagrams(FOLDER / capture["file"]):
        kind, content = classify(datagram.payload, 4500 in (datagram.source_port, datagram.destination_port))
        if kind is Kind.IKE:
            yield content


def messages(capture: dict[str, Any]) -> list[Message]:
    return [Message(parse_header(octets), octets) for octets in ike_octets(capture)]


def esp_in_udp(capture: dict[str, Any]) -> list[bytes]:
    found = [
        classify(datagram.payload, 4500 in (datagram.source_port, datagram.destination_port))
        for datagram in datagrams(FOLDER / capture["file"])
    ]
    return [content for kind, content in found if kind is Kind.ESP]


@pytest.mark.parametrize("capture", CAPTURES, ids=name)
def test_the_file_is_the_one_that_the_list_describes(capture: dict[str, Any]) -> None:
    assert hashlib.sha256((FOLDER / capture["file"]).read_bytes()).hexdigest() == capture["sha256"]


@pytest.mark.parametrize("capture", PACKETS, ids=name)
def test_every_frame_is_read(capture: dict[str, Any]) -> None:
    assert len(list(frames(FOLDER / capture["file"]))) == capture["frames"]


@pytest.mark.parametrize("capture", PACKETS, ids=name)
def test_every_message_is_told_by_its_version_and_exchange(capture: dict[str, Any]) -> None:
    headers = [message.header for message in messages(capture)]
    exchanges = Counter(name_of(ExchangeType, header.exchange) for header in headers if header.major == 2)

    assert exchanges == capture.get("ikev2_exchanges", {})
    assert exchanges.total() == capture["ikev2_frames"]
    assert sum(header.major == 1 for header in headers) == capture["ikev1_frames"]


@pytest.mark.parametrize("capture", REGULAR, ids=name)
def test_every_regular_message_is_parsed_with_the_payloads_of_its_exchange(capture: dict[str, Any]) -> None:
    for message in messages(capture):
        payloads = message.payloads
        if message.header.exchange == ExchangeType.IKE_SA_INIT:
            assert all(payload.kind in CLEAR for payload in payloads)
        else:
            assert [type(payload) for payload in payloads] in ([EncryptedPayload], [FragmentPayload])


CLEAR = {
    PayloadType.SA,
    PayloadType.KE,
    PayloadType.NONCE,
    PayloadType.NOTIFY,
    PayloadType.VENDOR,
    PayloadType.CERTREQ,
}


@pytest.mark.parametrize("capture", [c for c in REGULAR if c["file"] not in CRITICAL_BITS], ids=name)
def test_every_regular_message_is_written_again_octet_by_octet(capture: dict[str, Any]) -> None:
    for message in messages(capture):
        assert encode_message(message.header, message.payloads) == message.octets


@pytest.mark.parametrize("capture", [c for c in PACKETS if c["file"] in MALFORMED], ids=name)
def test_a_malformed_message_is_refused(capture: dict[str, Any]) -> None:
    for message in messages(capture):
        with pytest.raises((PeerFault, Dropped)):
            message.payloads  # noqa: B018


@pytest.mark.parametrize("capture", [c for c in PACKETS if c["file"] in CRITICAL_BITS], ids=name)
def test_critical_bits_of_known_payloads_change_nothing(capture: dict[str, Any]) -> None:
    for message in messages(capture):
        written = encode_message(message.header, message.payloads)

        assert written != message.octets
        assert parse_payloads(message.header.next_payload, written[HEADER_LEN:]) == message.payloads


def test_ikev1_is_told_by_its_version_and_never_understood() -> None:
    (capture,) = [c for c in PACKETS if c["ikev1_frames"]]

    for message in messages(capture):
        assert message.header.major == 1
        try:
            kinds = {type(payload).__name__ for payload in message.payloads}
        except Dropped:
            continue
        assert kinds == {"UnknownPayload"}


TRUNCATED = {"tcpdump-esp_truncated.pcap", "tcpdump-isakmp-3948-oobr-2.pcap"}


@pytest.mark.parametrize("capture", [c for c in PACKETS if c["file"] not in TRUNCATED], ids=name)
def test_every_esp_packet_is_found(capture: dict[str, Any]) -> None:
    found = [packet.payload for packet in esp_packets(FOLDER / capture["file"])] + esp_in_udp(capture)

    assert len(found) == capture["esp_frames"]
    assert all(len(packet) >= ESP_MIN for packet in found)


@pytest.mark.parametrize("capture", [c for c in PACKETS if c["file"] in TRUNCATED], ids=name)
def test_a_truncated_packet_is_neither_ike_nor_esp(capture: dict[str, Any]) -> None:
    path = FOLDER / capture["file"]

    assert all(frame.cut for frame in frames(path))
    assert not [packet for packet in esp_packets(path) if len(packet.payload) >= ESP_MIN]
    assert {classify(d.payload, True)[0] for d in datagrams(path)} <= {Kind.JUNK}


@pytest.mark.parametrize("capture", [c for c in CAPTURES if "esp" in c and "ike" not in c], ids=name)
def test_the_spis_of_esp_packets_are_those_of_the_list(capture: dict[str, Any]) -> None:
    found = [packet.payload for packet in esp_packets(FOLDER / capture["file"])] + esp_in_udp(capture)

    assert {f"0x{packet[:4].hex()}" for packet in found} == {sa["spi"] for sa in capture["esp"]}


@pytest.mark.parametrize("capture", [c for c in CAPTURES if "ike" in c], ids=name)
def test_the_spis_of_ike_messages_are_those_of_the_list(capture: dict[str, Any]) -> None:
    header = messages(capture)[-1].header

    assert header.spi_i.hex() == capture["ike"]["spi_i"]
    assert header.spi_r.hex() == capture["ike"]["spi_r"]


def test_a_bare_request_is_parsed_and_written_again() -> None:
    octets = (FOLDER / "rusticata-ike-sa-init-req.bin").read_bytes()
    message = Message(parse_header(octets), octets)

    assert [payload.kind for payload in message.payloads] == [PayloadType.SA, PayloadType.KE, PayloadType.NONCE]
    assert encode_message(message.header, message.payloads) == octets

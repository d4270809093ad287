"""Finds IKE and ESP in captured Ethernet frames (RFC 7296 section 2, RFC 3948 section 2), and replays the latter."""

from __future__ import annotations

import ipaddress
import socket
import struct
from dataclasses import dataclass
from typing import Literal

from fynx.demo.capture import Packet

ETHERNET_LEN, UDP, ESP = 14, 17, 50
IKE_SA_INIT, IKE_AUTH = 34, 35
RESPONSE = 0x20


@dataclass(frozen=True, slots=True)
class Seen:
    """An IKE message or an ESP packet on the wire; ``body`` starts with the IKE header or the SPI."""

    kind: Literal["ike", "esp"]
    time_ns: int
    source: str
    destination: str
    body: bytes
    frame: bytes


def find(packet: Packet) -> Seen | None:
    """The IKE message or ESP packet in an Ethernet frame with IPv4; None for anything else."""
    ip = packet.data[ETHERNET_LEN:]
    if len(ip) < 20 or packet.data[12:14] != b"\x08\x00":
        return None
    source, destination = (str(ipaddress.IPv4Address(ip[at : at + 4])) for at in (12, 16))
    payload = ip[(ip[0] & 15) * 4 :]
    if ip[9] == ESP:
        return Seen("esp", packet.time_ns, source, destination, payload, packet.data)
    if ip[9] != UDP or len(payload) < 9:
        return None
    ports, body = set(struct.unpack_from("!HH", payload)), payload[8:]
    if 500 in ports:
        return Seen("ike", packet.time_ns, source, destination, body, packet.data)
    if 4500 not in ports or body == b"\xff":
        return None
    if body[:4] == bytes(4):
        return Seen("ike", packet.time_ns, source, destination, body[4:], packet.data)
    return Seen("esp", packet.time_ns, source, destination, body, packet.data)


def handshake_s(seen: list[Seen]) -> float | None:
    """From the first IKE_SA_INIT request to the first IKE_AUTH response, on the wire."""
    ike = [one for one in seen if one.kind == "ike" and len(one.body) >= 28]
    asked = [one.time_ns for one in ike if one.body[18] == IKE_SA_INIT and not one.body[19] & RESPONSE]
    answered = [one.time_ns for one in ike if one.body[18] == IKE_AUTH and one.body[19] & RESPONSE]
    return (answered[0] - asked[0]) / 1e9 if asked and answered else None


def replay(interface: str, packets: list[Seen]) -> None:
    """Sends captured frames once more, from the interface of the calling thread's namespace they were seen on."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
        link.bind((interface, 0))
        for packet in packets:
            link.send(without_checksum(packet.frame))


def without_checksum(frame: bytes) -> bytes:
    """A virtual link carries unfinished UDP checksums; zero means none (RFC 3948 section 2.1 asks for it anyway)."""
    if frame[ETHERNET_LEN + 9] != UDP:
        return frame
    at = ETHERNET_LEN + (frame[ETHERNET_LEN] & 15) * 4 + 6
    return frame[:at] + bytes(2) + frame[at + 2 :]

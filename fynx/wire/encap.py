"""What a UDP datagram is: IKE, ESP, keepalive or junk (RFC 3948 sections 2.1 to 2.3)."""

from __future__ import annotations

from enum import Enum

from fynx.wire.header import HEADER_LEN

MARKER = bytes(4)
"""The non-ESP marker in front of IKE on port 4500."""

KEEPALIVE = b"\xff"

ESP_MIN = 12
"""SPI, sequence number and four octets: the trailer is aligned to four (RFC 4303 section 2.4)."""


class Kind(Enum):
    IKE = "ike"
    ESP = "esp"
    KEEPALIVE = "keepalive"
    JUNK = "junk"


def classify(data: bytes, encapsulated: bool) -> tuple[Kind, bytes]:
    """The kind of a datagram and its content, without the marker. ``encapsulated``: it came on the port with markers.

    On the other port there is only IKE. Four zero octets there are the start of an initiator SPI, unless the Length
    field of a message behind a marker fits: in one without, a payload longer than the message would stand there.
    """
    if not encapsulated:
        return (Kind.JUNK if _has_stray_marker(data) else Kind.IKE), data
    if data == KEEPALIVE:
        return Kind.KEEPALIVE, b""
    if data.startswith(MARKER):
        return Kind.IKE, data[4:]
    return (Kind.ESP if len(data) >= ESP_MIN else Kind.JUNK), data


def _has_stray_marker(data: bytes) -> bool:
    if not data.startswith(MARKER) or len(data) < len(MARKER) + HEADER_LEN:
        return False
    return int.from_bytes(data[28:32], "big") == len(data) - len(MARKER)

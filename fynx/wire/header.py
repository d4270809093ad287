"""The IKE header, RFC 7296 section 3.1."""

from __future__ import annotations

from struct import Struct

from fynx.errors import Drop, Dropped
from fynx.record import record

HEADER_LEN = 28
FLAG_INITIATOR = 0x08
FLAG_VERSION = 0x10
FLAG_RESPONSE = 0x20

_LAYOUT = Struct("!8s8sBBBBII")


@record
class Header:
    """The header's fields; SPIs are 8 octets each. ``initiator`` is the flag: sent by the original initiator of the SA.

    ``version_flag`` is the V bit, which is never set by us and means nothing on receipt.
    """

    spi_i: bytes
    spi_r: bytes
    next_payload: int
    exchange: int
    initiator: bool
    response: bool
    message_id: int
    length: int
    major: int = 2
    minor: int = 0
    version_flag: bool = False

    def encode(self) -> bytes:
        """The 28 octets, reserved flags zero."""
        return self.encode_as(self.next_payload, self.length)

    def encode_as(self, next_payload: int, length: int) -> bytes:
        """The 28 octets with another first payload and total length, as they become known when a message is built."""
        flags = (
            (FLAG_INITIATOR if self.initiator else 0)
            | (FLAG_VERSION if self.version_flag else 0)
            | (FLAG_RESPONSE if self.response else 0)
        )
        version = self.major << 4 | self.minor
        return _LAYOUT.pack(
            self.spi_i, self.spi_r, next_payload, version, self.exchange, flags, self.message_id, length
        )


def parse_header(data: bytes) -> Header:
    """Reads the header of a whole datagram. Versions are not judged here: the answer to a wrong one is the endpoint's.

    Raises ``Dropped`` with SHORT under 28 octets, with LENGTH when the Length field is not the datagram's length.
    """
    if len(data) < HEADER_LEN:
        raise Dropped(Drop.SHORT, f"{len(data)} octets")
    spi_i, spi_r, next_payload, version, exchange, flags, message_id, length = _LAYOUT.unpack_from(data)
    if length != len(data):
        raise Dropped(Drop.LENGTH, f"header says {length} octets, datagram has {len(data)}")
    return Header(
        spi_i,
        spi_r,
        next_payload,
        exchange,
        bool(flags & FLAG_INITIATOR),
        bool(flags & FLAG_RESPONSE),
        message_id,
        length,
        version >> 4,
        version & 0x0F,
        bool(flags & FLAG_VERSION),
    )

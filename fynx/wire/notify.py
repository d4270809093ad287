"""The Notify and Delete payloads, RFC 7296 sections 3.10 and 3.11."""

from __future__ import annotations

from struct import Struct
from typing import ClassVar

from fynx.record import record
from fynx.wire.fault import syntax
from fynx.wire.iana import FIRST_STATUS, PayloadType, Protocol

_CHILD_PROTOCOLS = (Protocol.AH, Protocol.ESP)
_CHILD_SPI = 4
_HEAD = Struct("!BBH")
_MAX_FOREIGN_SPI = 16


@record
class NotifyPayload:
    """One notification. ``spi`` is empty or that of a Child SA, whose ``protocol`` is then AH or ESP."""

    kind: ClassVar[PayloadType] = PayloadType.NOTIFY

    type: int
    data: bytes = b""
    protocol: int = 0
    spi: bytes = b""

    @property
    def is_error(self) -> bool:
        return self.type < FIRST_STATUS

    @property
    def body(self) -> bytes:
        return _HEAD.pack(self.protocol, len(self.spi), self.type) + self.spi + self.data


def parse_notify(body: bytes) -> NotifyPayload:
    """An SPI must be of four octets and of AH or ESP; without one the protocol has no meaning (section 3.10)."""
    if len(body) < 4:
        raise syntax(f"a notification of {len(body)} octets")
    protocol, spi_size = body[0], body[1]
    if spi_size and (spi_size != _CHILD_SPI or protocol not in _CHILD_PROTOCOLS):
        raise syntax(f"a notification with an SPI of {spi_size} octets for protocol {protocol}")
    if len(body) < 4 + spi_size:
        raise syntax("a notification shorter than its SPI")
    return NotifyPayload(body[2] << 8 | body[3], body[4 + spi_size :], protocol, body[4 : 4 + spi_size])


@record
class DeletePayload:
    """The SAs of one protocol that the sender has removed: SPIs of four octets, none for the IKE SA itself."""

    kind: ClassVar[PayloadType] = PayloadType.DELETE

    protocol: int
    spis: tuple[bytes, ...] = ()

    @property
    def body(self) -> bytes:
        spi_size = _CHILD_SPI if self.protocol in _CHILD_PROTOCOLS else len(self.spis[0]) if self.spis else 0
        return bytes((self.protocol, spi_size)) + len(self.spis).to_bytes(2, "big") + b"".join(self.spis)


def parse_delete(body: bytes) -> DeletePayload:
    """Size, count and octets must agree, and fit the protocol (section 3.11)."""
    if len(body) < 4:
        raise syntax(f"a delete payload of {len(body)} octets")
    protocol, size, count = body[0], body[1], body[2] << 8 | body[3]
    if len(body) != 4 + size * count:
        raise syntax(f"a delete payload of {len(body)} octets says {count} SPIs of {size}")
    _check_delete(protocol, size, count)
    return DeletePayload(protocol, tuple([body[at : at + size] for at in range(4, len(body), size or 1)]))


def _check_delete(protocol: int, size: int, count: int) -> None:
    match protocol:
        case Protocol.IKE:
            fits = size == 0 and count == 0
        case Protocol.AH | Protocol.ESP:
            fits = size == _CHILD_SPI
        case _:
            fits = size <= _MAX_FOREIGN_SPI and (size > 0 or count == 0)
    if not fits:
        raise syntax(f"a delete payload with {count} SPIs of {size} octets for protocol {protocol}")

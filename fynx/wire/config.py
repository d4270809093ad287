"""The Configuration payload, RFC 7296 section 3.15."""

from __future__ import annotations

from typing import ClassVar

from fynx.record import record
from fynx.wire.fault import syntax
from fynx.wire.iana import PayloadType

MAX_ATTRIBUTES = 256
"""In one payload; a client that asks for everything there is has under thirty."""

_TYPE_MASK = 0x7FFF


@record
class CpAttr:
    """One attribute: type of 15 bits, and its value, whose length fits the type or not: the reader of it decides."""

    type: int
    value: bytes = b""

    def encode(self) -> bytes:
        return self.type.to_bytes(2, "big") + len(self.value).to_bytes(2, "big") + self.value


@record
class CpPayload:
    """A request, reply, set or acknowledgement (``cfg_type``) with zero or more attributes."""

    kind: ClassVar[PayloadType] = PayloadType.CP

    cfg_type: int
    attributes: tuple[CpAttr, ...] = ()

    @property
    def body(self) -> bytes:
        return bytes((self.cfg_type, 0, 0, 0)) + b"".join([a.encode() for a in self.attributes])


def parse_cp(body: bytes) -> CpPayload:
    if len(body) < 4:
        raise syntax(f"a configuration payload of {len(body)} octets")
    attributes: list[CpAttr] = []
    offset, size = 4, len(body)
    while offset < size:
        if size - offset < 4:
            raise syntax("a configuration attribute is cut short")
        if len(attributes) == MAX_ATTRIBUTES:
            raise syntax(f"more than {MAX_ATTRIBUTES} configuration attributes")
        end = offset + 4 + (body[offset + 2] << 8 | body[offset + 3])
        if end > size:
            raise syntax(f"a configuration attribute of {end - offset} octets where {size - offset} are left")
        attributes.append(CpAttr((body[offset] << 8 | body[offset + 1]) & _TYPE_MASK, body[offset + 4 : end]))
        offset = end
    return CpPayload(body[0], tuple(attributes))

"""The EAP payload, RFC 7296 section 3.16."""

from __future__ import annotations

from dataclasses import field
from enum import IntEnum
from typing import ClassVar

from fynx.record import record
from fynx.wire.fault import syntax
from fynx.wire.iana import PayloadType


class EapCode(IntEnum):
    """RFC 3748 section 4."""

    REQUEST = 1
    RESPONSE = 2
    SUCCESS = 3
    FAILURE = 4


@record
class EapPayload:
    """One EAP message. ``data`` is all of it, code and length included; it may hold identities, so it never shows."""

    kind: ClassVar[PayloadType] = PayloadType.EAP

    data: bytes = field(repr=False)

    @property
    def body(self) -> bytes:
        return self.data

    @property
    def code(self) -> int:
        return self.data[0]

    @property
    def identifier(self) -> int:
        return self.data[1]

    @property
    def type(self) -> int | None:
        """The method, None in Success and Failure."""
        return self.data[4] if len(self.data) > 4 else None


def parse_eap(body: bytes) -> EapPayload:
    """The message's own length must be the payload's; a request or response has a type, the others nothing more."""
    if len(body) < 4 or body[2] << 8 | body[3] != len(body):
        raise syntax("an EAP message whose length is not that of its payload")
    match body[0]:
        case EapCode.REQUEST | EapCode.RESPONSE:
            fits = len(body) > 4
        case EapCode.SUCCESS | EapCode.FAILURE:
            fits = len(body) == 4
        case _:
            fits = False
    if not fits:
        raise syntax(f"an EAP message of code {body[0]} with {len(body)} octets")
    return EapPayload(body)

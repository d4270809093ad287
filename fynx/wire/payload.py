"""Every payload of RFC 7296 section 3 as a frozen dataclass.

``kind`` is its type, ``body`` its octets after the generic header.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar

from fynx.errors import Drop, Dropped
from fynx.record import record
from fynx.wire.cert import CertPayload, CertReqPayload, parse_cert, parse_certreq
from fynx.wire.config import CpAttr, CpPayload, parse_cp
from fynx.wire.eap import EapCode, EapPayload, parse_eap
from fynx.wire.fault import syntax
from fynx.wire.iana import PayloadType
from fynx.wire.identity import IdPayload, parse_idi, parse_idr
from fynx.wire.notify import DeletePayload, NotifyPayload, parse_delete, parse_notify
from fynx.wire.proposal import Attribute, Proposal, Transform, encode_proposals, parse_proposals
from fynx.wire.selector import TrafficSelector, TsPayload, parse_tsi, parse_tsr

__all__ = [
    "Attribute",
    "AuthPayload",
    "CertPayload",
    "CertReqPayload",
    "CpAttr",
    "CpPayload",
    "DeletePayload",
    "EapCode",
    "EapPayload",
    "EncryptedPayload",
    "FragmentPayload",
    "IdPayload",
    "KePayload",
    "NoncePayload",
    "NotifyPayload",
    "Payload",
    "Proposal",
    "SaPayload",
    "TrafficSelector",
    "Transform",
    "TsPayload",
    "UnknownPayload",
    "VendorPayload",
]

NONCE_MIN = 16
NONCE_MAX = 256


@record
class SaPayload:
    """Proposals in order of preference, or the one chosen (section 3.3)."""

    kind: ClassVar[PayloadType] = PayloadType.SA

    proposals: tuple[Proposal, ...]

    @property
    def body(self) -> bytes:
        return encode_proposals(self.proposals)


@record
class KePayload:
    """A public value of the key exchange ``method`` (section 3.4); its length is the method's to check."""

    kind: ClassVar[PayloadType] = PayloadType.KE

    method: int
    data: bytes

    @property
    def body(self) -> bytes:
        return self.method.to_bytes(2, "big") + b"\0\0" + self.data


@record
class AuthPayload:
    """The proof of identity (section 3.8)."""

    kind: ClassVar[PayloadType] = PayloadType.AUTH

    method: int
    data: bytes

    @property
    def body(self) -> bytes:
        return bytes((self.method, 0, 0, 0)) + self.data


@record
class NoncePayload:
    """Ni or Nr, 16 to 256 octets (section 3.9)."""

    kind: ClassVar[PayloadType] = PayloadType.NONCE

    data: bytes

    @property
    def body(self) -> bytes:
        return self.data


@record
class VendorPayload:
    """A vendor's mark, any octets (section 3.12)."""

    kind: ClassVar[PayloadType] = PayloadType.VENDOR

    data: bytes

    @property
    def body(self) -> bytes:
        return self.data


@record
class EncryptedPayload:
    """SK: IV, ciphertext, padding and ICV as one (section 3.14). ``first`` is the type of the first payload inside."""

    kind: ClassVar[PayloadType] = PayloadType.SK

    first: int
    data: bytes

    @property
    def body(self) -> bytes:
        return self.data


@record
class FragmentPayload:
    """SKF: fragment ``number`` of ``total``, from 1 (RFC 7383 section 2.5). ``first`` counts in number 1 only."""

    kind: ClassVar[PayloadType] = PayloadType.SKF

    first: int
    number: int
    total: int
    data: bytes

    @property
    def body(self) -> bytes:
        return self.number.to_bytes(2, "big") + self.total.to_bytes(2, "big") + self.data


@record
class UnknownPayload:
    """A payload we do not understand, or one in clear before SK that we do not read. ``critical`` as sent."""

    type: int
    critical: bool
    data: bytes

    @property
    def kind(self) -> int:
        return self.type

    @property
    def body(self) -> bytes:
        return self.data


Payload = (
    SaPayload
    | KePayload
    | IdPayload
    | CertPayload
    | CertReqPayload
    | AuthPayload
    | NoncePayload
    | NotifyPayload
    | DeletePayload
    | VendorPayload
    | TsPayload
    | CpPayload
    | EapPayload
    | EncryptedPayload
    | FragmentPayload
    | UnknownPayload
)


def _parse_sa(body: bytes) -> SaPayload:
    return SaPayload(parse_proposals(body))


def _parse_ke(body: bytes) -> KePayload:
    if len(body) < 4:
        raise syntax(f"a key exchange payload of {len(body)} octets")
    return KePayload(body[0] << 8 | body[1], body[4:])


def _parse_auth(body: bytes) -> AuthPayload:
    if len(body) < 4:
        raise syntax(f"an authentication payload of {len(body)} octets")
    return AuthPayload(body[0], body[4:])


def _parse_nonce(body: bytes) -> NoncePayload:
    if not NONCE_MIN <= len(body) <= NONCE_MAX:
        raise syntax(f"a nonce of {len(body)} octets")
    return NoncePayload(body)


PARSERS: Mapping[int, Callable[[bytes], Payload]] = MappingProxyType(
    {
        PayloadType.SA: _parse_sa,
        PayloadType.KE: _parse_ke,
        PayloadType.IDI: parse_idi,
        PayloadType.IDR: parse_idr,
        PayloadType.CERT: parse_cert,
        PayloadType.CERTREQ: parse_certreq,
        PayloadType.AUTH: _parse_auth,
        PayloadType.NONCE: _parse_nonce,
        PayloadType.NOTIFY: parse_notify,
        PayloadType.DELETE: parse_delete,
        PayloadType.VENDOR: VendorPayload,
        PayloadType.TSI: parse_tsi,
        PayloadType.TSR: parse_tsr,
        PayloadType.CP: parse_cp,
        PayloadType.EAP: parse_eap,
    }
)
"""By payload type, from a body. SK and SKF are not here: they end a chain, and their ``first`` is not in the body."""


def parse_encrypted(kind: int, first: int, body: bytes) -> EncryptedPayload | FragmentPayload:
    """SK or SKF. Refusals are silent: nothing about these octets is authenticated yet (RFC 7383 section 2.6)."""
    if kind == PayloadType.SK:
        return EncryptedPayload(first, body)
    if len(body) < 4:
        raise Dropped(Drop.SYNTAX, f"a fragment of {len(body)} octets")
    number, total = body[0] << 8 | body[1], body[2] << 8 | body[3]
    if not 1 <= number <= total:
        raise Dropped(Drop.SYNTAX, f"fragment {number} of {total}")
    return FragmentPayload(first, number, total, body[4:])

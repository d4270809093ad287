"""The Certificate and Certificate Request payloads, RFC 7296 sections 3.6 and 3.7."""

from __future__ import annotations

from typing import ClassVar

from fynx.record import record
from fynx.wire.fault import syntax
from fynx.wire.iana import PayloadType


@record
class CertPayload:
    """A certificate, list or URL; ``encoding`` of the registry says which. Nothing in ``data`` is judged here."""

    kind: ClassVar[PayloadType] = PayloadType.CERT

    encoding: int
    data: bytes

    @property
    def body(self) -> bytes:
        return bytes((self.encoding,)) + self.data


@record
class CertReqPayload:
    """Wanted kind of certificate; ``data`` is, for X.509, a row of 20-octet hashes of the CAs' keys."""

    kind: ClassVar[PayloadType] = PayloadType.CERTREQ

    encoding: int
    data: bytes = b""

    @property
    def body(self) -> bytes:
        return bytes((self.encoding,)) + self.data


def parse_cert(body: bytes) -> CertPayload:
    if not body:
        raise syntax("a certificate payload without an encoding")
    return CertPayload(body[0], body[1:])


def parse_certreq(body: bytes) -> CertReqPayload:
    if not body:
        raise syntax("a certificate request without an encoding")
    return CertReqPayload(body[0], body[1:])

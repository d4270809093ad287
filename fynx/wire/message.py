"""Messages: a header and a chain of payloads, RFC 7296 sections 2.5, 3.1 and 3.2."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct

from fynx.errors import Drop, Dropped, FynxError, PeerFault
from fynx.wire.fault import syntax
from fynx.wire.header import HEADER_LEN, Header
from fynx.wire.iana import NotifyType, PayloadType
from fynx.wire.payload import PARSERS, EncryptedPayload, FragmentPayload, Payload, UnknownPayload, parse_encrypted

MAX_PAYLOADS = 64
"""In one chain (row H14). A long certificate chain with many requests stays under half of it."""

_ENCRYPTED = frozenset({int(PayloadType.SK), int(PayloadType.SKF)})
_SPECIAL = (EncryptedPayload, FragmentPayload, UnknownPayload)
_CRITICAL = 0x80
_GENERIC = Struct("!BBH")
"""Next payload, critical bit, length (section 3.2)."""
_ONCE = frozenset(
    {
        PayloadType.SA,
        PayloadType.KE,
        PayloadType.IDI,
        PayloadType.IDR,
        PayloadType.AUTH,
        PayloadType.NONCE,
        PayloadType.TSI,
        PayloadType.TSR,
        PayloadType.CP,
        PayloadType.EAP,
    }
)

_Link = tuple[int, bool, bytes, int]
"""Type, critical bit, body, next payload."""


def parse_payloads(first: int, data: bytes, *, protected: bool = False) -> tuple[Payload, ...]:
    """Reads the chain of payloads after a header, or (``protected``) the plaintext of an SK payload.

    A chain that ends in SK or SKF has every payload before it kept unread, as UnknownPayload: they are not to be
    trusted, and a critical one is the caller's to refuse once the ICV holds (``refuse_critical``).

    A broken chain raises ``PeerFault`` INVALID_SYNTAX when protected, else ``Dropped`` (SYNTAX, TOO_LARGE): in clear
    there is nobody to answer. A malformed body raises ``PeerFault`` INVALID_SYNTAX, an unknown payload with the
    critical bit ``PeerFault`` UNSUPPORTED_CRITICAL_PAYLOAD with its type as data.
    """
    chain = _walk(first, data, protected)
    if chain and chain[-1][0] in _ENCRYPTED:
        kind, _, body, inner = chain[-1]
        return (*[_unread(link) for link in chain[:-1]], parse_encrypted(kind, inner, body))
    payloads: list[Payload] = []
    unknown = False
    for kind, critical, body, _ in chain:
        parse = PARSERS.get(kind)
        unknown = unknown or parse is None
        payloads.append(UnknownPayload(kind, critical, body) if parse is None else parse(body))
    if unknown:
        refuse_critical(payloads)
    return tuple(payloads)


def refuse_critical(payloads: Iterable[Payload]) -> None:
    """Raises ``PeerFault`` for the first payload that is unknown and critical (section 2.5)."""
    for payload in payloads:
        if isinstance(payload, UnknownPayload) and payload.critical:
            why = f"payload type {payload.type} is unknown and critical"
            raise PeerFault(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, why, bytes((payload.type,)))


def _walk(first: int, data: bytes, protected: bool) -> list[_Link]:
    chain: list[_Link] = []
    seen: set[int] = set()
    kind, offset, size = first, 0, len(data)
    while kind:  # NONE is 0
        if len(chain) == MAX_PAYLOADS:
            raise _broken(f"more than {MAX_PAYLOADS} payloads", protected, Drop.TOO_LARGE)
        start = offset + 4
        if size < start:
            raise _broken(f"payload {kind} follows, but {size - offset} octets are left", protected)
        following, critical, length = _GENERIC.unpack_from(data, offset)
        end = offset + length
        if end < start or end > size:
            raise _broken(f"payload {kind} of {length} octets where {size - offset} are left", protected)
        if kind in _ONCE:
            if kind in seen:
                raise _broken(f"payload {kind} occurs twice", protected)
            seen.add(kind)
        chain.append((kind, critical >= _CRITICAL, data[start:end], following))
        offset = end
        if kind in _ENCRYPTED:
            _check_end(kind, size - offset, protected)
            return chain
        kind = following
    if offset != size:
        raise _broken(f"{size - offset} octets after the last payload", protected)
    return chain


def _check_end(kind: int, left: int, protected: bool) -> None:
    """SK ends the message and holds no other SK; either fault is dropped, also inside a valid SK (row H21)."""
    if protected:
        raise Dropped(Drop.SYNTAX, f"payload {kind} inside an encrypted payload")
    if left:
        raise Dropped(Drop.SYNTAX, f"{left} octets after payload {kind}")


def _broken(why: str, protected: bool, reason: Drop = Drop.SYNTAX) -> FynxError:
    return syntax(why) if protected else Dropped(reason, why)


def _unread(link: _Link) -> UnknownPayload:
    kind, critical, body, _ = link
    return UnknownPayload(kind, critical and kind not in PARSERS, body)


def encode_payloads(payloads: Sequence[Payload]) -> tuple[int, bytes]:
    """The type of the first payload (NONE when there is none) and the chain's octets. SK or SKF must be the last.

    Raises ``ValueError`` for a payload of more than 65,535 octets, or a field that does not fit: our own mistakes.
    """
    parts: list[bytes] = []
    following = int(PayloadType.NONE)
    for payload in reversed(payloads):
        body = payload.body
        length = len(body) + 4
        if length > 0xFFFF:
            raise ValueError(f"a payload of {length} octets")
        critical = 0
        if isinstance(payload, _SPECIAL):
            if isinstance(payload, UnknownPayload):
                critical = _CRITICAL if payload.critical else 0
            elif parts:
                raise ValueError("an encrypted payload is not the last")
            else:
                following = payload.first
        parts += (body, _GENERIC.pack(following, critical, length))
        following = payload.kind
    parts.reverse()
    return int(following), b"".join(parts)


def encode_message(header: Header, payloads: Sequence[Payload]) -> bytes:
    """A whole message; the header's ``next_payload`` and ``length`` are put in here, whatever they were."""
    first, chain = encode_payloads(payloads)
    return header.encode_as(first, HEADER_LEN + len(chain)) + chain

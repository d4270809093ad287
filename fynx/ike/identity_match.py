"""Identities as received: which are acceptable at all (RFC 7296 section 3.5).

Comparison is octet for octet, type for type: a received ``%any`` or ``*`` is a name like another, never a pattern.
"""

from __future__ import annotations

from fynx.plugin.auth import Identity
from fynx.wire.iana import IdType

MAX_LEN = 1024
"""Octets of identification data that we accept."""


def fault(identity: Identity) -> str:
    """Why a received identity cannot be anybody's, in plain words; "" when it can."""
    if not identity.data:
        return "it is empty"
    if len(identity.data) > MAX_LEN:
        return f"it is longer than {MAX_LEN} octets"
    match identity.id_type:
        case IdType.ID_IPV4_ADDR:
            return "" if len(identity.data) == 4 else "an IPv4 address has 4 octets"
        case IdType.ID_IPV6_ADDR:
            return "" if len(identity.data) == 16 else "an IPv6 address has 16 octets"
        case IdType.ID_FQDN:
            return "" if _is_ascii_name(identity.data) else "a host name is printable ASCII without spaces"
        case IdType.ID_RFC822_ADDR:
            return "" if _is_mailbox(identity.data) else "an e-mail address is text without control characters"
        case IdType.ID_DER_ASN1_DN:
            return "" if _is_name(identity.data) else "the distinguished name is not DER"
        case IdType.ID_DER_ASN1_GN:
            return "" if _elements(identity.data) is not None else "the general name is not DER"
        case IdType.ID_KEY_ID:
            return ""
    return f"identity type {identity.id_type} is not known"


def _is_ascii_name(data: bytes) -> bool:
    return not data.translate(None, _VISIBLE)


def _is_mailbox(data: bytes) -> bool:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return text.isprintable() and " " not in text


def _is_name(data: bytes) -> bool:
    """Name ::= SEQUENCE OF SET OF SEQUENCE { OBJECT IDENTIFIER, value } (RFC 5280 section 4.1.2.4)."""
    outer = _elements(data)
    if outer is None or len(outer) != 1 or outer[0][0] != _SEQUENCE:
        return False
    sets = _elements(outer[0][1])
    return bool(sets) and all(tag == _SET and _is_rdn(body) for tag, body in sets or ())


def _is_rdn(body: bytes) -> bool:
    pairs = _elements(body)
    if not pairs:
        return False
    for tag, content in pairs:
        parts = _elements(content) if tag == _SEQUENCE else None
        if parts is None or len(parts) != 2 or parts[0][0] != _OID or not parts[0][1]:
            return False
    return True


def _elements(data: bytes) -> list[tuple[int, bytes]] | None:
    """The DER elements side by side in ``data`` as (tag, content); None when they do not fill it exactly."""
    found, at = [], 0
    while at < len(data):
        if at + 2 > len(data):
            return None
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(data[at : at + count], "big")
            if count not in (1, 2) or at + count > len(data) or length < (0x80 if count == 1 else 0x100):
                return None
            at += count
        if at + length > len(data):
            return None
        found.append((tag, data[at : at + length]))
        at += length
    return found


_VISIBLE = bytes(range(0x21, 0x7F))
_SEQUENCE, _SET, _OID = 0x30, 0x31, 0x06

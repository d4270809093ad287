"""The Identification payloads, and identities as people write and read them: RFC 7296 section 3.5."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from fynx.record import record
from fynx.wire import dn
from fynx.wire.fault import syntax
from fynx.wire.iana import IdType, PayloadType

SHOW_MAX = 256
"""Characters of an identity that are ever shown (rows A5, K28)."""

TEXT_MAX = 1024


@record
class IdPayload:
    """IDi (``initiator``) or IDr. What types and octets are acceptable is decided where identities are compared."""

    initiator: bool
    id_type: int
    data: bytes

    @property
    def kind(self) -> PayloadType:
        return PayloadType.IDI if self.initiator else PayloadType.IDR

    @property
    def body(self) -> bytes:
        """The octets that are also signed: RestOfInitIDPayload, RestOfRespIDPayload (section 2.15)."""
        return bytes((self.id_type, 0, 0, 0)) + self.data


def parse_idi(body: bytes) -> IdPayload:
    return _parse(True, body)


def parse_idr(body: bytes) -> IdPayload:
    return _parse(False, body)


def _parse(initiator: bool, body: bytes) -> IdPayload:
    if len(body) < 4:
        raise syntax(f"an identification payload of {len(body)} octets")
    return IdPayload(initiator, body[0], body[4:])


def escape(data: bytes) -> str:
    """Octets as one line of printable ASCII; the rest, and the backslash, as escapes."""
    if not data.translate(None, _AS_IT_IS):
        return data.decode("ascii")
    return "".join([_CHARACTERS[octet] for octet in data])


def cut(text: str, most: int = SHOW_MAX) -> str:
    """At most ``most`` characters, the last an ellipsis when something is missing."""
    return text if len(text) <= most else text[: most - 1] + "…"


def show(id_type: int, data: bytes) -> str:
    """An identity for people and logs, of any octets: one line, escaped, at most 256 characters. Never raises."""
    return cut(_show(id_type, data[:TEXT_MAX]))


def _show(id_type: int, data: bytes) -> str:
    match id_type:
        case IdType.ID_IPV4_ADDR if len(data) == 4:
            return str(IPv4Address(data))
        case IdType.ID_IPV6_ADDR if len(data) == 16:
            return str(IPv6Address(data))
        case IdType.ID_FQDN | IdType.ID_RFC822_ADDR:
            return escape(data)
        case IdType.ID_KEY_ID:
            return f"keyid:{_opaque(data)}"
        case IdType.ID_DER_ASN1_DN:
            return dn.show(data, escape) or f"asn1dn:#{data.hex()}"
        case IdType.ID_DER_ASN1_GN:
            return f"asn1gn:#{data.hex()}"
        case IdType.ID_NULL if not data:
            return "(null)"
        case _:
            return f"type {id_type}:#{data.hex()}"


def _opaque(data: bytes) -> str:
    printable = data and all(0x21 <= octet <= 0x7E for octet in data) and not data.startswith(b"#")
    return data.decode("ascii") if printable else f"#{data.hex()}"


_AS_IT_IS = bytes(range(0x20, 0x7F)).replace(b"\\", b"")
_CHARACTERS = tuple(
    "\\\\" if octet == 0x5C else chr(octet) if 0x20 <= octet <= 0x7E else f"\\x{octet:02x}" for octet in range(256)
)


def parse_identity(text: str) -> tuple[int, bytes]:
    """An identity as written in a configuration: its ID type and octets.

    An address, a name, ``user@host``, ``C=CH, O=Example, CN=gw`` say what they are. ``ipv4:``, ``ipv6:``, ``fqdn:``,
    ``email:``, ``keyid:``, ``asn1dn:``, ``asn1gn:`` force a type, with ``#`` and hexadecimal digits for octets.
    ``@name`` is an FQDN, ``@#hex`` a KEY_ID, ``@@user@host`` an e-mail address.

    Raises ``ValueError`` that says what to write instead.
    """
    if not text or text != text.strip():
        raise ValueError("an identity is empty or has blanks around it")
    if len(text) > TEXT_MAX:
        raise ValueError(f"an identity of more than {TEXT_MAX} characters")
    if text.startswith("%"):
        raise ValueError(f"{text!r} is a pattern, not an identity; leave the id out to accept any that authenticates")
    if text.startswith("@"):
        return _parse_at(text[1:])
    prefix, colon, rest = text.partition(":")
    if colon and prefix.lower() in _PREFIXES:
        id_type, convert = _PREFIXES[prefix.lower()]
        return id_type, _hex(rest[1:]) if rest.startswith("#") else convert(rest)
    return _guess(text)


def _parse_at(rest: str) -> tuple[int, bytes]:
    if rest.startswith("#"):
        return IdType.ID_KEY_ID, _hex(rest[1:])
    if rest.startswith("@"):
        return IdType.ID_RFC822_ADDR, _email(rest[1:])
    return IdType.ID_FQDN, _fqdn(rest)


def _guess(text: str) -> tuple[int, bytes]:
    if _is_address(text, IPv4Address):
        return IdType.ID_IPV4_ADDR, IPv4Address(text).packed
    if _is_address(text, IPv6Address):
        return IdType.ID_IPV6_ADDR, _ipv6(text)
    if "=" in text:
        return IdType.ID_DER_ASN1_DN, dn.encode(text)
    if "@" in text:
        return IdType.ID_RFC822_ADDR, _email(text)
    if ":" in text:
        raise ValueError(f"{text!r} is no IPv6 address; for an opaque identity write keyid:{text}")
    return IdType.ID_FQDN, _fqdn(text)


def _is_address(text: str, kind: Callable[[str], object]) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def _ipv4(text: str) -> bytes:
    return IPv4Address(text).packed


def _ipv6(text: str) -> bytes:
    if "%" in text:
        raise ValueError("an identity has no zone: leave out the % and what follows")
    return IPv6Address(text).packed


def _fqdn(text: str) -> bytes:
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"{text!r} is no domain name: printable ASCII without blanks; an international name as xn--…")
    return text.encode("ascii")


def _email(text: str) -> bytes:
    if not text or not text.isprintable() or " " in text:
        raise ValueError(f"{text!r} is no e-mail address")
    return text.encode("utf-8")


def _key_id(text: str) -> bytes:
    if not text:
        raise ValueError("keyid: needs a text, or # and hexadecimal digits")
    return text.encode("utf-8")


def _only_hex(text: str) -> bytes:
    raise ValueError(f"{text!r}: write # and the DER octets in hexadecimal")


def _hex(text: str) -> bytes:
    try:
        octets = bytes.fromhex(text)
    except ValueError:
        raise ValueError(f"{text!r} is not hexadecimal") from None
    if not octets:
        raise ValueError("no hexadecimal digits after #")
    return octets


_PREFIXES: dict[str, tuple[IdType, Callable[[str], bytes]]] = {
    "ipv4": (IdType.ID_IPV4_ADDR, _ipv4),
    "ipv6": (IdType.ID_IPV6_ADDR, _ipv6),
    "fqdn": (IdType.ID_FQDN, _fqdn),
    "dns": (IdType.ID_FQDN, _fqdn),
    "email": (IdType.ID_RFC822_ADDR, _email),
    "rfc822": (IdType.ID_RFC822_ADDR, _email),
    "keyid": (IdType.ID_KEY_ID, _key_id),
    "asn1dn": (IdType.ID_DER_ASN1_DN, dn.encode),
    "asn1gn": (IdType.ID_DER_ASN1_GN, _only_hex),
}

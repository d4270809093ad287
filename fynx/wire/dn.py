"""X.500 distinguished names as text and as DER (RFC 7296 section 3.5, RFC 5280 section 4.1.2.4)."""

from __future__ import annotations

from collections.abc import Callable

_SEQUENCE, _SET, _OID, _UTF8, _PRINTABLE, _IA5 = 0x30, 0x31, 0x06, 0x0C, 0x13, 0x16

_NAMES = {
    "CN": b"\x55\x04\x03",
    "serialNumber": b"\x55\x04\x05",
    "C": b"\x55\x04\x06",
    "L": b"\x55\x04\x07",
    "ST": b"\x55\x04\x08",
    "O": b"\x55\x04\x0a",
    "OU": b"\x55\x04\x0b",
    "T": b"\x55\x04\x0c",
    "DC": bytes.fromhex("0992268993f22c640119"),
    "UID": bytes.fromhex("0992268993f22c640101"),
    "E": bytes.fromhex("2a864886f70d010901"),
}
_ALIASES = {"S": "ST", "SERIALNUMBER": "serialNumber", "EMAILADDRESS": "E", "EMAIL": "E"}
_SHORT = {oid: name for name, oid in _NAMES.items()}
_TAGS = {"C": _PRINTABLE, "serialNumber": _PRINTABLE, "DC": _IA5, "E": _IA5}


def encode(text: str) -> bytes:
    """``C=CH, O=Example, CN=gw`` as DER, in the order written; a backslash takes the next character as it is.

    Country and serial number become PrintableString, mail and domain component IA5String, the others UTF8String. A peer
    that wrote other string types has other octets: then give them as ``asn1dn:#hex``. Raises ``ValueError``.
    """
    return _tlv(_SEQUENCE, b"".join([_tlv(_SET, _encode_part(part)) for part in _split(text)]))


def _split(text: str) -> list[str]:
    parts, current, escaped = [], "", False
    for character in text:
        if character == "," and not escaped:
            parts.append(current)
            current = ""
        elif character == "\\" and not escaped:
            escaped = True
            continue
        else:
            current += character
        escaped = False
    return [*parts, current]


def _encode_part(part: str) -> bytes:
    name, equals, value = part.partition("=")
    short = name.strip().upper()
    short = _ALIASES.get(short, short)
    if not equals or short not in _NAMES:
        known = ", ".join(_NAMES)
        raise ValueError(f"{part.strip()!r} is no part of a distinguished name: write TYPE=value, TYPE one of {known}")
    octets = value.strip().encode("utf-8")
    if not octets:
        raise ValueError(f"{name.strip()!r} has no value")
    if short in _TAGS and not octets.isascii():
        raise ValueError(f"{name.strip()!r} takes ASCII only")
    return _tlv(_SEQUENCE, _tlv(_OID, _NAMES[short]) + _tlv(_TAGS.get(short, _UTF8), octets))


def _tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def well_formed(data: bytes) -> bool:
    """True when the octets are one DER Name and nothing else (row A5)."""
    return _parts(data) is not None


def show(data: bytes, escape: Callable[[bytes], str]) -> str | None:
    """The name as text, each value through ``escape``; None when the octets are not one DER Name."""
    parts = _parts(data)
    if parts is None:
        return None
    return ", ".join([f"{_SHORT.get(oid) or 'oid.#' + oid.hex()}={_value(value, escape)}" for oid, value in parts])


def _value(octets: bytes, escape: Callable[[bytes], str]) -> str:
    return escape(octets).replace(",", "\\,")


def _parts(data: bytes) -> list[tuple[bytes, bytes]] | None:
    try:
        content = _only(data, _SEQUENCE)
        parts: list[tuple[bytes, bytes]] = []
        for relative in _items(content, _SET):
            for pair in _items(relative, _SEQUENCE):
                oid, value = _two(pair)
                parts.append((oid, value))
    except _NotDer:
        return None
    return parts


class _NotDer(Exception):
    pass


def _next(data: bytes, offset: int) -> tuple[int, bytes, int]:
    """Tag, content and the offset behind one element; definite, shortest lengths only."""
    if len(data) - offset < 2:
        raise _NotDer
    tag, size = data[offset], data[offset + 1]
    start = offset + 2
    if size >= 0x80:
        count = size & 0x7F
        size = int.from_bytes(data[start : start + count], "big")
        if not 1 <= count <= 2 or size < (0x80 if count == 1 else 0x100):
            raise _NotDer
        start += count
    if start + size > len(data):
        raise _NotDer
    return tag, data[start : start + size], start + size


def _only(data: bytes, tag: int) -> bytes:
    found, content, end = _next(data, 0)
    if found != tag or end != len(data):
        raise _NotDer
    return content


def _items(data: bytes, tag: int) -> list[bytes]:
    items: list[bytes] = []
    offset = 0
    while offset < len(data):
        found, content, offset = _next(data, offset)
        if found != tag:
            raise _NotDer
        items.append(content)
    return items


def _two(data: bytes) -> tuple[bytes, bytes]:
    tag, oid, offset = _next(data, 0)
    _, value, end = _next(data, offset)
    if tag != _OID or not oid or end != len(data):
        raise _NotDer
    return oid, value

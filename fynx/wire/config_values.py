"""What a configuration attribute may hold: addresses that a host can have, domains (RFC 7296 3.15.1, RFC 8598 4.1)."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

_LABEL = re.compile(rb"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_SPECIAL = ("local", "localhost", "invalid", "onion")
"""Names that no DNS server of a peer speaks for (RFC 6761, RFC 6762, RFC 7686)."""


def possible(packed: bytes) -> bool:
    """An address that a host may have and another may reach: no wildcard, loopback, multicast, broadcast."""
    if len(packed) not in (4, 16):
        return False
    address: IPv4Address | IPv6Address = ip_address(packed)
    never = address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local
    return not (never or address.is_reserved or (len(packed) == 4 and packed[0] == 0))


def domain(value: bytes) -> str:
    """A domain in the letters of DNS, lower case, without the last dot; empty for anything else."""
    text = value.removesuffix(b".")
    labels = text.split(b".")
    if not text or len(text) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return ""
    name = text.decode("ascii").lower()
    return "" if name.rpartition(".")[2] in _SPECIAL else name

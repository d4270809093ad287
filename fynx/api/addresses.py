"""Outer addresses as people write them, and the inner addresses that peers have when nobody chose any."""

from __future__ import annotations

import hashlib
from ipaddress import IPv6Address, IPv6Network

from fynx.faults import InvalidParameter

Address = str | tuple[str, int]
"""``"vpn.example.net"``, ``"192.0.2.1:4500"``, ``"[2001:db8::1]:4500"``, or ``(host, port)``."""

IKE_PORT, NAT_PORT = 500, 4500
OVERLAY = IPv6Network("fd66:796e:7800::/64")
"""Inner addresses made from identities (RFC 4193): nobody has to hand any out, and two identities do not meet."""
SERVER = IPv6Address("fd66:796e:7800::1")


def split(address: Address, default: int = IKE_PORT) -> tuple[str, int]:
    """Host and port. Raises ``InvalidParameter``."""
    if isinstance(address, tuple):
        host, port = address[0], address[1]
    else:
        host, port = _parse(address, default)
    if not host or not 0 <= port <= 65535:
        raise InvalidParameter(f"{address!r} is no address: write HOST or HOST:PORT")
    return host, port


def _parse(text: str, default: int) -> tuple[str, int]:
    bare = text.count(":") > 1 and not text.startswith("[")
    host, colon, port = (text, "", "") if bare else text.rpartition(":")
    if text.startswith("[") and text.endswith("]"):
        host, colon = text, ""
    if not colon:
        return (host or text).strip("[]") if bare or text.startswith("[") else text, default
    if not port.isdecimal():
        raise InvalidParameter(f"{text!r} is no address: the port is a number")
    return host.strip("[]"), int(port)


def overlay_address(identity: str) -> str:
    """The inner address of a client that was given none."""
    digest = hashlib.sha256(b"fynx overlay address\0" + identity.encode()).digest()[:8]
    return str(OVERLAY[max(2, int.from_bytes(digest, "big"))])

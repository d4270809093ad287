"""Addresses, networks and traffic selectors as text: ``10.0.0.0/8[tcp/443]`` (RFC 7296 section 3.13.1)."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from fynx.config.problems import Wrong
from fynx.plugin.dataplane import Selector

ANY = "any"
PROTOCOLS = {"any": 0, "icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "icmpv6": 58, "ospf": 89, "sctp": 132, "udplite": 136}
_WITH_PORTS = {6, 17, 132, 136}
_ICMP = {1, 58}
_SELECTOR = re.compile(r"(?P<range>[^\[\]]+)(\[(?P<protocol>[^/\]]+)(/(?P<port>[^\]]+))?\])?")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


def remote_network(text: str) -> IPv4Network | IPv6Network | None:
    """An address or network; None for a DNS name. Raises ``Wrong`` for what is none of them."""
    if text == "%any" or text == "*":
        raise Wrong(f"{text!r} is not understood here", f"write {ANY}")
    if "/" in text:
        return network(text)
    try:
        return ip_network(text)
    except ValueError:
        _check_name(text)
    return None


def network(text: str) -> IPv4Network | IPv6Network:
    """A network with its host bits zero; a single address counts as one."""
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        raise Wrong(f"{text[:64]!r} is no network", "write it as 10.0.0.0/8, 192.0.2.1 or 2001:db8::/32") from None
    raise Wrong(f"{text!r} has bits set beyond its prefix", f"write {meant}, or the address alone")


def selector(text: str) -> Selector:
    """``NETWORK``, ``ADDRESS`` or ``FIRST-LAST``, perhaps ``[protocol]`` or ``[protocol/port]``; raises ``Wrong``."""
    if text == "dynamic":
        raise Wrong("'dynamic' is not understood here", "write the network or address itself")
    match = _SELECTOR.fullmatch(text.strip())
    if match is None:
        raise Wrong(f"{text[:64]!r} is no traffic selector", "write it as 10.0.0.0/8 or 10.0.0.0/8[tcp/443]")
    start, end = _range(match["range"])
    protocol = _protocol(match["protocol"] or "any")
    first, last = _ports(match["port"], protocol)
    return Selector(start, end, protocol, first, last)


def child_selector(text: str) -> Selector:
    """As ``selector``, and ``dynamic``, perhaps with protocol and port: a selector without addresses."""
    match = _SELECTOR.fullmatch(text.strip())
    if match is None or match["range"] != "dynamic":
        return selector(text)
    protocol = _protocol(match["protocol"] or "any")
    return Selector(b"", b"", protocol, *_ports(match["port"], protocol))


def octets_of(text: str) -> int:
    """Length of the addresses in a selector that has passed ``child_selector``: 4 or 16; 0 for ``dynamic``."""
    words = text.partition("[")[0]
    return 0 if words.strip() == "dynamic" else 16 if ":" in words else 4


def local_address(text: str) -> IPv4Address | IPv6Address | None:
    """A source address; None when empty. Raises ``Wrong``."""
    try:
        return ip_address(text) if text else None
    except ValueError:
        raise Wrong(f"{text[:64]!r} is no address", "write an address of this host, or leave the key out") from None


def _check_name(text: str) -> None:
    labels = text.removesuffix(".").split(".")
    named = len(text) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
    if named and not labels[-1].isdigit():
        return
    raise Wrong(
        f"{text[:64]!r} is no address, network or DNS name", "write it as 192.0.2.1, 192.0.2.0/24 or vpn.example.net"
    )


def _range(text: str) -> tuple[bytes, bytes]:
    if "-" not in text:
        whole = network(text)
        return whole.network_address.packed, whole.broadcast_address.packed
    first, _, last = text.partition("-")
    try:
        start, end = ip_address(first.strip()), ip_address(last.strip())
    except ValueError:
        raise Wrong(f"{text[:64]!r} is no range of addresses", "write it as 10.0.0.1-10.0.0.9") from None
    if start.version != end.version or start.packed > end.packed:
        raise Wrong(f"the range {text[:64]!r} does not ascend", "write the lower address first")
    return start.packed, end.packed


def _protocol(text: str) -> int:
    number = PROTOCOLS.get(text.lower(), int(text) if text.isascii() and text.isdigit() and len(text) < 4 else -1)
    if 0 <= number <= 255:
        return number
    raise Wrong(f"{text[:32]!r} is no protocol", f"write its number, or one of {', '.join(PROTOCOLS)}")


def _ports(text: str | None, protocol: int) -> tuple[int, int]:
    if text is None or text == "any":
        return 0, 65535
    if protocol in _ICMP:
        return _icmp(text)
    if protocol not in _WITH_PORTS:
        raise Wrong(
            f"[…/{text[:16]}]: this protocol has no ports", "only tcp, udp, sctp and udplite have; leave /… out"
        )
    first, dash, last = text.partition("-")
    start, end = _number(first, 65535), _number(last if dash else first, 65535)
    if start > end:
        raise Wrong(f"the port range {text!r} does not ascend", "write the lower port first")
    return start, end


def _icmp(text: str) -> tuple[int, int]:
    """``TYPE`` or ``TYPE.CODE``: the type stands in the upper octet of the port (RFC 4301 section 4.4.1.1)."""
    kind, dot, code = text.partition(".")
    number = _number(kind, 255) << 8
    return (number | _number(code, 255),) * 2 if dot else (number, number | 255)


def _number(text: str, most: int) -> int:
    if text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= most:
        return int(text)
    raise Wrong(f"{text[:16]!r} is no number from 0 to {most}", "write it as 443 or 1000-2000")

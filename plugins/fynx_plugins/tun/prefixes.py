"""Selectors as prefixes: ranges of RFC 7296 section 3.13.1 cut into networks that routes and rules can say."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from fynx.plugin import Selector

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def networks(selectors: Iterable[Selector]) -> tuple[Network, ...]:
    """All prefixes that together cover the address ranges, sorted, IPv4 first."""
    found: set[Network] = set()
    for each in selectors:
        found.update(_cut(each))
    return tuple(sorted(found, key=order))


def order(network: Network) -> tuple[int, int, int]:
    return network.version, int(network.network_address), network.prefixlen


def inside(inner: Network, outer: Network) -> bool:
    """True when every address of ``inner`` is one of ``outer``; False for different families."""
    if isinstance(inner, ipaddress.IPv4Network) and isinstance(outer, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, ipaddress.IPv6Network) and isinstance(outer, ipaddress.IPv6Network):
        return inner.subnet_of(outer)
    return False


def address_within(addresses: Sequence[Address], wanted: Iterable[Network], version: int) -> str:
    """The first address of ours inside one of the prefixes, as text, or ""; a prefix of everything says nothing."""
    fitting = [network for network in wanted if network.version == version and network.prefixlen]
    for address in addresses:
        if any(address in network for network in fitting):
            return str(address)
    return ""


def _cut(selector: Selector) -> Iterable[Network]:
    if len(selector.start) == 4:
        return ipaddress.summarize_address_range(
            ipaddress.IPv4Address(selector.start), ipaddress.IPv4Address(selector.end)
        )
    return ipaddress.summarize_address_range(ipaddress.IPv6Address(selector.start), ipaddress.IPv6Address(selector.end))

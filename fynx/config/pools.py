"""Pools of addresses to lease: texts to values, and checks over the whole file (RFC 7296 section 3.15, RFC 8598)."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import combinations

from fynx.config.model import Config, Pool
from fynx.config.problems import Wrong
from fynx.wire.config_values import domain, possible
from fynx.wire.identity import parse_identity

Address = IPv4Address | IPv6Address


def pool_range(text: str) -> tuple[Address, Address]:
    """The first and the last address to lease of ``NETWORK``, ``ADDRESS`` or ``FIRST-LAST``; raises ``Wrong``."""
    first, dash, last = text.partition("-")
    try:
        if dash:
            return _ascending(ip_address(first.strip()), ip_address(last.strip()), text)
        network = ip_network(text)
    except ValueError as error:
        if isinstance(error, Wrong):
            raise
        remedy = "write it as 198.18.0.0/24, fd00:1::/64 or 198.18.0.10-198.18.0.99"
        raise Wrong(f"{text[:64]!r} is no network and no range of addresses", remedy) from None
    return _ascending(*_usable(network), text)


def plain_address(text: str) -> Address:
    try:
        return ip_address(text)
    except ValueError:
        raise Wrong(f"{text[:64]!r} is no address", "write it as 198.18.0.1 or fd00::1") from None


def plain_network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError:
        raise Wrong(f"{text[:64]!r} is no network", "write it as 10.0.0.0/8 or fd00::/8") from None


def split_domain(text: str) -> str:
    found = domain(text.encode("ascii", "replace"))
    if not found:
        raise Wrong(f"{text[:64]!r} is no domain that a DNS server can answer for", "write it as corp.example.net")
    return found


def check_pools(config: Config) -> Iterator[tuple[str, Wrong]]:
    """What only the whole file shows: names of pools, pools that overlap, fixed addresses that two identities have."""
    known = config.host.pools
    for name, peer in config.peers.items():
        if peer.pool and peer.pool not in known:
            remedy = f"configured: {', '.join(known) or 'none'}"
            yield f"peers.{name}.pool", Wrong(f"no pool is called {peer.pool[:64]!r}", remedy)
    everything = [(name, *pool_range(text)) for name, pool in known.items() for text in pool.addresses]
    for (_, first, last), (name, start, end) in combinations(everything, 2):
        if first.version == start.version and int(first) <= int(end) and int(start) <= int(last):
            yield f"host.pools.{name}.addresses", Wrong("these addresses stand in another range too", "remove one")
    for name, pool in known.items():
        for path, wrong in _pool(pool):
            yield f"host.pools.{name}.{path}", wrong


def _pool(pool: Pool) -> Iterator[tuple[str, Wrong]]:
    if pool.split_dns and not pool.dns:
        yield "split_dns", Wrong("domains without a DNS server that answers for them", "dns: [ADDRESS]")
    if not pool.version.isascii() or not pool.version.isprintable() or len(pool.version) > 255:
        yield "version", Wrong("this is no short text of printable ASCII", "version: Example Gateway 1.0")
    taken: dict[Address, str] = {}
    for identity, texts in pool.fixed.items():
        try:
            parse_identity(identity)
        except ValueError as error:
            yield f"fixed.{identity}", Wrong(str(error), "alice@example.net: [198.18.0.10]")
        addresses = [plain_address(text) for text in texts]
        if len({one.version for one in addresses}) < len(addresses):
            yield f"fixed.{identity}", Wrong("two addresses of one family", "one IPv4 and one IPv6 address at most")
        for address in addresses:
            if taken.setdefault(address, identity) != identity or not possible(address.packed):
                yield f"fixed.{identity}", Wrong(f"{address} cannot be this identity's alone", "write another address")


def _ascending(first: Address, last: Address, text: str) -> tuple[Address, Address]:
    if first.version != last.version or int(first) > int(last):
        raise Wrong(f"the range {text[:64]!r} does not ascend", "write the lower address first")
    if not possible(first.packed) or not possible(last.packed):
        raise Wrong(f"{text[:64]!r} holds addresses that no host can have", "write a private network")
    return first, last


def _usable(network: IPv4Network | IPv6Network) -> tuple[Address, Address]:
    """Without the network's own and the broadcast address; IPv6 without the routers' anycast address."""
    first, last = network[0], network[-1]
    if network.num_addresses <= 2:
        return first, last
    return (first + 1, last - 1) if network.version == 4 else (first + 1, last)

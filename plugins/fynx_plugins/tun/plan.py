"""Which routes and rules the tunnels need: a pure function of policies, Child SAs, guards and addresses.

All of it lives in one routing table of the host's own, which is asked before the main table by everything that does not
carry our mark. So neither a more specific route that someone else installs nor the loss of the device makes protected
traffic leave in clear (RFC 4301 section 5.1).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from fynx_plugins.tun.prefixes import Address, Network, address_within

LINK_LOCAL = ipaddress.ip_network("fe80::/10")

Kind = Literal["device", "unreachable", "throw"]


@dataclass(frozen=True, slots=True)
class Route:
    """One route of the table: into the device, nowhere (the guard), or back to the main table (``throw``)."""

    kind: Kind
    network: Network
    source: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One routing rule: everything without our mark to the table, or what may pass in clear to the main table."""

    kind: Literal["table", "bypass"]
    version: int
    source: Network | None = None
    destination: Network | None = None
    protocol: int = 0
    source_ports: tuple[int, int] | None = None
    destination_ports: tuple[int, int] | None = None


@dataclass(frozen=True)
class Pair:
    """Protected prefixes, ours and theirs."""

    local: tuple[Network, ...]
    remote: tuple[Network, ...]

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """That of a network costs a microsecond."""
        return hash((self.local, self.remote))


@dataclass(slots=True)
class Wanted:
    """What the plane was told so far."""

    pairs: dict[object, Pair] = field(default_factory=dict)
    """PROTECT policies and installed Child SAs, by any key."""
    guards: dict[tuple[str, str], tuple[Network, ...]] = field(default_factory=dict)
    """What must not leave in clear, by peer and child."""
    bypasses: tuple[Rule, ...] = ()
    peers: frozenset[Address] = frozenset()
    addresses: tuple[Address, ...] = ()
    device: bool = True
    """False after the device is gone: only guards remain."""


def guarded(wanted: Wanted) -> frozenset[Network]:
    return frozenset(network for networks in wanted.guards.values() for network in networks)


def routes(wanted: Wanted) -> frozenset[Route]:
    """All routes that the table shall hold."""
    found: dict[Network, Route] = {}
    if wanted.device:
        for pair in wanted.pairs.values():
            for network in pair.remote:
                if network not in found or not found[network].source:
                    source = address_within(wanted.addresses, pair.local, network.version)
                    found[network] = Route("device", network, source)
    guards = guarded(wanted)
    closed = guards | found.keys()
    throws = {Route("throw", network) for network in _exceptions(wanted, closed)}
    return frozenset(found.values()) | {Route("unreachable", network) for network in guards} | throws


def rules(wanted: Wanted, found: frozenset[Route] | None = None) -> frozenset[Rule]:
    """The rules that lead to the table, one per family in use, and the bypasses of those families; ``found``: the
    routes, where they are known."""
    versions = {route.network.version for route in (routes(wanted) if found is None else found)}
    leading = {Rule("table", version) for version in versions}
    return frozenset(leading | {rule for rule in wanted.bypasses if rule.version in versions})


def _exceptions(wanted: Wanted, closed: Iterable[Network]) -> set[Network]:
    """Our own networks and the peers' outer addresses, where a wider protected prefix would swallow them."""
    candidates: set[Network] = {network for pair in wanted.pairs.values() for network in pair.local}
    candidates |= {ipaddress.ip_network(address) for address in wanted.peers}
    candidates.add(LINK_LOCAL)
    taken = set(closed)
    lengths: set[tuple[int, int]] = {(network.version, network.prefixlen) for network in taken}
    return {each for each in candidates if each not in taken and each.prefixlen and _covered(each, taken, lengths)}


def _covered(network: Network, taken: set[Network], lengths: set[tuple[int, int]]) -> bool:
    """Whether a wider network is among ``taken``; asks once per length that occurs, not once per network."""
    return any(
        version == network.version and length < network.prefixlen and network.supernet(new_prefix=length) in taken
        for version, length in lengths
    )

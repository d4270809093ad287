"""Pools of addresses to lease (RFC 7296 sections 2.19, 3.15): one lease per identity, kept for its return.

Nothing here knows time, disks or SAs: the driver asks, and is told which leases it should write down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import chain

from fynx.errors import FynxError
from fynx.ike.policy import PoolPolicy
from fynx.plugin.auth import Identity

Address = IPv4Address | IPv6Address
MOST_KEPT = 65536
"""Leases that nobody uses, in one pool: the one given back first is forgotten beyond that."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A lease as it is written down: whoever returns gets the same addresses."""

    pool: str
    identity: Identity
    addresses: tuple[bytes, ...]
    """Packed; empty: the lease is to be forgotten."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Addresses leased, none when there are none left, and the leases that this changed."""

    addresses: tuple[bytes, ...]
    changed: tuple[Kept, ...] = ()


class Pools:
    """All pools of a host. ``kept`` are the leases of an earlier run, the one given back first in front."""

    def __init__(self, policies: Iterable[PoolPolicy], kept: Iterable[Kept] = ()) -> None:
        self._pools = {policy.name: Pool(policy) for policy in policies}
        for one in kept:
            if one.pool in self._pools:
                self._pools[one.pool].restore(one)

    def lease(self, pool: str, identity: Identity, versions: Iterable[int], wanted: tuple[bytes, ...] = ()) -> Grant:
        """Raises ``FynxError`` for a pool that does not exist."""
        return self._pool(pool).lease(identity, tuple(versions), wanted)

    def give_back(self, pool: str, identity: Identity) -> tuple[Kept, ...]:
        """One SA with this identity's lease is gone. Returns the leases that are forgotten for it."""
        return self._pool(pool).give_back(identity)

    def status(self) -> dict[str, dict[str, int]]:
        return {name: {"online": pool.online, "kept": pool.kept} for name, pool in self._pools.items()}

    def _pool(self, name: str) -> Pool:
        found = self._pools.get(name)
        if found is None:
            raise FynxError(f"no pool is called {name!r}")
        return found


class Pool:
    def __init__(self, policy: PoolPolicy) -> None:
        self.name = policy.name
        self._ranges = [(ip_address(first), ip_address(last)) for first, last in policy.ranges]
        self._fixed: dict[Identity, dict[int, Address]] = {
            identity: {one.version: one for one in map(ip_address, addresses)}
            for identity, addresses in policy.fixed.items()
        }
        self._reserved = {one for found in self._fixed.values() for one in found.values()}
        self._held: dict[Identity, dict[int, Address]] = {}
        self._owner: dict[Address, Identity] = {}
        self._using: Counter[Identity] = Counter()
        self._idle: dict[Identity, None] = {}
        """Who has a lease and no SA, the longest gone first."""
        self._fresh = {version: self._never_used(version) for version in (4, 6)}
        self._freed: dict[int, dict[Address, None]] = {4: {}, 6: {}}

    @property
    def online(self) -> int:
        return len(self._using)

    @property
    def kept(self) -> int:
        return len(self._idle)

    def restore(self, kept: Kept) -> None:
        """What no longer fits the pool, or is another's by now, is passed over."""
        for address in map(ip_address, kept.addresses):
            taken = self._held.get(kept.identity, {})
            if self._free(address) and address.version not in taken and not self._promised(kept.identity, address):
                self._hold(kept.identity, address)
                self._idle[kept.identity] = None

    def lease(self, identity: Identity, versions: tuple[int, ...], wanted: tuple[bytes, ...]) -> Grant:
        changed: dict[Identity, None] = {}
        found = [self._pick(identity, version, wanted, changed) for version in versions]
        addresses = tuple(one.packed for one in found if one is not None)
        if addresses:
            self._using[identity] += 1
            self._idle.pop(identity, None)
        return Grant(addresses, tuple(self._note(one) for one in changed))

    def give_back(self, identity: Identity) -> tuple[Kept, ...]:
        self._using[identity] -= 1
        if self._using[identity] > 0:
            return ()
        del self._using[identity]
        if identity in self._held:
            self._idle[identity] = None
        if len(self._idle) <= MOST_KEPT:
            return ()
        oldest = next(iter(self._idle))
        for address in list(self._held[oldest].values()):
            self._let_go(oldest, address)
            self._freed[address.version][address] = None
        return (self._note(oldest),)

    def _pick(
        self, identity: Identity, version: int, wanted: tuple[bytes, ...], changed: dict[Identity, None]
    ) -> Address | None:
        """What is fixed for this identity, what it had, what it would like, what nobody had, what somebody left."""
        known = self._fixed.get(identity, {}).get(version) or self._held.get(identity, {}).get(version)
        if known is not None:
            return known
        liked = (one for one in map(ip_address, wanted) if one.version == version and self._free(one))
        address = next(chain(liked, self._spare(version)), None)
        if address is None:
            address = self._left_over(version, changed)
        if address is not None:
            self._hold(identity, address)
            changed[identity] = None
        return address

    def _spare(self, version: int) -> Iterator[Address]:
        """Addresses that nobody has; they leave their list as they are looked at."""
        freed = self._freed[version]
        while freed:
            address = next(iter(freed))
            del freed[address]
            if self._free(address):
                yield address
        for address in self._fresh[version]:
            if self._free(address):
                yield address

    def _left_over(self, version: int, changed: dict[Identity, None]) -> Address | None:
        """The address of whoever has been gone for longest."""
        for identity in self._idle:
            address = self._held[identity].get(version)
            if address is not None:
                self._let_go(identity, address)
                changed[identity] = None
                return address
        return None

    def _never_used(self, version: int) -> Iterator[Address]:
        for first, last in self._ranges:
            if first.version == version:
                kind = type(first)
                for number in range(int(first), int(last) + 1):
                    yield kind(number)

    def _free(self, address: Address) -> bool:
        inside = any(
            first.version == address.version and int(first) <= int(address) <= int(last) for first, last in self._ranges
        )
        return inside and address not in self._owner and address not in self._reserved

    def _promised(self, identity: Identity, address: Address) -> bool:
        return address.version in self._fixed.get(identity, {})

    def _hold(self, identity: Identity, address: Address) -> None:
        self._owner[address] = identity
        self._held.setdefault(identity, {})[address.version] = address

    def _let_go(self, identity: Identity, address: Address) -> None:
        del self._owner[address]
        del self._held[identity][address.version]
        if not self._held[identity]:
            del self._held[identity]
            self._idle.pop(identity, None)

    def _note(self, identity: Identity) -> Kept:
        return Kept(self.name, identity, tuple(one.packed for one in self._held.get(identity, {}).values()))

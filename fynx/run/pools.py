"""Pools as configured to pools as the protocol core wants them (RFC 7296 section 3.15)."""

from __future__ import annotations

from fynx.config.address import selector
from fynx.config.model import Pool
from fynx.config.pools import plain_address, plain_network, pool_range, split_domain
from fynx.ike.policy import PoolPolicy
from fynx.plugin.auth import Identity
from fynx.plugin.dataplane import Selector
from fynx.wire.identity import parse_identity


def pool_policy(name: str, pool: Pool) -> PoolPolicy:
    """Of a pool that passed the checks."""
    ranges = [pool_range(text) for text in pool.addresses]
    networks = [plain_network(text) for text in pool.subnets]
    return PoolPolicy(
        name=name,
        ranges=tuple((first.packed, last.packed) for first, last in ranges),
        fixed={
            Identity(*parse_identity(identity)): tuple(plain_address(text).packed for text in texts)
            for identity, texts in pool.fixed.items()
        },
        dns=tuple(plain_address(text).packed for text in pool.dns),
        subnets=tuple((one.network_address.packed, one.prefixlen) for one in networks),
        domains=tuple(split_domain(text) for text in pool.split_dns),
        version=pool.version,
    )


def pool_blocks(pool: Pool) -> tuple[Selector, ...]:
    """All that can be leased from it, in whole networks as they are written, so that few routes say it."""
    fixed = (text for texts in pool.fixed.values() for text in texts)
    return tuple(dict.fromkeys(selector(text) for text in (*pool.addresses, *fixed)))

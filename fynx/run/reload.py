"""Another configuration for a running host: read, compared, adopted; one that cannot be used changes nothing
(bad-inputs L3)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from fynx.config import Config, load
from fynx.ike.policy import HostPolicy
from fynx.kernel.registry import Registry
from fynx.run.callers import Caller, Hands
from fynx.run.failures import HostError
from fynx.run.plan import LIVE, RESTART, Plan, plan
from fynx.run.policy import NOWHERE, at_start, host_policy
from fynx.run.resolve import Resolver, resolve_all


@dataclass(frozen=True, slots=True)
class Prepared:
    """What ``adopt`` needs: the configuration as far as it can hold without a restart, its policy, and the plan."""

    config: Config
    policy: HostPolicy
    plan: Plan


async def prepare(old: Config, before: HostPolicy, registry: Registry, resolver: Resolver, file: str) -> Prepared:
    """Reads ``file``, by default the one that the host was started with. Raises ConfigError or HostError."""
    source = file or old.source
    if not source:
        raise HostError("this host was not started from a file: name one")
    written = await asyncio.to_thread(load, Path(source), registry=registry, left_out=old.left_out)
    return await compared(old, before, written, registry, resolver)


async def compared(
    old: Config, before: HostPolicy, written: Config, registry: Registry, resolver: Resolver
) -> Prepared:
    resolved = await resolve_all(resolver, written)
    new = _reloadable(old, written)
    policy = host_policy(new, registry, resolve=resolved, crash_secret=before.crash_secret)
    settled = {one.name: one.remote for one in before.peers if one.name in alike(old, new)}
    # A peer that is written as before keeps its addresses: another answer of DNS is no change of configuration.
    after = replace(policy, peers=tuple(replace(one, remote=settled.get(one.name, one.remote)) for one in policy.peers))
    return Prepared(new, after, plan(old, written, before, after))


def _reloadable(old: Config, new: Config) -> Config:
    """The new configuration, with the old values of all that needs a restart."""
    live = {key: getattr(new.host, key) for key in LIVE}
    kept = {key: getattr(old, key) for key in RESTART}
    return replace(new, host=replace(old.host, **live), **kept)


def follow(callers: dict[str, Caller], old: Config, new: Config, hands: Hands, resolver: Resolver) -> None:
    """The callers learn who there is to call now; what starts by itself since now is called."""
    for name in callers.keys() - new.peers.keys():
        callers.pop(name).forget()
    for name, peer in new.peers.items():
        caller = callers.get(name)
        if caller is None:
            caller = callers[name] = Caller(name, peer, hands, resolver)
        caller.change(peer)
        fresh = set(at_start(new, name)) - set(at_start(old, name))
        if fresh:
            caller.want(fresh)
        elif caller.wanted and hands.children_up(name) is None:
            caller.want(())  # the new configuration may be what it was waiting for


def outside(
    policy: HostPolicy, known: Mapping[str, tuple[str, ...]] = MappingProxyType({})
) -> dict[str, tuple[str, ...]]:
    """Single addresses of each peer, which stay outside of every tunnel; ``known`` ones hold for peers as before."""
    found: dict[str, tuple[str, ...]] = {}
    for peer in policy.peers:
        whole = [one for one in peer.remote if one.num_addresses == 1 and one != NOWHERE]
        found[peer.name] = known.get(peer.name) or tuple(str(one.network_address) for one in whole)
    return found


def alike(old: Config, new: Config) -> frozenset[str]:
    """Peers whose addresses are written as before."""
    return frozenset(
        name for name, peer in new.peers.items() if name in old.peers and _address(old, name) == peer.remote.address
    )


def _address(config: Config, name: str) -> tuple[str, ...]:
    return config.peers[name].remote.address

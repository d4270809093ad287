"""Another configuration for a running host: read, compared, adopted; one that cannot be used changes nothing
(bad-inputs L3)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from fynx.config import Config, load
from fynx.ike.policy import HostPolicy, PeerPolicy
from fynx.kernel.registry import Registry
from fynx.run.callers import Caller, Hands
from fynx.run.failures import HostError
from fynx.run.plan import LIVE, RESTART, Plan, plan
from fynx.run.policy import at_start, host_policy
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
    written = await asyncio.to_thread(load, Path(source), registry=registry)
    return await compared(old, before, written, registry, resolver)


async def compared(
    old: Config, before: HostPolicy, written: Config, registry: Registry, resolver: Resolver
) -> Prepared:
    resolved = await resolve_all(resolver, written)
    new = _reloadable(old, written)
    policy = host_policy(new, registry, resolve=resolved, crash_secret=before.crash_secret)
    after = replace(policy, peers=tuple(_settled(one, old, new, before) for one in policy.peers))
    return Prepared(new, after, plan(old, written, before, after))


def _reloadable(old: Config, new: Config) -> Config:
    """The new configuration, with the old values of all that needs a restart."""
    live = {key: getattr(new.host, key) for key in LIVE}
    kept = {key: getattr(old, key) for key in RESTART}
    return replace(new, host=replace(old.host, **live), **kept)


def _settled(policy: PeerPolicy, old: Config, new: Config, before: HostPolicy) -> PeerPolicy:
    """A peer that is written as before keeps its addresses: another answer of DNS is no change of configuration."""
    known, written = old.peers.get(policy.name), new.peers[policy.name]
    if known is None or known.remote.address != written.remote.address:
        return policy
    return next(replace(policy, remote=one.remote) for one in before.peers if one.name == policy.name)


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


def single_addresses(policy: HostPolicy) -> list[str]:
    """Of all peers: where the tunnels end, for a plane that keeps routes to them."""
    remotes = [network for peer in policy.peers for network in peer.remote]
    return [str(one.network_address) for one in remotes if one.num_addresses == 1]

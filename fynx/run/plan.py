"""What a new configuration would do to the SAs of a running host, told beforehand: schema ``fynx.plan/1``.

``plan`` is a pure function of the two configurations and policies; the core follows the same rules (``ike.changes``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fynx.config.model import Config, Host, Peer
from fynx.ike.changes import Outcome, PeerChange, compare, same
from fynx.ike.policy import HostPolicy
from fynx.run.policy import at_start

SCHEMA = "fynx.plan/1"
LIVE = ("cookie_threshold", "half_open_limit", "half_open_per_source", "half_open_s", "children_per_sa")
"""Keys of ``host`` that take effect at once; the others need a restart."""
RESTART = ("name", "plugins", "providers", "kill_switch", "sections")
"""Keys of the file that need a restart."""


@dataclass(frozen=True, slots=True)
class ChildPlan:
    name: str
    outcome: Outcome
    changed: tuple[str, ...]
    starts: bool
    """It comes up by itself afterwards: it is new, or starts now, or is made anew."""


@dataclass(frozen=True, slots=True)
class PeerPlan:
    name: str
    outcome: Outcome
    changed: tuple[str, ...]
    children: tuple[ChildPlan, ...]

    @property
    def touched(self) -> bool:
        return (
            self.outcome is not Outcome.STAY
            or bool(self.changed)
            or any(child.outcome is not Outcome.STAY or child.changed for child in self.children)
        )


@dataclass(frozen=True, slots=True)
class Plan:
    peers: tuple[PeerPlan, ...]
    policies: bool
    """Whether the static policies (bypass, discard) change."""
    limits: tuple[str, ...]
    """Keys of ``host`` that change at once."""
    restart: tuple[str, ...]
    """Keys that differ and need a restart: the old value stays in force until then."""

    def of(self, name: str) -> PeerPlan | None:
        return next((peer for peer in self.peers if peer.name == name), None)


def plan(old: Config, new: Config, before: HostPolicy, after: HostPolicy) -> Plan:
    """Without looking at what is up: an SA that does not stand stays as it is, and nothing stands in for it."""
    return Plan(
        peers=tuple(_peer(name, change, old, new) for name, change in compare(before, after).items()),
        policies=not same(old.policies, new.policies),
        limits=tuple(f"host.{key}" for key in LIVE if getattr(old.host, key) != getattr(new.host, key)),
        restart=tuple(_restart(old, new)),
    )


def _restart(old: Config, new: Config) -> Iterator[str]:
    for key in RESTART:
        if not same(getattr(old, key), getattr(new, key)):
            yield key
    for key in Host.__dataclass_fields__:
        if key not in LIVE and not same(getattr(old.host, key), getattr(new.host, key)):
            yield f"host.{key}"


def _peer(name: str, change: PeerChange, old: Config, new: Config) -> PeerPlan:
    before, after = old.peers.get(name), new.peers.get(name)
    changed = tuple(dict.fromkeys((*change.changed, *_beside(before, after))))
    begins, began = frozenset(at_start(new, name)), frozenset(at_start(old, name))
    children = []
    for child, one in change.children.items():
        moves = one.outcome in (Outcome.ADD, Outcome.REMAKE) or child not in began
        children.append(ChildPlan(child, one.outcome, one.changed, child in begins and moves))
    return PeerPlan(name, change.outcome, changed, tuple(children))


def _beside(old: Peer | None, new: Peer | None) -> list[str]:
    """What the core does not see: where we call from and to, and what follows when the peer is gone."""
    if old is None or new is None:
        return []
    pairs = {
        "remote.address": (old.remote.address, new.remote.address),
        "remote.port": (old.remote.port, new.remote.port),
        "local.address": (old.local.address, new.local.address),
        **{key: (getattr(old, key), getattr(new, key)) for key in ("start", "on_dead", "on_close")},
    }
    return [key for key, (one, other) in pairs.items() if one != other]


def as_json(found: Plan, name: str, standing: Mapping[str, frozenset[str] | None]) -> dict[str, object]:
    """``standing``: the children that are up, by peer; None for a peer without an IKE SA."""
    return {
        "schema": SCHEMA,
        "name": name,
        "peers": [_peer_json(peer, standing.get(peer.name)) for peer in found.peers],
        "policies_change": found.policies,
        "changed": list(found.limits),
        "needs_restart": list(found.restart),
    }


def _peer_json(peer: PeerPlan, up: frozenset[str] | None) -> dict[str, object]:
    return {
        "name": peer.name,
        "outcome": peer.outcome.value,
        "changed": list(peer.changed),
        "up": up is not None,
        "children": [
            {
                "name": child.name,
                "outcome": child.outcome.value,
                "changed": list(child.changed),
                "up": child.name in (up or ()),
                "starts": child.starts,
            }
            for child in peer.children
        ],
    }


__all__ = ["SCHEMA", "ChildPlan", "PeerPlan", "Plan", "as_json", "plan"]

"""What a changed policy means for the SAs that stand: a pure comparison, for doing it and for telling beforehand.

Nothing here is protocol: the rules follow from what RFC 7296 lets two sides change without a new authentication
(sections 1.3.2, 1.3.3 and 2.8): keys and algorithms by a rekey, selectors by a new Child SA, identities not at all.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum

from fynx.ike.policy import ChildPolicy, HostPolicy, Network, PeerPolicy
from fynx.plugin.auth import Secret


class Outcome(Enum):
    """What becomes of one SA. ``REMAKE``: deleted, and made anew where it starts by itself."""

    STAY = "stay"
    REKEY = "rekey"
    REMAKE = "remake"
    DROP = "drop"
    ADD = "add"


IDENTITY = ("remote", "local_id", "remote_id", "local_auth", "remote_auth")
"""Fields of a peer that its SA was authenticated under: a change ends the SA."""
CHILD_REMAKE = ("local", "remote", "mode", "resources")
CHILD_REKEY = ("esp", "window", "tfc_pad", "aggregation", "dummies")


@dataclass(frozen=True, slots=True)
class ChildChange:
    outcome: Outcome
    changed: tuple[str, ...] = ()
    """Names of the fields that differ."""


@dataclass(frozen=True, slots=True)
class PeerChange:
    outcome: Outcome
    changed: tuple[str, ...]
    children: Mapping[str, ChildChange]


def compare(old: HostPolicy, new: HostPolicy) -> dict[str, PeerChange]:
    """Every peer of either policy, by name, in the order of the old one and then of the new one."""
    before, after = ({peer.name: peer for peer in policy.peers} for policy in (old, new))
    return {name: compare_peer(before.get(name), after.get(name)) for name in (*before, *after)}


def compare_peer(old: PeerPolicy | None, new: PeerPolicy | None) -> PeerChange:
    """One of the two may be missing: the peer is new, or gone."""
    if old is None or new is None:
        only = new or old
        assert only is not None
        outcome = Outcome.ADD if old is None else Outcome.DROP
        return PeerChange(outcome, (), {child.name: ChildChange(outcome) for child in only.children})
    changed = tuple(_differing(old, new, but="children"))
    # More addresses than before take none away from the SA that stands.
    ended = [name for name in changed if name in IDENTITY and (name != "remote" or not _within(old.remote, new.remote))]
    outcome = Outcome.STAY
    if ended:
        outcome = Outcome.REMAKE
    elif "ike" in changed:
        outcome = Outcome.REKEY
    return PeerChange(outcome, changed, _children(old, new, remade=outcome is Outcome.REMAKE))


def _children(old: PeerPolicy, new: PeerPolicy, *, remade: bool) -> dict[str, ChildChange]:
    before, after = ({child.name: child for child in peer.children} for peer in (old, new))
    found = {name: compare_child(before.get(name), after.get(name)) for name in (*before, *after)}
    if not remade:
        return found
    over = (Outcome.STAY, Outcome.REKEY)
    return {n: ChildChange(Outcome.REMAKE, c.changed) if c.outcome in over else c for n, c in found.items()}


def compare_child(old: ChildPolicy | None, new: ChildPolicy | None) -> ChildChange:
    if old is None or new is None:
        return ChildChange(Outcome.ADD if old is None else Outcome.DROP)
    if old == new:  # no secret in it
        return ChildChange(Outcome.STAY)
    changed = tuple(_differing(old, new))
    if any(name in CHILD_REMAKE for name in changed):
        return ChildChange(Outcome.REMAKE, changed)
    if any(name in CHILD_REKEY for name in changed):
        return ChildChange(Outcome.REKEY, changed)
    return ChildChange(Outcome.STAY, changed)


def same(a: object, b: object) -> bool:
    """Equal all the way down; secrets are compared in constant time."""
    if isinstance(a, Secret) and isinstance(b, Secret):
        return hmac.compare_digest(a.reveal(), b.reveal())
    if type(a) is not type(b):
        return False
    if is_dataclass(a) and not isinstance(a, type):
        return all(same(getattr(a, one.name), getattr(b, one.name)) for one in fields(a) if one.compare)
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return bool(a == b)


def _differing(old: object, new: object, *, but: str = "") -> list[str]:
    assert is_dataclass(old)
    names = [one.name for one in fields(old) if one.compare and one.name != but]
    return [name for name in names if not same(getattr(old, name), getattr(new, name))]


def _within(inner: tuple[Network, ...], outer: tuple[Network, ...]) -> bool:
    """No network at all means any address."""
    if not outer:
        return True
    return bool(inner) and all(any(_contains(wide, one) for wide in outer) for one in inner)


def _contains(wide: Network, one: Network) -> bool:
    return wide.version == one.version and wide.supernet_of(one)  # type: ignore[arg-type]

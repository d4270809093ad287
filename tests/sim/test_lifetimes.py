"""Soft and hard limits by time, octets and packets; liveness that is fed by traffic (RFC 7296 sections 2.4, 2.8)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fynx.events import ChildDown, ChildRekeyed, IkeDown, IkeRekeyed, PathChanged, PluginFailed
from fynx.ike.effects import CheckLiveness
from fynx.ike.policy import Lifetime
from fynx.plugin import Expire
from fynx.sim.nat import Nat
from fynx.sim.node import Node
from tests.sim.rig import Pair, lan, mirrored, peer_of_alice, peer_of_bob, policy, same_children

NEVER = Lifetime(0, 0)
USE = {"octets": (0, 10_000), "packets": (10_000, 0)}


def up(ours: Lifetime = NEVER, *, ike: Lifetime = NEVER, seed: int = 1, **peer: object) -> Pair:
    """Only Alice has limits."""
    common = {"liveness_s": None, **peer}
    alice = peer_of_alice(children=(lan(lifetime=ours),), lifetime=ike, **common)
    bob = peer_of_bob(children=(mirrored(lan(lifetime=NEVER)),), lifetime=NEVER, **common)
    made = Pair(seed, alice=policy(alice), bob=policy(bob))
    made.up()
    return made


def only(node: Node) -> int:
    (handle,) = node.plane.children
    return handle


def carried(pair: Pair, packets: int, octets: int) -> None:
    """As the driver tells every few seconds."""
    pair.alice.endpoint.used(pair.world.now, only(pair.alice), packets, octets)
    pair.alice.pump()


def limited(kind: str, soft: int, hard: int) -> Lifetime:
    if kind == "octets":
        return Lifetime(0, 0, soft_bytes=soft, hard_bytes=hard)
    return Lifetime(0, 0, soft_packets=soft, hard_packets=hard)


@pytest.mark.parametrize("what", ["child", "ike"])
def test_soft_times_replace_within_their_jitter_and_not_all_at_once(what: str) -> None:
    soft = Lifetime(1000.0, 2000.0, jitter=0.2)
    kind = ChildRekeyed if what == "child" else IkeRekeyed
    after = []
    for seed in range(12):
        pair = up(soft, seed=seed) if what == "child" else up(ike=soft, seed=seed)
        began = pair.world.now
        assert pair.world.run(2000.0, lambda pair=pair: bool(pair.alice.events_of(kind)))
        after.append(pair.world.now - began)
        same_children(pair.alice, pair.bob)
    assert all(798.0 <= one <= 1001.0 for one in after)
    assert max(after) - min(after) > 50.0


@pytest.mark.parametrize("kind", USE)
def test_a_soft_limit_of_use_replaces_the_child_once(kind: str) -> None:
    pair = up(limited(kind, 10_000, 20_000))
    packets, octets = USE[kind]
    carried(pair, max(packets - 1, 0), max(octets - 1, 0))
    pair.settle()
    assert not pair.alice.events_of(ChildRekeyed)
    carried(pair, packets, octets)
    carried(pair, packets + 1, octets + 1)
    pair.settle(20.0)
    assert len(pair.alice.events_of(ChildRekeyed)) == len(pair.bob.events_of(ChildRekeyed)) == 1
    same_children(pair.alice, pair.bob)


def by_time(pair: Pair) -> None:
    pair.world.run(101.0)


def by_octets(pair: Pair) -> None:
    carried(pair, 0, 10_000)


def by_packets(pair: Pair) -> None:
    carried(pair, 10_000, 0)


def by_the_plane(pair: Pair) -> None:
    pair.alice.endpoint.expired(pair.world.now, Expire(only(pair.alice), hard=True, reason="sequence"))
    pair.alice.pump()


HARD: dict[str, tuple[Lifetime, Callable[[Pair], None]]] = {
    "time": (Lifetime(0, 100.0), by_time),
    "octets": (limited("octets", 0, 10_000), by_octets),
    "packets": (limited("packets", 0, 10_000), by_packets),
    "sequence numbers": (NEVER, by_the_plane),
}


@pytest.mark.parametrize("kind", HARD)
def test_a_hard_limit_stops_traffic_at_once_though_the_peer_is_silent(kind: str) -> None:
    lifetime, reach = HARD[kind]
    pair = up(lifetime)
    old = only(pair.alice)
    pair.world.intercept = lambda sent: ()
    reach(pair)
    assert old not in pair.alice.plane.children
    pair.world.run(1000.0)  # the DELETE is given up, and with it the IKE SA
    assert not pair.alice.plane.children
    assert len(pair.alice.events_of(ChildDown)) == 1
    assert not pair.alice.events_of(PluginFailed)


@pytest.mark.parametrize("kind", HARD)
def test_after_a_hard_limit_the_peer_is_told_and_the_child_is_made_anew(kind: str) -> None:
    lifetime, reach = HARD[kind]
    pair = up(lifetime)
    old = only(pair.alice)
    reach(pair)
    pair.settle(20.0)
    assert only(pair.alice) != old
    same_children(pair.alice, pair.bob)
    assert not pair.bob.events_of(PluginFailed)


def test_what_is_stopped_is_not_moved_when_the_nat_changes() -> None:
    pair = Pair(
        alice=policy(peer_of_alice(liveness_s=None)),
        bob=policy(peer_of_bob(liveness_s=None)),
        addresses=("198.18.9.5", "198.51.100.2"),
    )
    nat = pair.world.add_nat(Nat("192.0.2.1", ("198.18.9.5",)))
    pair.up()
    pair.world.intercept = lambda sent: () if sent.source[0] == "198.51.100.2" else (sent,)
    pair.bob.endpoint.expired(pair.world.now, Expire(only(pair.bob), hard=True, reason="bytes"))
    pair.bob.pump()
    nat.rebind()
    pair.alice.command(CheckLiveness("bob"))
    pair.settle(5.0)
    assert pair.bob.events_of(PathChanged)
    pair.world.intercept = None
    pair.settle(60.0)
    assert not pair.bob.events_of(PluginFailed)


def test_the_hard_limit_of_an_ike_sa_ends_it() -> None:
    pair = up(ike=Lifetime(0, 100.0))
    pair.world.run(102.0)
    assert pair.alice.events_of(IkeDown)
    assert pair.alice.endpoint.snapshot() == pair.bob.endpoint.snapshot() == ()
    assert not pair.alice.plane.children
    assert not pair.bob.plane.children


def checks(node: Node) -> int:
    return node.endpoint.counters().get("liveness_checks", 0)


def test_liveness_is_asked_for_in_silence_and_not_while_the_peer_is_heard() -> None:
    pair = up(liveness_s=30.0)
    for _ in range(100):
        pair.world.run(10.0)
        for node in (pair.alice, pair.bob):  # authenticated packets came in, as the driver reads off the plane
            node.endpoint.activity(node.clock.now, only(node))
    assert (checks(pair.alice), checks(pair.bob)) == (0, 0)
    pair.world.run(300.0)
    assert (checks(pair.alice), checks(pair.bob)) == (9, 9)

"""The simulator itself, and whole handshakes in bad networks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path as File

import pytest

from fynx.events import ChildUp, HandshakeStarted, NatDetected, PathChanged
from fynx.ike.effects import Initiate
from fynx.ike.policy import Retransmission
from fynx.plugin import Path
from fynx.sim.link import Link
from fynx.sim.nat import Nat
from tests.sim.rig import ALICE, BOB, Pair, lan, mirrored, network, peer_of_alice, peer_of_bob, policy, same_children

BAD = Link(latency_s=0.03, jitter_s=0.02, loss=0.30, duplicate=0.10, reorder=0.20)
ROOT = File(__file__).resolve().parents[2]


def test_a_handshake_gives_both_sides_the_same_child_mirrored() -> None:
    pair = Pair()
    pair.up()
    same_children(pair.alice, pair.bob)
    assert len(pair.world.captured) == 4


def test_packets_pass_both_ways_through_the_child() -> None:
    pair = Pair()
    pair.up()
    for sender, receiver in ((pair.alice, pair.bob), (pair.bob, pair.alice)):
        (handle,) = sender.plane.children
        sender.send_packet(handle, b"an inner packet")
        pair.settle()
        (child,) = receiver.plane.children.values()
        assert child.received == [b"an inner packet"]


@pytest.mark.parametrize("block", range(8))
def test_handshakes_complete_with_30_percent_lost_10_doubled_20_reordered(block: int) -> None:
    """200 in all, each with a seed of its own, each in one attempt: half of all round trips fail, so 12 tries."""
    patience = Retransmission(base_s=1.0, factor=1.3, tries=12)
    for seed in range(25 * block, 25 * block + 25):
        pair = Pair(
            seed,
            BAD,
            alice=policy(peer_of_alice(retransmission=patience)),
            bob=policy(peer_of_bob(retransmission=patience), half_open_s=120.0),
        )
        pair.up(within_s=300.0)
        same_children(pair.alice, pair.bob)
        assert len(pair.alice.events_of(HandshakeStarted)) == 1


@pytest.mark.parametrize("seed", range(20))
def test_with_the_default_patience_a_driver_that_tries_again_gets_through(seed: int) -> None:
    pair = Pair(seed, BAD)
    pair.initiate()
    while not pair.world.run(200.0, lambda: bool(pair.alice.events_of(ChildUp))):
        pair.initiate()
        assert pair.world.now < 1000.0
    pair.settle()
    same_children(pair.alice, pair.bob)


def test_ipv6_outside_and_in() -> None:
    a, b = "2001:db8::1", "2001:db8::2"
    inside_a, inside_b = (network("fd00:1::/64"),), (network("fd00:2::/64"),)
    child = lan(local=inside_a, remote=inside_b)
    pair = Pair(
        alice=policy(peer_of_alice(remote=(), children=(child,))),
        bob=policy(peer_of_bob(remote=(), children=(mirrored(child),))),
        addresses=(a, b),
    )
    pair.target = b
    pair.up()
    same_children(pair.alice, pair.bob)


def nat_pair(seed: int = 1, **changes: object) -> tuple[Pair, Nat]:
    """Alice behind a NAT."""
    pair = Pair(
        seed,
        alice=policy(peer_of_alice(**changes)),
        bob=policy(peer_of_bob(remote=())),
        addresses=("10.9.0.5", BOB),
    )
    return pair, pair.world.add_nat(Nat("203.0.113.7", ["10.9.0.5"]))


def test_a_nat_is_found_and_both_float_to_port_4500() -> None:
    pair, _ = nat_pair()
    pair.up()
    same_children(pair.alice, pair.bob)
    (found,) = pair.alice.events_of(NatDetected)
    assert isinstance(found, NatDetected)
    assert (found.local, found.remote) == (True, False)
    (found,) = pair.bob.events_of(NatDetected)
    assert isinstance(found, NatDetected)
    assert (found.local, found.remote) == (False, True)
    init, auth = pair.world.captured[0], pair.world.captured[2]
    assert init.destination[1] == 500
    assert auth.destination[1] == 4500
    assert auth.data.startswith(bytes(4))
    (child,) = pair.bob.plane.children.values()
    assert child.encap
    assert child.path.remote == "203.0.113.7"
    assert child.path.remote_port >= 20000


def test_without_nat_and_encap_auto_the_port_stays() -> None:
    pair = Pair()
    pair.up()
    assert all(sent.destination[1] == 500 for sent in pair.world.captured)


def test_encap_always_floats_without_a_nat() -> None:
    pair = Pair(alice=policy(peer_of_alice(encap="always")), bob=policy(peer_of_bob(encap="always")))
    pair.up()
    assert [sent.destination[1] for sent in pair.world.captured] == [500, 500, 4500, 4500]
    same_children(pair.alice, pair.bob)


def test_who_stands_behind_the_nat_sends_keepalives() -> None:
    pair, _ = nat_pair(keepalive_s=20.0)
    pair.up()
    pair.world.run(65.0)
    assert pair.bob.ports.keepalives == 3
    assert pair.alice.ports.keepalives == 0


def test_a_rebound_nat_is_followed_by_traffic_that_verifies() -> None:
    pair, nat = nat_pair()
    pair.up()
    (before,) = pair.bob.plane.children.values()
    port = before.path.remote_port
    nat.rebind()
    (handle,) = pair.alice.plane.children
    pair.alice.send_packet(handle, b"from another port")
    pair.settle()
    (after,) = pair.bob.plane.children.values()
    assert after.path.remote_port != port
    assert pair.bob.events_of(PathChanged)
    (back,) = pair.bob.plane.children
    pair.bob.send_packet(back, b"and back")
    pair.settle()
    (child,) = pair.alice.plane.children.values()
    assert child.received == [b"and back"]


def test_both_behind_nats_with_a_forwarded_port() -> None:
    pair = Pair(
        alice=policy(peer_of_alice(remote=())),
        bob=policy(peer_of_bob(remote=())),
        addresses=("10.9.0.5", "10.8.0.5"),
    )
    pair.world.add_nat(Nat("203.0.113.7", ["10.9.0.5"]))
    theirs = pair.world.add_nat(Nat("203.0.113.9", ["10.8.0.5"]))
    for port in (500, 4500):
        theirs.forward(port, ("10.8.0.5", port))
    pair.target = "203.0.113.9"
    pair.up()
    same_children(pair.alice, pair.bob)
    for node in (pair.alice, pair.bob):
        (found,) = node.events_of(NatDetected)
        assert isinstance(found, NatDetected)
        assert found.local
        assert found.remote


def test_a_datagram_larger_than_the_mtu_never_arrives() -> None:
    pair = Pair(link=Link(mtu=100))
    pair.initiate()
    pair.world.run(300.0)
    assert not pair.bob.events
    assert pair.world.trace.of_kind("lost")


def story(seed: int) -> str:
    """A run with everything in it; returns the digest of its trace."""
    pair, nat = nat_pair(seed)
    pair.world.link = BAD
    pair.initiate()
    pair.world.run(60.0, pair.is_up)
    nat.rebind()
    pair.world.run(90.0)
    if pair.alice.events_of(ChildUp):
        pair.alice.command(Initiate("bob", Path("10.9.0.5", 500, BOB, 500)))
    pair.world.run(60.0)
    return pair.world.trace.digest()


def test_the_same_seed_gives_the_same_trace_and_another_another() -> None:
    assert story(7) == story(7)
    assert story(7) != story(8)


def test_the_trace_is_the_same_in_processes_with_other_hash_seeds() -> None:
    code = "from tests.sim.test_world import story; print(story(3), story(4))"
    found = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4711")
    ]
    assert found[0] == found[1] == found[2] == f"{story(3)} {story(4)}\n"


def test_no_secret_stands_in_the_trace() -> None:
    pair = Pair()
    pair.up()
    text = str(pair.world.trace)
    (child,) = pair.alice.plane.children.values()
    assert child.spec.keys_in.key.reveal().hex() not in text
    assert ALICE in text

"""Rounds of operations that cross each other on a bad network, between two hosts that are up; each from a seed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any
from zlib import crc32

from fynx.errors import StateError
from fynx.events import HandshakeFailed, PeerDead
from fynx.ike import reauth
from fynx.ike.effects import Initiate, InitiateChild, Rekey, Terminate, TerminateChild
from fynx.ike.policy import ChildPolicy
from fynx.ike.timers import Timer
from fynx.plugin import Algorithms, Path
from fynx.sim.link import Link
from fynx.sim.node import Node
from fynx.sim.trace import NoTrace, Trace
from tests.sim.cheap import CHEAP
from tests.sim.invariants import keys_reused, quiet, violations
from tests.sim.rig import ALICE, BOB, Pair, lan, mirrored, network, peer_of_alice, peer_of_bob, policy

CHILDREN = tuple(
    lan(name=name, local=(network(f"10.1.{number}.0/24"),), remote=(network(f"10.2.{number}.0/24"),))
    for number, name in enumerate(("one", "two"))
)
SLICES = (2.0, 4.0, 6.0, 10.0, 20.0, 30.0, 60.0, 120.0, 240.0, 400.0)
"""By their end the last retransmission and the last liveness check of what one side lost are over."""
PACKET = b"an inner packet, which nobody may see"
Operation = Callable[[Node, str, str], None]


def rekey_child(node: Node, peer: str, child: str) -> None:
    node.command(Rekey(peer, child))


def rekey_ike(node: Node, peer: str, child: str) -> None:
    node.command(Rekey(peer))


def delete_child(node: Node, peer: str, child: str) -> None:
    node.command(TerminateChild(peer, child))


def delete_ike(node: Node, peer: str, child: str) -> None:
    node.command(Terminate(peer))


def create_child(node: Node, peer: str, child: str) -> None:
    node.command(InitiateChild(peer, child))


def initiate(node: Node, peer: str, child: str) -> None:
    own, other = (ALICE, BOB) if peer == "bob" else (BOB, ALICE)
    node.command(Initiate(peer, Path(own, 500, other, 500)))


def authenticate_anew(node: Node, peer: str, child: str) -> None:
    """At either side, as a peer of other rules would: whoever it was that authenticated first."""
    endpoint = node.endpoint
    standing = [sa for sa in endpoint.sas.values() if sa.established and sa.successor is None]
    for sa in standing[-1:]:
        reauth.start(endpoint, sa)
    node.pump()


def authenticate_again(node: Node, peer: str, child: str) -> None:
    """As when its time is up, where it is this side's duty."""
    endpoint = node.endpoint
    for timer, serial in endpoint.timers.keys():  # noqa: SIM118  it is no mapping
        if timer is Timer.REAUTH and serial in endpoint.sas:
            reauth.start(endpoint, endpoint.sas[serial])
    node.pump()


OPERATIONS: tuple[Operation, ...] = (
    *(rekey_child, rekey_ike, delete_child, delete_ike, create_child, initiate, authenticate_again),
    authenticate_anew,
)
ENDS = (delete_child, delete_ike)
"""All others leave both children up, unless an end gives the other up."""
CROSSINGS: tuple[tuple[Operation, Operation], ...] = (
    (rekey_child, rekey_child),
    (rekey_ike, rekey_ike),
    (rekey_child, delete_child),
    (rekey_ike, delete_child),
    (rekey_child, rekey_ike),
    (rekey_ike, delete_ike),
    (delete_child, delete_child),
    (delete_ike, delete_ike),
    (create_child, rekey_ike),
    (create_child, delete_child),
    (create_child, create_child),
    (authenticate_again, rekey_ike),
    (authenticate_again, rekey_child),
    (initiate, initiate),
    (authenticate_anew, authenticate_anew),
    (authenticate_anew, delete_child),
)


def two(
    seed: int | str,
    algorithms: Algorithms = CHEAP,
    trace: Trace | None = None,
    work_s: float = 0.0,
    children: tuple[ChildPolicy, ...] = CHILDREN,
    **peers: Any,
) -> Pair:
    """Alice and Bob with two children, brought up by Alice; ``peers`` changes what both have configured."""
    common = {"liveness_s": 60.0, "reauth_s": 1e6, **peers}
    return Pair(
        seed,
        alice=policy(peer_of_alice(children=children, **common)),
        bob=policy(peer_of_bob(children=tuple(mirrored(one) for one in children), **common)),
        trace=trace if trace is not None else NoTrace(),
        algorithms=algorithms,
        work_s=work_s,
    )


def stand(pair: Pair) -> None:
    """Both children are up: what the last round took down comes up again."""
    if any(len(node.plane.children) != len(CHILDREN) for node in (pair.alice, pair.bob)):
        pair.initiate()
        calm(pair)
    pair.world.captured.clear()


def bad_link(random: Random) -> Link:
    shape = random.random()
    return Link(
        latency_s=random.choice((0.001, 0.02, 0.1)),
        jitter_s=random.choice((0.0, 0.02, 0.3)),
        loss=0.45 * shape if random.random() < 0.8 else 0.0,
        duplicate=0.2 * random.random(),
        reorder=0.3 * random.random(),
    )


def cross(pair: Pair, random: Random, crossing: tuple[Operation, Operation]) -> list[str]:
    """One round: two operations, and sometimes a third, close to each other. Returns what is wrong afterwards."""
    stand(pair)
    ends = random.random() < 0.15
    if ends:  # both from nothing
        delete_ike(pair.alice, "bob", "")
        pair.world.run(30.0)
    pair.world.link = bad_link(random)
    told = [len(node.events) for node in (pair.alice, pair.bob)]
    sides = [(pair.alice, "bob"), (pair.bob, "alice")]
    random.shuffle(sides)
    for number in range(random.choice((2, 2, 2, 3, 4))):
        operation = crossing[number] if number < 2 else random.choice(OPERATIONS)
        ends = ends or operation in ENDS
        node, peer = sides[number % 2] if random.random() < 0.9 else random.choice(sides)
        with suppress(StateError):
            operation(node, peer, "one" if random.random() < 0.8 else "two")
        if random.random() < 0.7:
            pair.world.run(random.choice((0.001, 0.03, 0.3, 5.0)) * random.random())
        send(pair)
    pair.world.run(random.choice((0.5, 5.0, 30.0)))
    send(pair)
    pair.world.link = replace(pair.world.link, loss=0.0, duplicate=0.0, reorder=0.0)
    calm(pair)
    clear = [sent for sent in pair.world.captured if PACKET in sent.data]
    found = [*violations(pair), *(f"a packet in clear to {sent.destination}" for sent in clear)]
    nodes = (pair.alice, pair.bob)
    since = [event for node, before in zip(nodes, told, strict=True) for event in node.events[before:]]
    if not ends and not any(isinstance(event, PeerDead | HandshakeFailed) for event in since):
        found += [f"{node.name} lost a child" for node in nodes if len(node.plane.children) < len(CHILDREN)]
    return found


def calm(pair: Pair) -> None:
    """Lets time pass until all is well, or should be."""
    for slice_s in SLICES:
        pair.world.run(slice_s)
        if quiet(pair) and not violations(pair):
            return


def send(pair: Pair) -> None:
    """An inner packet from each side through the newest child that sends."""
    for node in (pair.alice, pair.bob):
        handle = newest(node)
        if handle:
            node.send_packet(handle, PACKET)


def newest(node: Node, name: str = "") -> int:
    """The handle of the child that carries outbound traffic, as the planes choose it; 0 for none."""
    found = node.plane.children.items()
    return next((handle for handle, one in reversed(found) if one.outbound and name in ("", one.spec.child)), 0)


def batch(
    seed: int | str, rounds: int, crossings: tuple[tuple[Operation, Operation], ...] = CROSSINGS, **how: object
) -> list[str]:
    """So many rounds in one world, each from ``seed`` and its number; what went wrong first, if anything did."""
    first = seed if isinstance(seed, int) else crc32(seed.encode())
    pair = two(seed, work_s=0.04 if first % 3 == 2 else 0.0, **how)  # type: ignore[arg-type]
    for number in range(rounds):
        random = Random(f"{seed}/{number}")
        crossing = crossings[(first * rounds + number) % len(crossings)]
        found = cross(pair, random, crossing)
        if found:
            names = " x ".join(operation.__name__ for operation in crossing)
            return [f"batch {seed}, round {number} ({names})", *found]
    return [f"batch {seed}: {one}" for node in (pair.alice, pair.bob) for one in keys_reused(node)]

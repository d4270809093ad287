"""A thousand peers of one host: up, rekeyed, taken down, and nothing is left of them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from fynx.events import ChildRekeyed, ChildUp, IkeRekeyed
from fynx.ike.child import ChildSa
from fynx.ike.effects import Initiate, Rekey, Terminate
from fynx.ike.sa import IkeSa
from fynx.ike.timers import SPARE
from fynx.plugin.transport import Path
from fynx.sim.link import Link
from fynx.sim.node import Node
from fynx.sim.trace import NoTrace
from fynx.sim.world import World
from tests.sim.cheap import CHEAP
from tests.sim.rig import BOB, host, identity, lan, mirrored, network, peer_of_alice, peer_of_bob, policy

PEERS = 1000
HUB = BOB


def places() -> Iterator[tuple[str, str, str]]:
    """Name, address and network of each."""
    for number in range(PEERS):
        address = str(ip_address("198.18.0.1") + number)
        yield f"spoke{number}", address, f"10.{64 + number // 256}.{number % 256}.0/24"


def world() -> tuple[World, Node, list[Node]]:
    made = World("many", Link(latency_s=0.02, jitter_s=0.5), NoTrace())
    peers, spokes = [], []
    for name, address, inside in places():
        child = lan(local=(network(inside),))
        own = identity(f"{name}.example.org")
        spoke = peer_of_alice(name="hub", local_id=own, children=(child,), liveness_s=None)
        peers.append(
            peer_of_bob(
                name=name,
                remote=(ip_network(address),),
                remote_id=own,
                children=(mirrored(child),),
                liveness_s=None,
            )
        )
        spokes.append(made.add(host(name, address, policy(spoke), algorithms=CHEAP)))
    hub = made.add(host("hub", HUB, policy(*peers), algorithms=CHEAP))
    return made, hub, spokes


def forget(made: World, nodes: list[Node]) -> None:
    """What the simulator has written down."""
    made.captured.clear()
    for node in nodes:
        node.events.clear()
        node.sent.clear()
        node.plane.history.clear()


def live_and_die(made: World, hub: Node, spokes: list[Node]) -> None:
    for spoke in spokes:
        spoke.command(Initiate("hub", Path(spoke.host.addresses[0], 500, HUB, 500)))
    made.run(30.0)
    assert len(hub.events_of(ChildUp)) == len(hub.plane.children) == len(spokes)
    for number, spoke in enumerate(spokes):  # from either end
        node, peer = (spoke, "hub") if number % 2 else (hub, f"spoke{number}")
        node.command(Rekey(peer, "lan"))
    made.run(30.0)
    for number, spoke in enumerate(spokes):
        node, peer = (spoke, "hub") if number % 3 else (hub, f"spoke{number}")
        node.command(Rekey(peer))
    made.run(30.0)
    assert len(hub.events_of(ChildRekeyed)) == len(hub.events_of(IkeRekeyed)) == len(spokes)
    assert len(hub.endpoint.sas) == len(hub.plane.children) == len(spokes)
    for spoke in spokes[: len(spokes) // 2]:
        spoke.command(Terminate("hub"))
    hub.command(Terminate(""))
    made.run(5 * 3600.0)  # longer than any timer that was set
    forget(made, [hub, *spokes])


def left(node: Node) -> list[object]:
    """Whatever a host still holds of an IKE SA."""
    endpoint, plane = node.endpoint, node.plane
    tables = (endpoint.sas, endpoint.handles, endpoint.half_open, endpoint.timers.keys(), endpoint._turns._parked)
    spis = (endpoint.spis._initiators, endpoint.spis._responders, plane.children, plane.reserved)
    counts = (endpoint.conversation.fragments.used, endpoint.admission.half_open, any(endpoint.by_peer.values()))
    return [one for one in (*tables, *spis, *counts) if one]


def objects() -> int:
    gc.collect()
    found = gc.get_objects()
    assert not [one for one in found if isinstance(one, IkeSa | ChildSa)]
    return len(found)


def test_a_thousand_peers_are_up_rekeyed_and_down_and_leave_nothing() -> None:
    made, hub, spokes = world()
    live_and_die(made, hub, spokes)
    assert [left(node) for node in (hub, *spokes)] == [[]] * (PEERS + 1)
    assert max(len(node.endpoint.timers._heap) for node in (hub, *spokes)) <= SPARE
    before = objects()
    live_and_die(made, hub, spokes[:50])
    assert objects() <= before, "what a round leaves behind adds up"

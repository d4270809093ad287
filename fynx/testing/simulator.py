"""Whole hosts in a network of virtual time, from the YAML that real ones read: the same seed gives the same run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path as File

from fynx.config import load
from fynx.errors import StateError
from fynx.ike.child import ChildSa
from fynx.ike.effects import Command, Initiate, Rekey, Terminate
from fynx.ike.tasks import CORE
from fynx.plugin.transport import Path
from fynx.run.policy import host_policy
from fynx.sim.link import PERFECT, Link
from fynx.sim.nat import Nat
from fynx.sim.node import Host, Node
from fynx.sim.trace import Trace
from fynx.sim.world import Sent, World

IKE_PORT = 500
LONG_S = 120.0
"""Of virtual time: enough for every repetition of a request."""


SITE = """
name: {name}
peers:
  {other}:
    remote: {{address: {address}, id: {other}.test, auth: {{psk: {{secret: "a key for simulations alone, long"}}}}}}
    local: {{id: {name}.test, auth: {{psk: {{secret: "a key for simulations alone, long"}}}}}}
    children: {{net: {{local: {local}, remote: {remote}}}}}
"""
LEFT = SITE.format(name="left", other="right", address="any", local="10.1.0.0/16", remote="10.2.0.0/16")
RIGHT = SITE.format(name="right", other="left", address="any", local="10.2.0.0/16", remote="10.1.0.0/16")


def simulated_pair(
    seed: int | str = 1, link: Link = PERFECT, *, left: str | File = LEFT, right: str | File = RIGHT
) -> tuple[Simulation, SimulatedHost, SimulatedHost]:
    """A network with ``left`` at 192.0.2.1 and ``right`` at 198.51.100.1, who have each other as a peer."""
    net = Simulation(seed, link)
    return net, net.host("192.0.2.1", left), net.host("198.51.100.1", right)


class Simulation:
    """Nothing sleeps and nothing is real but the protocol: the core, its keys and its ESP are those of ``fynx run``.

    ``link`` is the network between all hosts where ``connect`` says nothing else.
    """

    def __init__(self, seed: int | str = 1, link: Link = PERFECT) -> None:
        self.world = World(seed, link)

    @property
    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return self.world.now

    @property
    def trace(self) -> Trace:
        """Everything that happened; ``digest()`` is the same for the same seed."""
        return self.world.trace

    def host(
        self, address: str, source: str | File, *, names: Mapping[str, Iterable[str]] | None = None
    ) -> SimulatedHost:
        """A host at this address, from YAML (text or a file). ``names`` stand for DNS. Raises ``ConfigError``.

        Of ``host`` in it, transport and data plane are not used: both are the simulator's.
        """
        config = load(source)
        known = {name: tuple(addresses) for name, addresses in (names or {}).items()}
        registry = config.registry
        policy = host_policy(config, registry, resolve=known)
        extensions = (CORE, *registry.extensions)
        made = Host(config.name, (address,), policy, registry.algorithms, registry.auth_methods, extensions)
        return SimulatedHost(self.world, self.world.add(made), address)

    def connect(self, one: SimulatedHost, other: SimulatedHost, link: Link) -> None:
        """The network between these two."""
        self.world.connect(one.address, other.address, link)

    def nat(self, outside: str, *inside: SimulatedHost) -> Nat:
        """Puts hosts behind one address; ``rebind()`` of what it returns forgets all mappings."""
        return self.world.add_nat(Nat(outside, [each.address for each in inside]))

    def intercept(self, change: Callable[[Sent], Iterable[Sent]] | None) -> None:
        """``change`` sees every datagram and says what travels instead: nothing, another, or several."""
        self.world.intercept = change

    def repeat(self, sent: Sent) -> None:
        """A datagram of ``captured`` once more, as an attacker on the way sends it."""
        self.world.inject(sent.source, sent.destination, sent.data)

    @property
    def captured(self) -> list[Sent]:
        """Every datagram that was handed to the network, lost ones included."""
        return self.world.captured

    def run(self, for_s: float | None = None, until: Callable[[], bool] | None = None) -> bool:
        """Lets virtual time pass; whether ``until`` held."""
        return self.world.run(for_s, until)


class SimulatedHost:
    """Made by ``Simulation.host``."""

    def __init__(self, world: World, node: Node, address: str) -> None:
        self._world, self.node, self.address = world, node, address

    def __repr__(self) -> str:
        return f"SimulatedHost({self.node.name!r} at {self.address})"

    @property
    def events(self) -> list[object]:
        """Objects of ``fynx.events``, oldest first."""
        return list(self.node.events)

    @property
    def received(self) -> list[bytes]:
        """Inner packets that came out of its Child SAs."""
        return [packet for child in self.node.plane.children.values() for packet in child.received]

    @property
    def drops(self) -> Mapping[str, int]:
        """What its data plane refused, by name."""
        return dict(self.node.plane.drops)

    def up(self, peer: str, target: SimulatedHost | str, within_s: float = LONG_S) -> bool:
        """Calls the peer at ``target`` and lets time pass until the Child SA stands; False when it did not."""
        there = target if isinstance(target, str) else target.address
        self.command(Initiate(peer, Path(self.address, IKE_PORT, there, IKE_PORT)))
        return self._world.run(within_s, lambda: bool(self.children(peer)))

    def children(self, peer: str) -> list[ChildSa]:
        """The Child SAs with this peer that are in use."""
        standing = self.node.endpoint.by_peer.get(peer, ())
        return [child for sa in standing if sa.established for child in sa.children.values() if child.current]

    def send(self, peer: str, packet: bytes) -> None:
        """Through the newest Child SA. Raises ``StateError`` when there is none."""
        found = self.children(peer)
        if not found:
            raise StateError(f"{self.node.name} has no Child SA with {peer}")
        self.node.send_packet(found[-1].handle, packet)

    def rekey(self, peer: str, child: str = "") -> None:
        """The IKE SA, or the Child SA of this name."""
        self.command(Rekey(peer, child))

    def down(self, peer: str) -> None:
        self.command(Terminate(peer))

    def crash(self) -> None:
        """From now on it neither hears nor says anything."""
        self.node.alive = False

    def command(self, command: Command) -> None:
        """Any command of ``fynx.ike.effects``."""
        self.node.command(command)


__all__ = ["Link", "Nat", "Sent", "SimulatedHost", "Simulation", "simulated_pair"]

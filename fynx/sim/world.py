"""A network of simulated hosts: the same seed gives the same trace, in any process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from fynx.errors import FynxError
from fynx.plugin.transport import Path
from fynx.sim.clock import Clock
from fynx.sim.link import PERFECT, Link
from fynx.sim.nat import Address, Nat
from fynx.sim.node import Host, Node
from fynx.sim.trace import Trace


@dataclass(frozen=True, slots=True)
class Sent:
    """A datagram on the outside, as on the wire: after its sender's NAT, before its receiver's."""

    source: Address
    destination: Address
    data: bytes


class Receiver(Protocol):
    """Whoever owns an address: a Node, or a script that plays a peer."""

    def arrive(self, path: Path, data: bytes) -> None: ...


Intercept = Callable[[Sent], Iterable[Sent]]
"""Sees every datagram that a node sends, and says what travels instead."""


class World:
    """Owns the clock, the nodes, the links between addresses and the trace. Times in seconds."""

    def __init__(self, seed: int | str, link: Link = PERFECT, trace: Trace | None = None) -> None:
        self.seed, self.link = seed, link
        self.clock, self.trace = Clock(), trace if trace is not None else Trace()
        self.nodes: dict[str, Node] = {}
        self.intercept: Intercept | None = None
        self.captured: list[Sent] = []
        """Every datagram that was handed to the network, lost ones included."""
        self._links: dict[tuple[str, str], Link] = {}
        self._owners: dict[str, Receiver] = {}
        self._nats: dict[str, Nat] = {}
        self._behind: dict[str, Nat] = {}
        self._random = Random(f"{seed}/network")  # noqa: S311  repeatable on purpose, it protects nothing

    @property
    def now(self) -> float:
        return self.clock.now

    def add(self, host: Host) -> Node:
        """Brings a host into the world; its randomness comes from the seed and its name."""
        random = Random(host.seed or f"{self.seed}/{host.name}")  # noqa: S311
        node = Node(host, self.clock, self.trace, self._send, random)
        if host.name in self.nodes or any(address in self._owners for address in host.addresses):
            raise FynxError(f"name or address of {host.name!r} is taken")
        self.nodes[host.name] = node
        self._owners.update(dict.fromkeys(host.addresses, node))
        return node

    def remove(self, node: Node) -> None:
        """The host is gone with all that it knew, and what is on its way to it; another may take its place."""
        node.alive = False
        del self.nodes[node.name]
        for address in node.host.addresses:
            del self._owners[address]

    def attach(self, address: str, receiver: Receiver) -> None:
        """Gives an address to something that is no Node; it answers with ``inject``."""
        self._owners[address] = receiver

    def add_nat(self, nat: Nat) -> Nat:
        """Puts the hosts of ``nat.inside`` behind it."""
        self._nats[nat.outside] = nat
        self._behind.update(dict.fromkeys(nat.inside, nat))
        return nat

    def connect(self, a: str, b: str, link: Link) -> None:
        """The link between two outside addresses, both ways; elsewhere the world's own."""
        self._links[a, b] = self._links[b, a] = link

    def inject(self, source: Address, destination: Address, data: bytes) -> None:
        """A datagram from a stranger, at once and without loss."""
        self._deliver(Sent(source, destination, data))

    def run(self, for_s: float | None = None, until: Callable[[], bool] | None = None) -> bool:
        """Lets time pass until ``until`` holds, ``for_s`` is over or nothing is left. Returns whether it held."""
        end = None if for_s is None else self.clock.now + for_s
        while until is None or not until():
            when = self.clock.next()
            if when is None or (end is not None and when > end):
                break
            self.clock.step()
        if end is not None and (until is None or not until()):
            self.clock.now = max(self.clock.now, end)
        return until is None or until()

    def pass_time(self, seconds: float) -> None:
        """Time jumps as in a suspended machine: nothing runs meanwhile, what is overdue runs at the next step."""
        self.clock.now += seconds

    def _send(self, node: Node, source: Address, destination: Address, data: bytes) -> None:
        if source[0] not in node.host.addresses:
            self.trace.note(self.now, node.name, "no_such_source", source[0])
            return
        nat = self._behind.get(source[0])
        sent = Sent(nat.outward(source, destination) if nat else source, destination, data)
        self.captured.append(sent)
        for one in (sent,) if self.intercept is None else tuple(self.intercept(sent)):
            self._travel(one)

    def _travel(self, sent: Sent) -> None:
        link = self._links.get((sent.source[0], sent.destination[0]), self.link)
        delays = link.delays(self._random, len(sent.data))
        if not delays:
            self.trace.note(self.now, "network", "lost", f"{sent.source} -> {sent.destination} {len(sent.data)}")
        for delay in delays:
            self.clock.after(delay, lambda: self._deliver(sent))

    def _deliver(self, sent: Sent) -> None:
        address: Address | None = sent.destination
        nat = self._nats.get(sent.destination[0])
        if nat is not None:
            address = nat.inward(sent.source, sent.destination[1])
        node = self._owners.get(address[0]) if address else None
        if node is None or address is None:
            self.trace.note(self.now, "network", "unreachable", f"{sent.source} -> {sent.destination}")
            return
        node.arrive(Path(address[0], address[1], *sent.source), sent.data)

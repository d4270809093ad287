"""A simulated host: an Endpoint with an in-memory plane, doing its Work inline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from fynx.errors import FynxError
from fynx.events import Event
from fynx.ike import recovery
from fynx.ike.effects import (
    Activate,
    Ask,
    Command,
    Effect,
    Emit,
    GiveBack,
    Keepalive,
    LogKeys,
    Move,
    ReleaseSpi,
    Remove,
    Transmit,
)
from fynx.ike.endpoint import Endpoint
from fynx.ike.policy import HostPolicy
from fynx.ike.pools import Pools
from fynx.ike.reconfigure import reconfigure
from fynx.plugin.auth import AuthMethods, AuthorizeRequest
from fynx.plugin.crypto import Algorithms
from fynx.plugin.dataplane import PathSeen
from fynx.plugin.extension import Extension
from fynx.plugin.keylog import KeyRecord
from fynx.plugin.transport import Path
from fynx.plugin.work import (
    Authorize,
    InstallChild,
    KexAnswer,
    KexFinish,
    KexStart,
    Lease,
    ReserveSpi,
    Sign,
    Verify,
    Work,
)
from fynx.sim.clock import Clock
from fynx.sim.nat import Address
from fynx.sim.plane import MemoryPlane
from fynx.sim.trace import Trace
from fynx.wire.encap import KEEPALIVE, MARKER, Kind, classify

Send = Callable[["Node", Address, Address, bytes], None]
"""Puts one datagram on the network: node, source, destination, octets as on the wire."""


def always(_: AuthorizeRequest) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Host:
    """What makes a node: addresses, policy, algorithms and methods. ``work_s``: how long each piece of Work takes."""

    name: str
    addresses: tuple[str, ...]
    policy: HostPolicy
    algorithms: Algorithms
    auth_methods: AuthMethods
    extensions: tuple[Extension, ...]
    authorize: Callable[[AuthorizeRequest], bool] = always
    work_s: float = 0.0
    entropy: Callable[[int], bytes] | None = None
    """The endpoint's randomness; None: from the seed."""
    workers: int = 0
    """Of its data plane (RFC 9611)."""
    seed: str = ""
    """Empty: derived from the world's seed and the name."""


@dataclass(slots=True)
class Ports:
    """What the host's sockets took in that is not IKE."""

    keepalives: int = 0
    junk: int = 0


@dataclass(slots=True)
class Node:
    host: Host
    clock: Clock
    trace: Trace
    send: Send
    random: Random
    endpoint: Endpoint = field(init=False)
    plane: MemoryPlane = field(init=False)
    pools: Pools = field(init=False)
    events: list[Event] = field(default_factory=list)
    keys: list[KeyRecord] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    """Every IKE message that left, without marker."""
    ports: Ports = field(default_factory=Ports)
    alive: bool = True
    _armed: float | None = None

    def __post_init__(self) -> None:
        host = self.host
        self.plane = MemoryPlane(host.algorithms, self.random, self._path_seen)
        self.plane.unknown_spi = lambda path, spi: recovery.unknown_spi(self.endpoint, self.clock.now, path, spi)
        self.pools = Pools(host.policy.pools)
        entropy = host.entropy or self.random.randbytes
        self.endpoint = Endpoint(host.policy, host.algorithms, host.extensions, entropy)
        self.endpoint.workers = host.workers

    @property
    def name(self) -> str:
        return self.host.name

    def events_of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if type(event) is kind]

    # In.

    def command(self, command: Command) -> None:
        self.endpoint.command(self.clock.now, command)
        self.pump()

    def reconfigure(self, policy: HostPolicy) -> None:
        reconfigure(self.endpoint, self.clock.now, policy)
        self.pump()

    def unreachable(self, path: Path) -> None:
        """An ICMP error quotes a datagram of ours on this path."""
        recovery.unreachable(self.endpoint, self.clock.now, path)
        self.pump()

    def used(self, handle: int) -> None:
        """The plane's counters say that this child carried something."""
        recovery.busy(self.endpoint, self.clock.now, handle)

    def arrive(self, path: Path, data: bytes) -> None:
        """A datagram as it is on the wire, on the socket of ``path.local_port``."""
        if not self.alive:
            return
        kind, content = classify(data, path.encapsulated)
        match kind:
            case Kind.IKE:
                self.endpoint.datagram(self.clock.now, path, content)
            case Kind.ESP:
                self.plane.receive(path, content)
            case Kind.KEEPALIVE:
                self.ports.keepalives += 1
            case Kind.JUNK:
                self.ports.junk += 1
        self.pump()

    def send_packet(self, handle: int, packet: bytes) -> None:
        """Sends one inner packet through a Child SA."""
        path, data = self.plane.seal(handle, packet)
        self._out(path, data)

    # Out.

    def pump(self) -> None:
        """Does what the endpoint asks, until it asks nothing more, and arms its timer."""
        for effect in self.endpoint.effects():
            self.trace.effect(self.clock.now, self.name, effect)
            self._perform(effect)
        deadline = self.endpoint.deadline()
        # A tick that is set already and comes no later will look again.
        if deadline is not None and (self._armed is None or deadline < self._armed):
            self._armed = deadline
            self.clock.at(deadline, self._tick)

    def _tick(self) -> None:
        # An earlier deadline may have been replaced since; a tick too many does nothing.
        if self._armed is not None and self._armed <= self.clock.now:
            self._armed = None
        if self.alive:
            self.endpoint.tick(self.clock.now)
            self.pump()

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Transmit(path, data):
                self.sent.append(data)
                self._out(path, (MARKER if path.encapsulated else b"") + data)
            case Keepalive(path):
                self._out(path, KEEPALIVE)
            case Ask(ticket, work):
                self._ask(ticket, work)
            case Emit(event):
                self.events.append(event)
            case LogKeys(record):
                self.keys.append(record)
            case Activate(handle):
                self.plane.activate(handle)
            case Move(handle, path, encap):
                self.plane.move(handle, path, encap)
            case Remove(handle):
                self.plane.remove(handle)
            case ReleaseSpi(spi):
                self.plane.release_spi(spi)
            case GiveBack(pool, identity):
                self.pools.give_back(pool, identity)

    def _out(self, path: Path, data: bytes) -> None:
        source = path.local or self.host.addresses[0]
        self.send(self, (source, path.local_port), (path.remote, path.remote_port), data)

    def _ask(self, ticket: int, work: Work) -> None:
        try:
            outcome: object = self._work(work)
        except FynxError as error:
            outcome = error
        if not self.host.work_s:
            self.endpoint.answer(self.clock.now, ticket, outcome)
            return
        self.clock.after(self.host.work_s, lambda: self._answer(ticket, outcome))

    def _answer(self, ticket: int, outcome: object) -> None:
        if self.alive:
            self.endpoint.answer(self.clock.now, ticket, outcome)
            self.pump()

    def _work(self, work: Work) -> object:
        host = self.host
        match work:
            case KexStart(method):
                return host.algorithms.key_exchanges[method].start(self.random.randbytes)
            case KexFinish(offer, peer):
                return offer.finish(peer)
            case KexAnswer(method, peer):
                return host.algorithms.key_exchanges[method].answer(peer, self.random.randbytes)
            case Sign(method, context):
                return host.auth_methods[method].sign(context)
            case Verify(method, context):
                host.auth_methods[method].verify(context)
            case Authorize(request):
                return host.authorize(request)
            case ReserveSpi():
                return self.plane.reserve_spi()
            case InstallChild(child):
                self.plane.install(child)
            case Lease(pool, identity, versions, wanted):
                return self.pools.lease(pool, identity, versions, wanted).addresses
        return None

    def _path_seen(self, seen: PathSeen) -> None:
        self.endpoint.path_seen(self.clock.now, seen.handle, seen.path)

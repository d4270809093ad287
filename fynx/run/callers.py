"""Brings peers up and keeps them up: one caller per configured peer, with back-off between attempts."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Protocol

from fynx.config.model import Peer
from fynx.errors import FynxError
from fynx.events import ChildDown, ChildRefused, ChildUp, Event, HandshakeFailed, IkeDown, IkeUp
from fynx.ike.effects import Command, Initiate, InitiateChild, Packet
from fynx.ike.policy import Network
from fynx.plugin.transport import Path
from fynx.run.failures import FAILED, HostError, HostTimeout, refused
from fynx.run.policy import ALONE, alone
from fynx.run.resolve import Resolver, Written, sort_out

log = logging.getLogger("fynx.run")

FIRST_WAIT_S, FACTOR, LONGEST_WAIT_S, SPREAD = 2.0, 2.0, 120.0, 0.2
AGAIN_S = 1.0
"""Before the first attempt after a tunnel that stood went down."""


class Hands(Protocol):
    """What a caller may do: the host gives it."""

    def command(self, command: Command) -> None: ...

    def path_to(self, peer: Peer, address: str) -> Path | None: ...

    def resolved(self, peer: str, addresses: tuple[Network, ...]) -> None: ...

    def children_up(self, peer: str) -> frozenset[str] | None:
        """Names of the Child SAs that stand; None when there is no established IKE SA."""
        ...

    def children_asked(self, peer: str) -> frozenset[str]:
        """Names of those that the peer is asked for already, or will be when their turn comes."""
        ...


@dataclass(slots=True)
class Waiter:
    """Someone waits until these children are up; the first failure is what he hears."""

    children: frozenset[str]
    done: asyncio.Future[None]
    left: set[str] = field(default_factory=set)
    """Those that were not up at the last look at all of them, and have not come up since."""


@dataclass(slots=True)
class Caller:
    """One peer. ``wanted`` are the children that shall stand; while there are any, an attempt follows a failure."""

    name: str
    peer: Peer
    hands: Hands
    resolver: Resolver
    wanted: set[str] = field(default_factory=set)
    """Names of children, or ``ALONE``."""
    trapped: set[str] = field(default_factory=set)
    """Children that a packet may bring up again, by ``on_dead`` or ``on_close``, whatever their ``start``."""
    cleared: set[str] = field(default_factory=set)
    """Those that no packet may bring up."""
    packets: dict[str, Packet] = field(default_factory=dict)
    """What asked for a child that is not up yet."""
    calling: bool = False
    attempts: int = 0
    _task: asyncio.Task[None] | None = None
    _waiters: list[Waiter] = field(default_factory=list)

    @property
    def written(self) -> Written:
        return sort_out(self.peer.remote.address)

    @property
    def state(self) -> str:
        """Of a peer without an SA: ``connecting``, ``waiting`` (for the next attempt) or ``down``."""
        if self.calling:
            return "connecting"
        return "waiting" if self._task is not None else "down"

    def want(self, children: Iterable[str]) -> None:
        """Starts an attempt now, whatever the back-off says."""
        self.wanted |= set(children)
        self.cleared -= self.wanted
        self.attempts = 0
        self._schedule(0.0)

    def acquired(self, child: str, packet: Packet) -> None:
        """Traffic asks for this child: an attempt, unless one is under way or the last one has just failed."""
        if child in (self.hands.children_up(self.name) or ()):  # what stands does not take this packet
            self.hands.command(InitiateChild(self.name, child, packet))
            return
        self.wanted.add(child)
        self.packets[child] = packet
        if self._task is None and not self.calling:
            self._schedule(0.0)

    def change(self, peer: Peer) -> None:
        """Another configuration of this peer: children that it no longer has are no longer wanted."""
        self.peer = peer
        for each in (self.wanted, self.trapped, self.cleared):
            each.intersection_update({ALONE} if alone(peer) else peer.children)
        self.packets = {child: packet for child, packet in self.packets.items() if child in peer.children}

    def forget(self) -> None:
        """No further attempts; those who wait hear so."""
        for each in (self.wanted, self.trapped, self.packets):
            each.clear()
        self._cancel()
        self.calling = False
        self._fail(HostError(f"{self.name}: taken down"))

    async def wait_up(self, children: Iterable[str], timeout_s: float) -> None:
        """Raises HostError with the reason of the first failure, or exit code 6 when the time is over."""
        waiter = Waiter(frozenset(children), asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        self._satisfy()
        try:
            async with asyncio.timeout(timeout_s):
                await waiter.done
        except TimeoutError:
            raise HostTimeout(f"{self.name}: not up after {timeout_s:g} s", "fynx status") from None
        finally:
            self._waiters.remove(waiter)

    def happened(self, event: Event) -> None:
        """Every event of this peer."""
        match event:
            case IkeUp():
                self.calling = False
                self.attempts = 0
                self._satisfy(ALONE)
            case ChildUp():
                self.packets.pop(event.child, None)
                self._satisfy(event.child)
            case HandshakeFailed():
                self.calling = False
                self._fail(refused(event))
                self._again()
            case ChildRefused():
                self._fail(refused(event))
                self._again()
            case ChildDown():
                self._lost(event.child, event.cause)
                self._again(AGAIN_S)
            case IkeDown():
                self._lost(ALONE, event.cause)
                self._again(AGAIN_S)

    def _lost(self, child: str, cause: str) -> None:
        """What the peer's ``on_dead`` and ``on_close`` say about a child that went; one that was idle waits."""
        action = {"dead": self.peer.on_dead, "peer": self.peer.on_close, "idle": "trap"}.get(cause)
        if (child not in self.peer.children and child not in self.wanted) or action is None:
            return
        if action == "restart":
            self.wanted.add(child)
            return
        self.wanted.discard(child)
        (self.trapped if action == "trap" else self.cleared).add(child)

    def _again(self, wait_s: float | None = None) -> None:
        if not self._missing() or self._task is not None:
            return
        if wait_s is None:
            wait_s = min(FIRST_WAIT_S * FACTOR**self.attempts, LONGEST_WAIT_S)
            self.attempts += 1
        self._schedule(wait_s * random.uniform(1 - SPREAD, 1 + SPREAD))  # noqa: S311  spreads attempts, hides nothing

    def _missing(self) -> frozenset[str]:
        return frozenset(self.wanted) - _standing(self.hands.children_up(self.name))

    def _schedule(self, wait_s: float) -> None:
        self._cancel()
        self._task = asyncio.get_running_loop().create_task(self._attempt(wait_s), name=f"call {self.name}")

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _attempt(self, wait_s: float) -> None:
        try:
            await asyncio.sleep(wait_s)
            missing = self._missing()
            if missing and self.hands.children_up(self.name) is not None:
                self._task = None
                for child in sorted(missing - self.hands.children_asked(self.name)):
                    self.hands.command(InitiateChild(self.name, child, self.packets.get(child)))
            elif missing:
                await self._call(tuple(child for child in self.peer.children if child in missing))
        except FynxError as error:
            log.warning("%s: %s", self.name, str(error).removeprefix(f"{self.name}: "))
            self._task = None
            self._fail(error)
            self._again()
        finally:
            if asyncio.current_task() is self._task:
                self._task = None

    async def _call(self, children: tuple[str, ...]) -> None:
        written = self.written
        addresses = await self.resolver.addresses(written)
        if not addresses:
            names = ", ".join(written.names)
            why = f"{names} does not resolve" if names else "has no address to call (address: any, or a network)"
            raise HostError(f"{self.name}: {why}", FAILED, f"getent ahosts {written.names[0]}" if names else "")
        if written.names and not written.anyone:
            networks = tuple(ip_network(text) for text in (*addresses, *written.networks))
            self.hands.resolved(self.name, networks)
        path = self._reachable(addresses)
        self._task = None
        self.calling = True
        packets = {child: packet for child, packet in self.packets.items() if child in children}
        self.hands.command(Initiate(self.name, path, children, packets))

    def _reachable(self, addresses: tuple[str, ...]) -> Path:
        """The next address in turn to which there is a route."""
        for offset in range(len(addresses)):
            path = self.hands.path_to(self.peer, addresses[(self.attempts + offset) % len(addresses)])
            if path is not None:
                return path
        raise HostError(f"{self.name}: no route to {', '.join(addresses)}", FAILED, f"ip route get {addresses[0]}")

    def _satisfy(self, child: str = "") -> None:
        """Looks at all children of the peer only when the last one that somebody waits for has come up."""
        for waiter in self._waiters:
            waiter.left.discard(child)
            standing = None if waiter.left or waiter.done.done() else self.hands.children_up(self.name)
            if standing is None:
                continue
            waiter.left = set(waiter.children - _standing(standing))
            if not waiter.left:
                waiter.done.set_result(None)

    def _fail(self, error: FynxError) -> None:
        for waiter in self._waiters:
            if not waiter.done.done():
                waiter.done.set_exception(error)


def _standing(children: frozenset[str] | None) -> frozenset[str]:
    return frozenset() if children is None else children | {ALONE}

"""A base for data planes that stand on the C engine, and what a plane offers whose packets a program hands over."""

from __future__ import annotations

import array
import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from fynx.plugin.dataplane import ChildSpec, PlaneContext, Policy, Sealed, Selector, Upcall, Usage, WorkerEnded
from fynx.plugin.engine import Engine
from fynx.plugin.transport import Datagram, Path, PortSocket

log = logging.getLogger("fynx.plane")


@runtime_checkable
class OuterPlane(Protocol):
    """Takes ESP from a transport that is no socket."""

    def receive_outer(self, path: Path, packets: Sequence[bytes]) -> None:
        """ESP packets (marker and UDP removed) that the transport delivered."""
        ...


@runtime_checkable
class PacketPlane(OuterPlane, Protocol):
    """Inner packets are handed over by the program, and outer ones may come from a transport that is no socket."""

    def send_inner(self, packets: Sequence[bytes]) -> None:
        """Seals and sends a batch of IP packets; what no policy protects is dropped and counted."""
        ...

    def recv_inner(self, limit: int = 256) -> Sequence[bytes]:
        """IP packets that were opened, oldest first; empty when there are none."""
        ...

    def on_inner(self, callback: Callable[[], None] | None) -> None:
        """``callback`` runs on the loop's thread when ``recv_inner`` has something."""
        ...


@runtime_checkable
class FlatPlane(PacketPlane, Protocol):
    """Batches as octets that no Python looks at: for a TCP/IP stack in C above the plane."""

    def send_flat(self, data: bytearray, lengths: array.array[int], count: int) -> None:
        """``count`` packets that lie end to end in ``data``; ``lengths`` (unsigned int) has their sizes."""
        ...

    def recv_flat(self, room: bytearray, limit: int = 256) -> int:
        """Fills ``room``: for each packet 4 octets of length in host order, then the packet padded to 4; the octets
        used."""
        ...


@runtime_checkable
class DummyPlane(Protocol):
    """Can send packets that say nothing (RFC 4303 section 2.6)."""

    def dummies(self, handle: int, count: int, size: int) -> None:
        """Sends ``count`` packets of ``size`` octets, which the peer drops unseen. Raises ``StateError``."""
        ...


@runtime_checkable
class RoutedPlane(Protocol):
    """A plane that changes the routes of the machine: our own datagrams must stay out of them."""

    @property
    def mark(self) -> int:
        """The firewall mark (SO_MARK) of sockets whose traffic goes round the tunnels."""
        ...

    def expect_peers(self, addresses: Sequence[str]) -> None:
        """Outer addresses of peers: a route to each stays outside even when a tunnel takes everything."""
        ...


@runtime_checkable
class WorkerPlane(Protocol):
    """A plane with threads of its own."""

    @property
    def workers(self) -> int:
        """How many senders there are; each may have a Child SA of its own (RFC 9611)."""
        ...

    def restart_worker(self, number: int) -> None:
        """As ``Engine.restart_worker``."""
        ...


class EnginePlane:
    """Carries the calls of ``Plane`` to an Engine and its upcalls to the host; subclasses add devices and routes."""

    def __init__(self, context: PlaneContext, engine: Engine) -> None:
        self.context, self.engine = context, engine
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(engine.event_fd, self._upcalls_ready)
        self._closed = False

    def take_sockets(self) -> None:
        """Gives the engine every socket of the transport on which ESP may arrive: in UDP (RFC 3948), or by itself."""
        for each in self.context.port.sockets():
            if each.raw or each.encapsulated:
                self.take(each)

    def take(self, each: PortSocket) -> None:
        if each.raw:
            self.engine.add_raw(each.fd, each.family)
        else:
            self.engine.add_socket(each.fd, each.family, each.local_port)
        each.taken = True

    def receive_outer(self, path: Path, packets: Sequence[bytes]) -> None:
        self.engine.receive_outer(path, packets)

    @property
    def workers(self) -> int:
        return 0

    def restart_worker(self, number: int) -> None:
        self.engine.restart_worker(number)

    def reserve_spi(self) -> int:
        return self.engine.reserve_spi()

    def release_spi(self, spi: int) -> None:
        self.engine.release_spi(spi)

    def install(self, child: ChildSpec) -> None:
        self.engine.install(child)

    def activate(self, handle: int) -> None:
        self.engine.activate(handle)

    def move(self, handle: int, path: Path, encap: bool) -> None:
        self.engine.move(handle, path, encap)

    def remove(self, handle: int) -> None:
        self.engine.remove(handle)

    def usage(self, handle: int) -> Usage:
        return self.engine.usage(handle)

    def dummies(self, handle: int, count: int, size: int) -> None:
        self.send_out(self.engine.dummies(handle, count, size))

    def send_out(self, sealed: Sequence[tuple[Path, bytes]]) -> None:
        """What no socket of the engine's takes goes out through the transport."""
        if sealed:
            self.context.port.send([Datagram(path, data) for path, data in sealed])

    def policies(self, policies: Sequence[Policy]) -> None:
        self.engine.policies(policies)

    def keep_closed(self, peer: str, child: str, remote: Sequence[Selector], *, closed: bool) -> None:
        """Nothing to do by itself: packets reach this plane only through the program, and never leave in clear."""

    def status(self) -> Mapping[str, object]:
        return self.engine.status()

    def close(self, *, leave_open: bool = False) -> None:  # noqa: ARG002  for subclasses with routes
        if self._closed:
            return
        self._closed = True
        if not self._loop.is_closed():
            self._loop.remove_reader(self.engine.event_fd)
        self.engine.stop()

    def _upcalls_ready(self) -> None:
        try:
            batch = self.engine.drain()
            sealed = [Datagram(each.path, each.data) for each in batch if isinstance(each, Sealed)]
            if sealed:
                self.context.port.send(sealed)
            for each in batch:
                if isinstance(each, WorkerEnded):
                    log.warning("worker %d (%s) ended by itself and begins anew", each.worker, each.direction)
            rest: list[Upcall] = [each for each in batch if not isinstance(each, Sealed | WorkerEnded)]
            if rest:
                self.context.upcalls(rest)
        except Exception:
            # On the loop's thread nothing may pass: a wrong upcall costs itself, never the tunnels.
            log.exception("an upcall of the data plane failed")


__all__ = ["DummyPlane", "EnginePlane", "FlatPlane", "OuterPlane", "PacketPlane", "RoutedPlane", "WorkerPlane"]

"""A whole host: configuration and registry in, sockets, plane, protocol core and control channel until stopped."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path as File

from fynx.config.model import PROVIDERS, Config, Peer
from fynx.errors import FynxError, StateError
from fynx.esp.engine import make_engine
from fynx.events import Event
from fynx.ike.effects import Command, Rekey, Terminate, TerminateChild
from fynx.ike.endpoint import Endpoint
from fynx.ike.policy import Network
from fynx.ike.sa import IkeSa
from fynx.ike.tasks import CORE
from fynx.kernel.registry import Registry
from fynx.plugin.dataplane import Acquire, ChildSpec, Plane, PlaneContext
from fynx.plugin.keylog import KeyRecord
from fynx.plugin.planes import RoutedPlane
from fynx.plugin.transport import Path, Port
from fynx.run.callers import Caller
from fynx.run.control import ControlServer
from fynx.run.driver import Driver
from fynx.run.failures import HostError, from_os
from fynx.run.files import RunFiles
from fynx.run.guards import Guards
from fynx.run.notes import adopted, names
from fynx.run.policy import host_policy, start_of
from fynx.run.resolve import Resolver, sort_out, source_among
from fynx.run.services import serve
from fynx.run.status import status
from fynx.run.words import describe
from fynx.run.work import Worker

log = logging.getLogger("fynx.run")
told = logging.getLogger("fynx.events")

GOODBYE_S = 2.0
"""How long a graceful stop waits for the peers to confirm (bad-inputs L15: all over in less than 3 s)."""
FIRST_LOOK_S = 3.0
"""How long the start waits for name servers: until then nothing is guarded."""
UP_S = 60.0
DOWN_S = 5.0
QUEUE = 1000
IKE_PORT, NAT_PORT = 500, 4500


class Host:
    """One host in one event loop; several may live in one process. ``directory`` None: no files, no control socket."""

    def __init__(self, config: Config, registry: Registry, *, directory: File | None = None) -> None:
        self.config, self.registry = config, registry
        self.port: Port | None = None
        self.plane: Plane | None = None
        self._files = RunFiles(config.name, directory) if directory is not None else None
        self._note: dict[str, object] = {}
        self._resolver = Resolver()
        self._driver: Driver | None = None
        self._guards: Guards | None = None
        self._control: ControlServer | None = None
        self._services: list[asyncio.Task[None]] = []
        self._subscribers: list[Callable[[Event], None]] = []
        self._outside: dict[str, tuple[str, ...]] = {}
        self._callers = {name: Caller(name, peer, self, self._resolver) for name, peer in config.peers.items()}
        self._stopping = False
        self._hurried = asyncio.Event()

    # Life.

    async def start(self) -> None:
        """Everything or nothing. Raises HostError (with an exit code) or FynxError."""
        if self._files is not None:
            self._files.acquire()
            self._note = self._files.read_state()
            self._resolver.known.update(names(self._note))
        try:
            await self._open()
        except BaseException:
            await self._close(leave_open=False)
            raise
        for name in self.config.peers:
            wanted = self._at_start(name)
            if wanted:
                self._callers[name].want(wanted)

    async def stop(self, *, graceful: bool = True, leave_open: bool = False) -> None:
        """Says goodbye to every peer (2 s at most), then closes all. Idempotent."""
        if self._stopping:
            return
        self._stopping = True
        for caller in self._callers.values():
            caller.forget()
        if graceful and self._driver is not None and self._guards is not None:
            self._guards.closing.update((peer, "") for peer in self.config.peers)
            self._driver.command(Terminate())
            goodbye = asyncio.ensure_future(self._gone(lambda: not self.driver.endpoint.sas, GOODBYE_S))
            hurried = asyncio.ensure_future(self._hurried.wait())
            await asyncio.wait({goodbye, hurried}, return_when=asyncio.FIRST_COMPLETED)
            for task in (goodbye, hurried):
                task.cancel()
        await self._close(leave_open=leave_open)

    def hurry(self) -> None:
        """Ends the wait of a graceful stop that is under way."""
        self._hurried.set()

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        resolved = await self._resolve_all()
        policy = host_policy(self.config, self.registry, resolve=resolved)
        endpoint = Endpoint(policy, self.registry.algorithms, (CORE, *self.registry.extensions), os.urandom)
        driver = self._driver = Driver(endpoint, self, loop)
        port = self.port = await self._open_port(driver)
        plane = self.plane = await self._open_plane(driver, port)
        driver.open(port, plane, Worker(self.registry, plane, loop))
        self._guards = Guards(self.config, policy, plane, self._alive)
        for name, peer in self.config.peers.items():
            written = sort_out(peer.remote.address)
            found = (address for each in written.names for address in resolved.get(each, ()))
            self._outside[name] = (*written.literals, *found)
        self._expect()
        self._guards.begin(adopted(self._note))
        port.attach()
        if self._files is not None:
            self._control = ControlServer(self._files.socket, self)
            await self._control.open()
        self._services = [loop.create_task(serve(service, self)) for service in self.registry.services]

    async def _close(self, *, leave_open: bool) -> None:
        for task in self._services:
            task.cancel()
        await asyncio.gather(*self._services, return_exceptions=True)
        if self._control is not None:
            await self._control.close()
        if self.plane is not None:
            self.plane.close(leave_open=leave_open)
        if self._driver is not None:
            self._driver.close()
        if self.port is not None:
            self.port.close()
        if self._files is not None:
            if not adopted(self._note):
                self._files.write_state({})
            self._files.release()
        self._control = None

    async def _open_port(self, driver: Driver) -> Port:
        chosen = self.config.host.transport
        self.registry.require("transport", chosen.name)
        try:
            return await self.registry.transports[chosen.name].open(chosen.section, driver.datagram)
        except OSError as error:
            raise from_os(error, f"transport {chosen.name}") from error

    async def _open_plane(self, driver: Driver, port: Port) -> Plane:
        chosen = self.config.host.plane
        self.registry.require("plane", chosen.name)
        restored = self._note.get("plane")
        context = PlaneContext(
            host=self.config.name,
            section=chosen.section,
            port=port,
            providers=self.registry.ordered(self.config.providers),
            upcalls=driver.upcalls,
            engine=partial(
                make_engine, algorithms=self.registry.algorithms, measure=self.config.providers == PROVIDERS
            ),
            restored=restored if isinstance(restored, dict) else {},
            save=self._save_plane,
        )
        try:
            return await self.registry.dataplanes[chosen.name].open(context)
        except OSError as error:
            raise from_os(error, f"plane {chosen.name}") from error

    # What people and services ask.

    @property
    def driver(self) -> Driver:
        if self._driver is None:
            raise HostError("the host is not running")
        return self._driver

    def status(self) -> dict[str, object]:
        """Schema ``fynx.status/1``."""
        driver, plane = self.driver, self.plane
        if plane is None:
            raise HostError("the host is not running")
        waiting = {name: caller.state for name, caller in self._callers.items()}
        snapshots = driver.endpoint.snapshot()
        return status(self.config, snapshots, plane, now=driver.now, waiting=waiting, counters=self.counters())

    def counters(self) -> Mapping[str, int]:
        lost = getattr(self.port, "lost", 0)
        own = {**self.driver.counters, "datagrams_lost": lost}
        return {**own, **self.driver.endpoint.counters(), **self.registry.notify.counters()}

    async def up(self, peer: str, child: str = "", *, timeout_s: float = UP_S) -> None:
        """Returns when the children stand (all that start by themselves, or the one named). Raises HostError."""
        caller = self._caller(peer)
        children = self._children(peer, child)
        if self._guards is not None:
            self._guards.close_again(peer)
        caller.want(children)
        try:
            await caller.wait_up(children, timeout_s)
        except FynxError:
            if not self._at_start(peer):
                caller.forget()
            raise

    def rekey(self, peer: str, child: str = "") -> None:
        """Replaces the peer's IKE SA, or one child, now. Raises StateError when it is not up."""
        self._caller(peer)
        self.driver.command(Rekey(peer, child))

    async def down(self, peer: str, child: str = "", *, leave_open: bool = False, timeout_s: float = DOWN_S) -> bool:
        """Deletes the peer's SAs, or one child. True when nothing of it is kept closed: the peer confirmed."""
        caller, driver, guards = self._caller(peer), self.driver, self._guards
        if child:
            self._children(peer, child)
        if guards is not None:
            guards.closing.add((peer, child))
        if child:
            caller.wanted.discard(child)
            driver.command(TerminateChild(peer, child))
            await self._gone(lambda: not driver.installed(peer, child), timeout_s)
        else:
            caller.forget()
            driver.command(Terminate(peer))
            await self._gone(lambda: not self._sas(peer), timeout_s)
        if leave_open and guards is not None:
            guards.open(peer, child)
        return guards is not None and guards.is_open(peer, child)

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Calls back for every event, on the loop's thread; returns what ends it."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback) if callback in self._subscribers else None

    async def events(self) -> AsyncIterator[Event]:
        """Every event from now on. A reader that falls 1000 behind loses the oldest."""
        queue: asyncio.Queue[Event] = asyncio.Queue(QUEUE)

        def put(event: Event) -> None:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(event)

        end = self.subscribe(put)
        try:
            while True:
                yield await queue.get()
        finally:
            end()

    # What the driver tells (driver.Listener).

    def happened(self, event: Event) -> None:
        if told.isEnabledFor(logging.INFO) and (line := describe(event)):
            told.info("%s", line, extra={"event": event})
        self.registry.notify.event(event)
        for callback in tuple(self._subscribers):
            try:
                callback(event)
            except Exception:
                log.exception("a subscriber to events failed")
        caller = self._callers.get(event.peer)
        if caller is not None and not self._stopping:
            caller.happened(event)

    def keys(self, record: KeyRecord) -> None:
        self.registry.notify.keylog(record, self.config.host.keylog or "")

    def acquire(self, wanted: Acquire) -> None:
        ours = (*self._starting(wanted.peer, "trap"), *self._at_start(wanted.peer))
        if wanted.child in ours and not self._stopping:
            self._callers[wanted.peer].acquired(wanted.child)

    def installed(self, child: ChildSpec) -> None:
        if self._guards is not None:
            self._guards.installed(child)

    def removed(self, child: ChildSpec, *, confirmed: bool) -> None:
        if self._guards is not None:
            self._guards.removed(child, confirmed=confirmed)

    # What callers may do (callers.Hands).

    def command(self, command: Command) -> None:
        self.driver.command(command)

    def resolved(self, peer: str, addresses: tuple[Network, ...]) -> None:
        self.driver.endpoint.resolved(peer, addresses)
        whole = (each for each in addresses if each.prefixlen == each.max_prefixlen)
        self._outside[peer] = tuple(str(each.network_address) for each in whole)
        self._expect()
        self._save()

    def path_to(self, peer: Peer, address: str) -> Path | None:
        """The path of a first message, or None when the system has no route there."""
        if self.port is None:
            return None
        ports = [path.local_port for path in self.port.local]
        plain = IKE_PORT in ports and peer.remote.port in (None, IKE_PORT)
        local_port = IKE_PORT if plain else ports[-1]
        remote_port = IKE_PORT if plain else (peer.remote.port or NAT_PORT)
        if peer.remote.port == IKE_PORT and not plain:
            remote_port = NAT_PORT
        mark = self.plane.mark if isinstance(self.plane, RoutedPlane) else 0
        local = peer.local.address or source_among(self.port.local, address, remote_port, mark)
        fits = local and (":" in local) == (":" in address)
        return Path(local, local_port, address, remote_port) if fits else None

    def children_up(self, peer: str) -> frozenset[str] | None:
        sas = [sa for sa in self._sas(peer) if sa.established]
        if not sas:
            return None
        return frozenset(child.name for sa in sas for child in sa.children.values() if child.alive)

    # Inside.

    def _expect(self) -> None:
        """Tells the plane which addresses must stay outside of every tunnel."""
        if isinstance(self.plane, RoutedPlane):
            self.plane.expect_peers([address for found in self._outside.values() for address in found])

    def _alive(self, peer: str, handle: int) -> bool:
        return any(handle in sa.children for sa in self._sas(peer))

    def _sas(self, peer: str) -> list[IkeSa]:
        return self.driver.endpoint.by_peer.get(peer, [])

    def _caller(self, peer: str) -> Caller:
        if peer not in self._callers:
            known = ", ".join(self._callers) or "none"
            raise StateError(f"no peer is called {peer!r}; configured: {known}")
        return self._callers[peer]

    def _children(self, peer: str, child: str) -> tuple[str, ...]:
        configured = tuple(self.config.peers[peer].children)
        if child and child not in configured:
            raise StateError(f"peer {peer!r} has no child {child!r}; configured: {', '.join(configured) or 'none'}")
        return (child,) if child else self._starting(peer, "initiate") or configured

    def _starting(self, name: str, way: str) -> tuple[str, ...]:
        """The children of a peer that start in this way, in the file's order."""
        peer = self.config.peers.get(name)
        if peer is None:
            return ()
        return tuple(key for key, child in peer.children.items() if (child.start or start_of(peer)) == way)

    def _at_start(self, name: str) -> tuple[str, ...]:
        """The children that come up with the host: those that initiate, of a peer that is itself to be called."""
        peer = self.config.peers.get(name)
        called = peer is not None and start_of(peer) == "initiate" and sort_out(peer.remote.address).callable
        return self._starting(name, "initiate") if called else ()

    async def _gone(self, over: Callable[[], bool], wait_s: float) -> bool:
        """Waits until ``over``; every event may be the one that makes it so. False when the time ends first."""
        changed = asyncio.Event()
        end = self.subscribe(lambda _event: changed.set())
        try:
            async with asyncio.timeout(wait_s):
                while not over():
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            return over()
        finally:
            end()
        return True

    async def _resolve_all(self) -> dict[str, tuple[str, ...]]:
        """Every name of the configuration, asked at the same time; one that does not resolve is asked again later."""
        written = [sort_out(peer.remote.address) for peer in self.config.peers.values()]
        wanted = list(dict.fromkeys(name for each in written for name in each.names))
        quick = Resolver(self._resolver.known, FIRST_LOOK_S)
        answers = await asyncio.gather(*(quick.addresses(sort_out([name])) for name in wanted))
        return dict(zip(wanted, answers, strict=True))

    def _save_plane(self, state: Mapping[str, object]) -> None:
        self._note["plane"] = dict(state)
        self._save()

    def _save(self) -> None:
        self._note["resolved"] = {name: list(found) for name, found in self._resolver.known.items()}
        if self._files is not None:
            self._files.write_state(self._note)

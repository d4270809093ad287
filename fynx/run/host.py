"""A whole host: configuration and registry in, sockets, plane, protocol core and control channel until stopped."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path as File
from typing import Any

from fynx.config.model import PROVIDERS, Config, Peer
from fynx.errors import FynxError, StateError
from fynx.esp.engine import make_engine
from fynx.events import Event
from fynx.ike.effects import Command, Rekey, Terminate, TerminateChild
from fynx.ike.endpoint import Endpoint
from fynx.ike.listed import Listed
from fynx.ike.policy import Network
from fynx.ike.tasks import CORE
from fynx.kernel.registry import Registry
from fynx.metrics import Metrics
from fynx.plugin.dataplane import Acquire, Plane, PlaneContext
from fynx.plugin.keylog import KeyRecord
from fynx.plugin.planes import RoutedPlane, WorkerPlane
from fynx.plugin.transport import Path, Port
from fynx.run import journal
from fynx.run.audience import Audience
from fynx.run.callers import Caller
from fynx.run.control import ControlServer
from fynx.run.driver import Driver
from fynx.run.dummies import named, send_dummies
from fynx.run.failures import HostError, from_os
from fynx.run.farewell import either
from fynx.run.files import RunFiles
from fynx.run.gate import Gate
from fynx.run.guards import Guards
from fynx.run.leases import Leases, store_of
from fynx.run.nameservers import keep_name_servers
from fynx.run.notes import adopted, names
from fynx.run.plan import as_json
from fynx.run.policy import at_start, host_policy, starting, when_asked
from fynx.run.ports import FencedPort, open_port
from fynx.run.reload import Prepared, alike, follow, outside, prepare
from fynx.run.resolve import Resolver, path_among, resolve_all
from fynx.run.services import serve
from fynx.run.standing import Standing
from fynx.run.status import status
from fynx.run.token_secret import crash_secret, forget, only_if_up
from fynx.run.watched import Watched, refuse_closed
from fynx.run.work import Worker

log = logging.getLogger("fynx.run")

GOODBYE_S = 2.0
"""How long a graceful stop waits for the peers to confirm (bad-inputs L15: all over in less than 3 s)."""
UP_S, DOWN_S = 60.0, 5.0


class Host:
    """One host in one event loop; several may live in one process. ``directory`` None: no files, no control socket."""

    def __init__(
        self, config: Config, registry: Registry, *, directory: File | None = None, metrics: Metrics | None = None
    ) -> None:
        self.config, self.registry = config, registry
        self.port: FencedPort | None = None
        self.plane: Plane | None = None
        self._files = RunFiles(config.name, directory, config.variables) if directory is not None else None
        self._note: dict[str, object] = {}
        self._resolver = Resolver()
        self._driver: Driver | None = None
        self._guards: Guards | None = None
        self._leases: Leases | None = None
        self._control: ControlServer | None = None
        self._services: list[asyncio.Task[None]] = []
        self._audience, self._gate = Audience(), Gate()
        self.metrics = metrics or Metrics(self._plane_counters)
        self._outside: dict[str, tuple[str, ...]] = {}
        self._callers = {name: Caller(name, peer, self, self._resolver) for name, peer in config.peers.items()}
        self._stopping, self._watched = False, Watched(registry)
        self._hurried, self._reloading = asyncio.Event(), asyncio.Lock()

    # Life.

    async def start(self) -> None:
        """Everything or nothing. Raises HostError (with an exit code) or FynxError."""
        if self._files is not None:
            self._files.acquire()
            self._note = self._files.read_state()
            self._resolver.known.update(names(self._note))
        try:
            with only_if_up(self._files):
                await self._open()
        except BaseException:
            await self._close(leave_open=False)
            raise
        for name in self.config.peers:
            wanted = at_start(self.config, name)
            if wanted:
                self._callers[name].want(wanted)

    async def stop(self, *, graceful: bool = True, leave_open: bool = False) -> None:
        """Says goodbye to every peer (2 s at most), then closes all. Idempotent."""
        if self._stopping:
            return
        self._stopping = True
        for caller in self._callers.values():
            caller.forget()
        try:
            if graceful and self._driver is not None and self._guards is not None:
                driver = self._driver
                self._guards.closing.update((peer, "") for peer in self.config.peers)
                driver.command(Terminate())
                await either(self._gone(lambda: not driver.endpoint.sas, GOODBYE_S), self._hurried)
            if self._driver is not None and not self._driver.endpoint.sas:
                forget(self._files)
        finally:
            await self._close(leave_open=leave_open)

    def hurry(self) -> None:
        """Ends the wait of a graceful stop that is under way."""
        self._hurried.set()

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        resolved = await resolve_all(self._resolver, self.config)
        secret = crash_secret(self.config, self.registry, self._files)
        policy = host_policy(self.config, self.registry, resolve=resolved, crash_secret=secret)
        endpoint = Endpoint(policy, self.registry.algorithms, (CORE, *self._watched.extensions()), os.urandom)
        driver = self._driver = Driver(endpoint, self, loop)
        port = self.port = await open_port(self.config, self._watched, driver.datagram)
        plane = self.plane = await self._open_plane(driver, port)
        leases = self._leases = Leases(policy.pools, store_of(self.config, self.registry), loop)
        driver.open(port, plane, Worker(self.registry, plane, loop, leases=leases))
        self._guards = Guards(self.config, policy, plane, self._alive)
        self._outside = outside(policy)
        self._expect()
        self._guards.begin(adopted(self._note))
        port.attach()
        self._watched.start()
        if self._files is not None:
            self._control = ControlServer(self._files.socket, self)
            await self._control.open()
        self._services = [loop.create_task(serve(service, self, self._watched)) for service in self.registry.services]
        self._services.append(loop.create_task(keep_name_servers(self, self.config.host.resolv_conf)))

    async def _close(self, *, leave_open: bool) -> None:
        for task in self._services:
            task.cancel()
        await asyncio.gather(*self._services, return_exceptions=True)
        self._watched.watch.stop()
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
            save=lambda state: self._save(plane=dict(state)),
        )
        try:
            return await self.registry.dataplanes[chosen.name].open(context)
        except OSError as error:
            busy = f"stop the program that has it, or choose another in host.plane.{chosen.name}"
            raise from_os(error, f"plane {chosen.name}", busy=busy, variables=self.config.variables) from error

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
        pools = self._leases.status() if self._leases is not None else {}
        told = self.counters()
        found = status(self.config, snapshots, plane, now=driver.now, waiting=waiting, counters=told, pools=pools)
        return {**found, **self._watched.status(self.config)}

    def counters(self) -> Mapping[str, int]:
        own = {**self.driver.counters, **(self.port.counters() if self.port is not None else {})}
        return {**own, **self.driver.endpoint.counters(), **self._watched.counters()}

    async def up(self, peer: str, child: str = "", *, timeout_s: float = UP_S) -> None:
        """Returns when the children stand (all that start by themselves, or the one named). Raises HostError."""
        caller = self._caller(peer)
        children = self._children(peer, child)
        refuse_closed(self.config, peer)
        if self._guards is not None:
            self._guards.close_again(peer)
        caller.want(children)
        try:
            await caller.wait_up(children, timeout_s)
        except FynxError:
            if not at_start(self.config, peer):
                caller.forget()
            raise

    def rekey(self, peer: str, child: str = "") -> None:
        """Replaces the peer's IKE SA, or one child, now. Raises StateError when it is not up."""
        self._caller(peer)
        self.driver.command(Rekey(peer, child))

    def restart_worker(self, number: int) -> None:
        """Raises StateError for a number that no worker of the plane has."""
        if not isinstance(self.plane, WorkerPlane):
            raise HostError("this data plane has no workers")
        self.plane.restart_worker(number)

    def dummies(self, peer: str, child: str = "", *, count: int = 1, size: int = 64) -> int:
        return send_dummies(self.plane, named(self.driver.children, peer, child), count, size)

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

    async def reload(self, file: str = "", *, dry: bool = False) -> dict[str, Any]:
        """What another configuration changes (schema ``fynx.plan/1``); unless ``dry`` it holds from now on.

        Raises ConfigError, and changes nothing then.
        """
        async with self._reloading:
            before = self.driver.endpoint.policy
            prepared = await prepare(self.config, before, self.registry, self._resolver, file)
            up = {name: self.children_up(name) for name in self.config.peers}
            if not dry and not self._stopping:
                self._adopt(prepared)
            return as_json(prepared.plan, self.config.name, up)

    def _adopt(self, prepared: Prepared) -> None:
        """First what must not leave in clear, then those who call, then the SAs."""
        before, self.config = self.config, prepared.config
        if self._guards is not None:
            self._guards.change(self.config, prepared.policy)
        same = {name: self._outside.get(name, ()) for name in alike(before, self.config)}
        self._outside = outside(prepared.policy, same)
        self._expect()
        follow(self._callers, before, self.config, self, self._resolver)
        self.driver.reconfigure(prepared.policy)

    def give_up(self, peer: str) -> None:
        self._caller(peer).forget()  # no further attempts of our own; what stands stays

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Calls back for every event, on the loop's thread; returns what ends it."""
        return self._audience.subscribe(callback)

    def events(self) -> AsyncIterator[Event]:
        """Every event from now on. A reader that falls 1000 behind loses the oldest."""
        return self._audience.events()

    def _plane_counters(self) -> Mapping[str, int]:
        found = self.plane.status().get("counters", {}) if self.plane is not None else {}
        return found if isinstance(found, Mapping) else {}

    # What the driver tells (driver.Listener).

    def happened(self, event: Event) -> None:
        journal.tell(event, self._gate)
        self.metrics.happened(event)
        self.registry.notify.event(event)
        self._audience.tell(event)
        caller = self._callers.get(event.peer)
        if caller is not None and not self._stopping:
            caller.happened(event)

    def keys(self, record: KeyRecord) -> None:
        self.registry.notify.keylog(record, self.config.host.keylog or "")

    def acquire(self, wanted: Acquire) -> None:
        caller = self._callers.get(wanted.peer)
        if caller is None or self._stopping or wanted.child in caller.cleared:
            return
        ours = (*starting(self.config, wanted.peer, "trap"), *at_start(self.config, wanted.peer), *caller.trapped)
        if wanted.child in ours:
            caller.acquired(wanted.child, (wanted.local, wanted.remote))

    def installed(self, child: Standing) -> None:
        if self._guards is not None:
            self._guards.installed(child)

    def removed(self, child: Standing, *, confirmed: bool) -> None:
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
        mark = self.plane.mark if isinstance(self.plane, RoutedPlane) else 0
        return path_among(self.port.local, peer, address, mark) if self.port is not None else None

    def children_up(self, peer: str) -> frozenset[str] | None:
        sas = [sa for sa in self._sas(peer) if sa.established]
        names = (child.name for sa in sas for child in sa.children.values() if child.alive)
        return frozenset(names) if sas else None

    def children_asked(self, peer: str) -> frozenset[str]:
        return frozenset(name for sa in self._sas(peer) for name in sa.asked() if isinstance(name, str))

    # Inside.

    def _expect(self) -> None:
        """Tells the plane which addresses must stay outside of every tunnel."""
        if isinstance(self.plane, RoutedPlane):
            self.plane.expect_peers([address for found in self._outside.values() for address in found])

    def _alive(self, peer: str, handle: int) -> bool:
        return any(handle in sa.children for sa in self._sas(peer))

    def _sas(self, peer: str) -> Listed | tuple[()]:
        return self.driver.endpoint.by_peer.get(peer, ())

    def _caller(self, peer: str) -> Caller:
        if peer not in self._callers:
            known = ", ".join(self._callers) or "none"
            raise StateError(f"no peer is called {peer!r}; configured: {known}")
        return self._callers[peer]

    def _children(self, peer: str, child: str) -> tuple[str, ...]:
        configured = tuple(self.config.peers[peer].children)
        if child and child not in configured:
            raise StateError(f"peer {peer!r} has no child {child!r}; configured: {', '.join(configured) or 'none'}")
        return (child,) if child else when_asked(self.config, peer)

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

    def _save(self, **noted: object) -> None:
        self._note.update(noted)
        self._note["resolved"] = {name: list(found) for name, found in self._resolver.known.items()}
        if self._files is not None:
            self._files.write_state(self._note)

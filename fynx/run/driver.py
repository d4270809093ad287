"""Carries out what the protocol core wants, in order, and brings it datagrams, upcalls and the time (monotonic alone).

Nothing raises out of the network path: whatever goes wrong costs one effect, is logged and counted.
"""

from __future__ import annotations

import logging
import time
from asyncio import AbstractEventLoop, TimerHandle
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from fynx import logs
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
from fynx.ike.reconfigure import reconfigure
from fynx.plugin.dataplane import (
    Acquire,
    Expire,
    IkeArrived,
    PathSeen,
    Plane,
    UnknownSpi,
    Upcall,
    Usage,
)
from fynx.plugin.keylog import KeyRecord
from fynx.plugin.planes import OuterPlane, WorkerPlane
from fynx.plugin.transport import Datagram, HintingPort, Path, Port
from fynx.plugin.work import InstallChild
from fynx.run import journal
from fynx.run.standing import Standing
from fynx.run.work import Worker
from fynx.wire.encap import KEEPALIVE, MARKER, Kind, classify

log = logging.getLogger("fynx.run")

ACTIVITY_S = 5.0
"""How often the counters of Child SAs are read to learn that a silent peer lives (RFC 7296 section 2.4)."""


class Listener(Protocol):
    """The host, as the driver sees it. Called on the loop's thread, between effects."""

    def happened(self, event: Event) -> None: ...

    def keys(self, record: KeyRecord) -> None: ...

    def acquire(self, wanted: Acquire) -> None: ...

    def installed(self, child: Standing) -> None: ...

    def removed(self, child: Standing, *, confirmed: bool) -> None: ...


class Driver:
    """One endpoint at work on one loop. ``open`` gives it the port and the plane, which need its callbacks first."""

    def __init__(
        self,
        endpoint: Endpoint,
        listener: Listener,
        loop: AbstractEventLoop,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.endpoint, self._listener, self._loop, self._clock = endpoint, listener, loop, clock
        self._port: Port | None = None
        self._plane: Plane | None = None
        self._worker: Worker | None = None
        self._timer: TimerHandle | None = None
        self._due = 0.0
        self._busy = False
        self._ways: dict[type[Effect], Callable[[Any], None]] = {}
        self._heard: dict[int, tuple[int, int]] = {}
        self._journals: dict[int, Usage] = {}
        self._read_at = 0.0
        self.children: dict[int, Standing] = {}
        self.counters: Counter[str] = Counter()

    def open(self, port: Port, plane: Plane, worker: Worker) -> None:
        self._port, self._plane, self._worker = port, plane, worker
        self._ways = self._carriers(port, plane, worker)
        self.endpoint.workers = plane.workers if isinstance(plane, WorkerPlane) else 0
        if isinstance(port, HintingPort):
            port.on_unreachable(self.unreachable)

    @property
    def now(self) -> float:
        return self._clock()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._worker is not None:
            self._worker.close()
        self._port = self._plane = self._worker = None
        self._ways = {}

    def installed(self, peer: str, child: str) -> list[int]:
        """Handles of the Child SAs that the plane holds for this child."""
        return [handle for handle, spec in self.children.items() if (spec.peer, spec.child) == (peer, child)]

    # What comes in.

    def datagram(self, datagram: Datagram) -> None:
        """From the transport: IKE goes to the core, ESP to a plane that wants it handed over. Never raises."""
        try:
            kind, data = classify(datagram.data, datagram.path.encapsulated)
        except (AttributeError, TypeError):  # a transport's bug: that is no datagram
            self.counters["datagrams_malformed"] += 1
            return
        if kind is Kind.IKE:
            journal.message(logs.log_message_recv, datagram.path, data)
            self._guarded(partial(self.endpoint.datagram, self.now, datagram.path, data))
        elif kind is Kind.ESP and isinstance(self._plane, OuterPlane):
            self._guarded(partial(self._plane.receive_outer, datagram.path, [data]))
        else:
            self.counters[f"datagrams_{kind.value}"] += 1

    def unreachable(self, path: Path) -> None:
        """From the transport: the network says that what we sent on this path did not arrive."""
        self._guarded(partial(recovery.unreachable, self.endpoint, self.now, path))

    def upcalls(self, batch: Sequence[Upcall]) -> None:
        for upcall in batch:
            self._guarded(partial(self._upcall, upcall), pump=False)
        self._pump()

    def command(self, command: Command) -> None:
        """Raises StateError when the command names what does not exist."""
        try:
            self.endpoint.command(self.now, command)
        finally:
            self._pump()

    def reconfigure(self, policy: HostPolicy) -> None:
        """Another policy from now on; see ``fynx.ike.reconfigure``."""
        self._guarded(lambda: reconfigure(self.endpoint, self.now, policy))

    def _upcall(self, upcall: Upcall) -> None:
        match upcall:
            case IkeArrived():
                journal.message(logs.log_message_recv, upcall.path, upcall.data)
                self.endpoint.datagram(self.now, upcall.path, upcall.data)
            case PathSeen():
                self.endpoint.path_seen(self.now, upcall.handle, upcall.path)
            case Expire():
                self.endpoint.expired(self.now, upcall)
            case Acquire():
                self._listener.acquire(upcall)
            case UnknownSpi():
                self.counters["esp_unknown_spi"] += 1
                recovery.unknown_spi(self.endpoint, self.now, upcall.path, upcall.spi)

    # What goes out.

    def _pump(self) -> None:
        """Carries out all effects. A call from inside an effect leaves the rest to the call that is under way."""
        if self._busy:
            return
        self._busy = True
        try:
            for effect in self.endpoint.effects():
                try:
                    self._carry_out(effect)
                except Exception as error:
                    self._failed(error)
        finally:
            self._busy = False
        self._arm()

    def _carry_out(self, effect: Effect) -> None:
        """Nothing, once we are closed."""
        way = self._ways.get(type(effect))
        if way is not None:
            way(effect)

    def _carriers(self, port: Port, plane: Plane, worker: Worker) -> dict[type[Effect], Callable[[Any], None]]:
        listener = self._listener
        return {
            Emit: lambda effect: listener.happened(effect.event),
            Transmit: partial(self._transmit, port),
            Keepalive: lambda effect: port.send([Datagram(effect.path, KEEPALIVE)]),
            Ask: lambda effect: worker.submit(effect.work, partial(self._answer, effect)),
            Activate: lambda effect: plane.activate(effect.handle),
            Move: lambda effect: plane.move(effect.handle, effect.path, effect.encap),
            Remove: partial(self._remove, plane),
            ReleaseSpi: lambda effect: plane.release_spi(effect.spi),
            LogKeys: lambda effect: listener.keys(effect.record),
            GiveBack: worker.give_back,
        }

    def _transmit(self, port: Port, effect: Transmit) -> None:
        journal.message(logs.log_message_send, effect.path, effect.data)
        data = MARKER + effect.data if effect.path.encapsulated else effect.data
        port.send([Datagram(effect.path, data)])

    def _answer(self, ask: Ask, outcome: object) -> None:
        if isinstance(ask.work, InstallChild) and not isinstance(outcome, Exception):
            standing = Standing.of(ask.work.child)
            self.children[standing.handle] = standing
            self._listener.installed(standing)
        if self._worker is None:
            return
        try:
            self.endpoint.answer(self.now, ask.ticket, outcome)
        except Exception as error:
            self._failed(error)
        self._pump()

    def _remove(self, plane: Plane, effect: Remove) -> None:
        self._heard.pop(effect.handle, None)
        self._journals.pop(effect.handle, None)
        child = self.children.pop(effect.handle, None)
        plane.remove(effect.handle)
        if child is not None:
            self._listener.removed(child, confirmed=effect.confirmed)

    # Time.

    def _arm(self) -> None:
        """A timer that comes too early is left alone: it finds nothing to do and is set again."""
        deadline = self.endpoint.deadline()
        if deadline is None or self._worker is None or (self._timer is not None and self._due <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = deadline
        self._timer = self._loop.call_later(max(0.0, deadline - self.now), self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = self.now
        if now - self._read_at >= ACTIVITY_S:
            self._read_at = now
            self._guarded(self._notice_activity, pump=False)
        self._guarded(partial(self.endpoint.tick, now))

    def _notice_activity(self) -> None:
        """Tells the core which Child SAs brought authenticated packets since the last look."""
        if self._plane is None:
            return
        for handle in tuple(self.children):
            usage = self._plane.usage(handle)
            journal.traffic(self.children[handle], self._journals.get(handle, Usage()), usage)
            self._journals[handle] = usage
            heard, sent = self._heard.get(handle, (0, 0))
            if (usage.packets_in, usage.packets_out) != (heard, sent):
                self._heard[handle] = usage.packets_in, usage.packets_out
                recovery.busy(self.endpoint, self.now, handle)
            if usage.packets_in > heard:
                self.endpoint.activity(self.now, handle)
            packets, octets = max(usage.packets_in, usage.packets_out), max(usage.bytes_in, usage.bytes_out)
            self.endpoint.used(self.now, handle, packets, octets)

    def _guarded(self, step: Callable[[], object], *, pump: bool = True) -> None:
        try:
            step()
        except Exception as error:
            self._failed(error)
        if pump:
            self._pump()

    def _failed(self, error: Exception) -> None:
        if isinstance(error, FynxError):
            self.counters["refused"] += 1
            log.warning("%s", error)
            return
        self.counters["failed"] += 1
        journal.failed("an effect or an input failed", error)

"""What client and server have in common: a running host, its metrics and events, and its failures by name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial

from fynx.api.streams import Fork
from fynx.config.model import Config
from fynx.errors import ConfigError, FynxError
from fynx.events import Event
from fynx.faults import (
    AuthenticationFailed,
    Fault,
    Internal,
    InvalidMessage,
    InvalidParameter,
    InvalidProposal,
    InvalidState,
    Io,
    NetworkTimeout,
    NoProposalChosen,
)
from fynx.kernel.registry import Registry
from fynx.metrics import Metrics
from fynx.plugin.planes import PacketPlane
from fynx.run.failures import HostError
from fynx.run.host import Host

EVENTS = 10000
"""Events kept for one reader."""
FAULTS: Mapping[int, type[Fault]] = {
    1001: InvalidMessage,
    1004: NoProposalChosen,
    1005: InvalidProposal,
    2001: AuthenticationFailed,
    3001: InvalidState,
    5002: NetworkTimeout,
    9001: Internal,
}
"""Code of a tunnel that does not stand -> what ``connect`` raises; any other is ``Io``."""


class Runtime:
    """One host that runs between ``start`` and ``stop``."""

    def __init__(self, config: Config, registry: Registry, metrics: Metrics, events: Fork[Event]) -> None:
        self.host = Host(config, registry, metrics=metrics)
        self._events = events

    async def start(self, happened: Callable[[Event], None]) -> None:
        """All or nothing. Raises ``Io``, ``InvalidParameter``."""
        self.host.subscribe(self._events.put)
        self.host.subscribe(happened)
        try:
            await self.host.start()
        except ConfigError as error:
            raise InvalidParameter(str(error)) from None
        except HostError as error:
            raise Io(str(error), remedy=error.remedy) from error

    async def up(self, peer: str, timeout_s: float) -> None:
        """Raises the fault that names why the peer's tunnel does not stand."""
        try:
            await self.host.up(peer, timeout_s=timeout_s)
        except FynxError as error:
            raise FAULTS.get(error.code, Io)(str(error).removeprefix(f"{peer}: "), remedy=error.remedy) from error

    async def stop(self, *, graceful: bool = True) -> None:
        await self.host.stop(graceful=graceful)

    @property
    def plane(self) -> PacketPlane:
        plane = self.host.plane
        if not isinstance(plane, PacketPlane):
            raise Internal("the data plane takes no packets from a program")
        return plane

    def counters(self) -> Mapping[str, int]:
        """The data plane's own."""
        if self.host.plane is None:
            return {}
        counters = self.host.plane.status().get("counters", {})
        return counters if isinstance(counters, Mapping) else {}

    async def until(self, over: Callable[[Event], bool], start: Callable[[], None], timeout_s: float) -> None:
        """Starts something and waits for the event that ends it. Raises ``TimeoutError``."""
        done = asyncio.get_running_loop().create_future()

        def look(event: Event) -> None:
            if not done.done() and over(event):
                done.set_result(None)

        end = self.host.subscribe(look)
        try:
            start()
            async with asyncio.timeout(timeout_s):
                await done
        finally:
            end()


class Observed:
    """Metrics and events, which outlive a tunnel: one that connects again goes on counting."""

    def __init__(self) -> None:
        self._runtime: Runtime | None = None
        self._passed: dict[str, int] = {}
        self._events: Fork[Event] = Fork(EVENTS)
        self._metrics = Metrics(self._plane_counters)

    def metrics(self) -> Metrics:
        return self._metrics

    async def events(self) -> AsyncIterator[Event]:
        """Every event from now on, until the end of this object."""
        reader = self._events.open()
        try:
            async for event in reader.each():
                yield event
        finally:
            self._events.close(reader)

    def _plane_counters(self) -> Mapping[str, int]:
        now = self._runtime.counters() if self._runtime is not None else {}
        return {name: self._passed.get(name, 0) + now.get(name, 0) for name in {**self._passed, **now}}

    async def _release(self, *, graceful: bool) -> None:
        """Ends the host that runs, keeps its counters; idempotent."""
        runtime = self._runtime
        if runtime is None:
            return
        try:
            await runtime.stop(graceful=graceful)
        finally:
            self._passed = dict(self._plane_counters())
            self._runtime = None


def raised(kind: type[Fault], why: str) -> Callable[[], Fault]:
    """Makes the same error anew for each who waits."""
    return partial(kind, why)

"""Services of third parties under the watch (row L13): what is theirs is broken off, what is the host's is not."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from fynx.metrics import Metrics, Snapshot
from fynx.plugin.service import Control, Histogram
from fynx.run.host import Host
from fynx.run.services import serve
from fynx_plugins.memory import Switchboard
from tests.unit.run.foreign import LIMIT_S, of_acme
from tests.unit.run.pair import on_switchboard, registry, run


class Slow(Metrics):
    """Counters that take long to read."""

    def __init__(self, labour: Callable[[str], None]) -> None:
        super().__init__()
        self._labour = labour

    def snapshot(self) -> Snapshot:
        self._labour("metrics")
        return super().snapshot()

    def histograms(self) -> Mapping[str, Histogram]:
        self._labour("histograms")
        return super().histograms()


class Laborious(Host):
    """Has much to do for what it is asked: three times what the watch bears of a plugin."""

    def __init__(self) -> None:
        super().__init__(on_switchboard("left", Switchboard()), registry())
        self.done: list[str] = []
        self.metrics = Slow(self._labour)

    def _labour(self, what: str) -> None:
        busy(3 * LIMIT_S)
        self.done.append(what)

    async def up(self, peer: str, child: str = "", *, timeout_s: float = 0) -> None:
        self._labour("up")

    async def down(self, peer: str, child: str = "", *, leave_open: bool = False, timeout_s: float = 0) -> bool:
        self._labour("down")
        return True

    def status(self) -> dict[str, object]:
        self._labour("status")
        return {}

    def counters(self) -> dict[str, int]:
        self._labour("counters")
        return {}


def busy(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


class Asks:
    """A service that wants all that a host can do for it."""

    name = "asks"

    async def run(self, control: Control) -> None:
        await control.up("right")
        await control.down("right")
        control.status()
        control.counters()
        control.metrics()
        control.histograms()


def test_what_the_host_does_for_a_service_is_not_broken_off() -> None:
    watched, done = of_acme("service", "asks"), list[str]()

    async def story() -> None:
        host = Laborious()
        await serve(Asks(), host, watched)
        done.extend(host.done)

    run(story)
    watched.watch.stop()
    assert done == ["up", "down", "status", "counters", "metrics", "histograms"]
    assert not watched.watch.counters()


class Stays:
    """A service that catches what breaks it off, waits as if nothing were, and takes long to close."""

    name = "stays"

    def __init__(self) -> None:
        self.ended = ""

    async def run(self, control: Control) -> None:
        try:
            with suppress(BaseException):
                busy(20)
            await asyncio.Event().wait()
        finally:
            self.ended = "broken off"
            busy(5)
            self.ended = "at its leisure"


def test_a_service_that_stays_when_it_is_broken_off_is_closed_under_the_watch() -> None:
    watched, service = of_acme("service", "stays"), Stays()

    async def story() -> None:
        await serve(service, Laborious(), watched)

    run(story)
    gc.collect()  # what was let go without being closed closes here
    watched.watch.stop()
    assert service.ended == "broken off"

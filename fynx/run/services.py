"""Runs the services of plugins beside the tunnels, each with a narrow view of the host."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from typing import Any, Protocol

from fynx.config.model import Config
from fynx.kernel.watch import Watch
from fynx.metrics import Metrics
from fynx.plugin.service import Histogram, Service
from fynx.run.watched import Watched

log = logging.getLogger("fynx.run")


class Served(Protocol):
    """The host, as services may use it."""

    config: Config
    metrics: Metrics

    def status(self) -> dict[str, object]: ...

    def counters(self) -> Mapping[str, int]: ...

    def up(self, peer: str, child: str = "", *, timeout_s: float = ...) -> Coroutine[Any, Any, None]: ...

    def down(
        self, peer: str, child: str = "", *, leave_open: bool = False, timeout_s: float = ...
    ) -> Coroutine[Any, Any, bool]: ...


class View:
    """``fynx.plugin.service.Control`` and no more. What the host does for it is the host's: the watch looks aside."""

    def __init__(self, host: Served, watch: Watch) -> None:
        self._host, self._watch = host, watch

    def section(self, path: str) -> object:
        return self._host.config.sections.get(path)

    def metrics(self) -> Mapping[str, int]:
        return self._watch.aside(lambda: self._host.metrics.snapshot().as_dict())

    def histograms(self) -> Mapping[str, Histogram]:
        return self._watch.aside(self._host.metrics.histograms)

    def status(self) -> Mapping[str, object]:
        return self._watch.aside(self._host.status)

    def counters(self) -> Mapping[str, int]:
        return self._watch.aside(self._host.counters)

    async def up(self, peer: str) -> None:
        await asyncio.create_task(self._host.up(peer))  # a task of its own: its steps are no plugin's

    async def down(self, peer: str) -> None:
        await asyncio.create_task(self._host.down(peer))


async def serve(service: Service, host: Served, watched: Watched) -> None:
    """Until cancelled; a service that fails is named in the log and stays ended."""
    try:
        await watched.run(service, View(host, watched.watch))
    except Exception:
        log.exception("service %s ended", service.name)

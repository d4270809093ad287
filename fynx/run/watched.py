"""Third parties' IKE extensions and services, each step of them watched; a task that hung is left out afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fynx.config.model import Config
from fynx.kernel.entrypoints import DISTRIBUTION
from fynx.kernel.limit import Overtime
from fynx.kernel.registry import Registry
from fynx.kernel.watch import Watch
from fynx.plugin.extension import Extension, Incoming, MakeTask, Outgoing, SaView, Steps, Task, TaskSpec
from fynx.plugin.service import Control, Service
from fynx.run.failures import HostError

EVERYWHERE = 3
"""A plugin whose tasks hung so often is not called again while the host runs: each time cost every peer the limit."""


@dataclass(slots=True)
class Barred:
    """Which plugins are left out of which connections, since a task of theirs hung there."""

    _where: dict[str, dict[str, str]] = field(default_factory=dict)
    _times: dict[str, int] = field(default_factory=dict)

    def bar(self, plugin: str, sa: SaView, why: str) -> None:
        self._times[plugin] = self._times.get(plugin, 0) + 1
        self._where.setdefault(plugin, {})[sa.peer or sa.spi_i.hex()] = why
        sa.notes[_note(plugin)] = True

    def out(self, plugin: str, sa: SaView) -> bool:
        if plugin not in self._times:
            return False
        return self._times[plugin] >= EVERYWHERE or sa.peer in self._where[plugin] or _note(plugin) in sa.notes

    def status(self) -> dict[str, object]:
        """By plugin: ``peers`` it is left out for, ``everywhere``, and ``why``."""
        return {
            plugin: {
                "peers": sorted(where),
                "everywhere": self._times[plugin] >= EVERYWHERE,
                "why": next(reversed(where.values())),
            }
            for plugin, where in self._where.items()
        }


def _note(plugin: str) -> str:
    return f"{plugin} is left out"


@dataclass(frozen=True, slots=True)
class Watched:
    """What a host calls of third parties' plugins on its own thread. Plugins of our distribution are called plainly."""

    registry: Registry
    watch: Watch = field(default_factory=Watch)
    barred: Barred = field(default_factory=Barred)

    def owner(self, kind: str, key: str) -> str:
        """The plugin of another distribution that registered this; empty when it is ours or nobody's."""
        plugin = self.registry.owners.get((kind, key), "")
        info = self.registry.plugins.get(plugin)
        return plugin if info is not None and info.distribution != DISTRIBUTION else ""

    def start(self) -> None:
        """Looks on from now, where there is anything to look at."""
        if any(info.distribution != DISTRIBUTION for info in self.registry.plugins.values()):
            self.watch.start()

    def extensions(self) -> tuple[Extension, ...]:
        return tuple(self._extension(one) for one in self.registry.extensions)

    def counters(self) -> Mapping[str, int]:
        return {**self.registry.notify.counters(), **self.watch.counters()}

    def status(self, config: Config) -> dict[str, object]:
        """``plugins``, where one of them is left out."""
        gone = {
            name: {"peers": sorted(config.closed), "everywhere": True, "why": why}
            for name, why in config.left_out.items()
        }
        found = {**gone, **self.barred.status()}
        return {"plugins": found} if found else {}

    def run(self, service: Service, control: Control) -> Awaitable[None]:
        plugin = self.owner("service", service.name)
        running = service.run(control)
        return _Run(self.watch, plugin, running) if plugin else running

    def _extension(self, extension: Extension) -> Extension:
        plugin = self.owner("extension", extension.name)
        if not plugin:
            return extension
        return replace(extension, tasks=tuple(replace(s, make=self._maker(plugin, s)) for s in extension.tasks))

    def _maker(self, plugin: str, spec: TaskSpec) -> MakeTask:
        def make(sa: SaView, options: Mapping[str, object]) -> Task | None:
            if self.barred.out(plugin, sa):
                return None
            fence = _Fence(self, plugin, f"task {spec.name}", sa)
            task = fence.call("make", lambda: spec.make(sa, options))
            return None if task is None else _Task(task, fence)

        return make


@dataclass(frozen=True, slots=True)
class _Fence:
    """Of one task: what does not return bars its plugin from the connection."""

    watched: Watched
    plugin: str
    task: str
    sa: SaView

    def call(self, phase: str, step: Callable[[], Any]) -> Any:
        try:
            return self.watched.watch.call(self.plugin, f"{self.task}.{phase}", step)
        except Overtime as late:
            self.watched.barred.bar(self.plugin, self.sa, str(late))
            raise

    def drive(self, phase: str, steps: Generator[Any, Any, None]) -> Generator[Any, Any, None]:
        try:
            yield from self.watched.watch.drive(self.plugin, f"{self.task}.{phase}", steps)
        except Overtime as late:
            self.watched.barred.bar(self.plugin, self.sa, str(late))
            raise


def refuse_closed(config: Config, peer: str) -> None:
    """Raises HostError for a peer that cannot be served."""
    if peer in config.closed:
        gone = "; ".join(f"plugin {name} {why}" for name, why in config.left_out.items())
        raise HostError(f"peer {peer} is not served: {gone}", remedy="mend or replace the plugin, then start again")


class _Task:
    """A task behind its fence."""

    def __init__(self, task: Task, fence: _Fence) -> None:
        self._task, self._fence = task, fence

    def build(self, out: Outgoing) -> Steps:
        return self._steps("build", lambda: self._task.build(out))

    def process(self, message: Incoming) -> Steps:
        return self._steps("process", lambda: self._task.process(message))

    def _steps(self, phase: str, begin: Callable[[], Steps]) -> Steps:
        steps = self._fence.call(phase, begin)
        return None if steps is None else self._fence.drive(phase, steps)


@dataclass(frozen=True, slots=True)
class _Run:
    """A service's coroutine, each step of it watched."""

    watch: Watch
    plugin: str
    running: Coroutine[Any, Any, None]

    def __await__(self) -> Generator[Any, Any, None]:
        return self.watch.drive(self.plugin, "service", self.running)


__all__ = ["Watched", "refuse_closed"]

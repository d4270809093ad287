"""Long-running helpers beside the tunnels: metrics endpoints, controllers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often a measure fell under each of ``bounds``; ``counts`` has one more, for what lies above the last."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float = 0.0
    """Sum of all that was observed."""


class Control(Protocol):
    """The narrow view of a running host that a service gets."""

    def section(self, path: str) -> object:
        """The decoded section of the configuration, None where the file has none and its model needs a value."""
        ...

    def status(self) -> Mapping[str, object]: ...

    def counters(self) -> Mapping[str, int]: ...

    def metrics(self) -> Mapping[str, int]:
        """The 18 of the host; those that end in ``_active`` are gauges, the others only grow."""
        ...

    def histograms(self) -> Mapping[str, Histogram]: ...

    async def up(self, peer: str) -> None: ...

    async def down(self, peer: str) -> None: ...


class Service(Protocol):
    @property
    def name(self) -> str: ...

    async def run(self, control: Control) -> None:
        """Runs until cancelled; an exception is logged with the plugin's name and the service is not restarted."""
        ...

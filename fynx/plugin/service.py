"""Long-running helpers beside the tunnels: metrics endpoints, controllers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Control(Protocol):
    """The narrow view of a running host that a service gets."""

    def status(self) -> Mapping[str, object]: ...

    def counters(self) -> Mapping[str, int]: ...

    async def up(self, peer: str) -> None: ...

    async def down(self, peer: str) -> None: ...


class Service(Protocol):
    @property
    def name(self) -> str: ...

    async def run(self, control: Control) -> None:
        """Runs until cancelled; an exception is logged with the plugin's name and the service is not restarted."""
        ...

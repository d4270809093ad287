"""A transport's port inside a fence: what it raises costs the datagrams at hand and is told with the plugin's name."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from fynx.config.model import Config
from fynx.errors import FynxError, PluginError
from fynx.plugin.transport import Datagram, Deliver, HintingPort, Path, Port, PortSocket
from fynx.run.failures import from_os
from fynx.run.watched import Watched

log = logging.getLogger("fynx.run")


OPEN_S = 30.0


async def open_port(config: Config, watched: Watched, deliver: Deliver) -> FencedPort:
    """Raises HostError (a port in use, no permission) or ``PluginError`` for what only a bug can be."""
    registry, chosen = watched.registry, config.host.transport
    registry.require("transport", chosen.name)
    try:
        async with asyncio.timeout(OPEN_S):
            port = await registry.transports[chosen.name].open(chosen.section, deliver)
    except OSError as error:
        busy = f"stop the program that has it (sudo ss -lnptu), or choose another in host.transport.{chosen.name}"
        raise from_os(error, f"transport {chosen.name}", busy=busy, variables=config.variables) from error
    except FynxError:
        raise
    except Exception as error:
        owner = registry.owners.get(("transport", chosen.name), chosen.name)
        raise PluginError(
            owner, f"transport {chosen.name} cannot be opened: {type(error).__name__}: {error}"
        ) from error
    return FencedPort(port, chosen.name, watched)


class FencedPort:
    """``Port``, and ``lost``: datagrams that were not sent."""

    def __init__(self, port: Port, transport: str, watched: Watched) -> None:
        self._port, self._transport = port, transport
        self._plugin = watched.registry.owners.get(("transport", transport), transport)
        foreign, watch = watched.owner("transport", transport), watched.watch
        self._send: Callable[[Sequence[Datagram]], None] = port.send
        if foreign:
            self._send = lambda batch: watch.call(foreign, f"transport {transport}.send", lambda: port.send(batch))
        self._failed = 0
        self._dropped = 0

    @property
    def framing(self) -> Literal["udp", "message"]:
        return self._port.framing

    @property
    def local(self) -> tuple[Path, ...]:
        return self._port.local

    def sockets(self) -> Sequence[PortSocket]:
        return self._port.sockets()

    def attach(self) -> None:
        self._port.attach()

    def send(self, batch: Sequence[Datagram]) -> None:
        try:
            self._send(batch)
        except Exception as error:  # a plugin's bug
            self._dropped += len(batch)
            self._complain("send", error)

    def on_unreachable(self, tell: Callable[[Path], None]) -> None:
        if isinstance(self._port, HintingPort):
            self._port.on_unreachable(tell)

    def close(self) -> None:
        try:
            self._port.close()
        except Exception as error:  # a plugin's bug
            self._complain("close", error)

    @property
    def lost(self) -> int:
        return int(getattr(self._port, "lost", 0)) + self._dropped

    def counters(self) -> Mapping[str, int]:
        """``datagrams_lost``, and what the transport counts itself where it has ``counters()``."""
        own = getattr(self._port, "counters", None)
        failed = {"transport_failed": self._failed} if self._failed else {}
        return {"datagrams_lost": self.lost, **failed, **(own() if callable(own) else {})}

    def _complain(self, what: str, error: Exception) -> None:
        """The 1st, 2nd, 4th, 8th … time. Not its text: that may quote the datagram."""
        self._failed += 1
        if self._failed & (self._failed - 1) == 0:
            log.error(
                "plugin %s: transport %s raised %s in %s", self._plugin, self._transport, type(error).__name__, what
            )


__all__ = ["FencedPort", "open_port"]

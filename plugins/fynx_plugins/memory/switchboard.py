"""A network inside the process: ports register by address, datagrams travel through the event loop and never block."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from fynx.plugin import Datagram, Deliver, Path, Port, PortSocket

Passes = Callable[[Datagram], bool]


class Switchboard:
    """Connects memory ports of one event loop. ``passes`` may look at every datagram and answer False to lose it."""

    def __init__(self, passes: Passes | None = None) -> None:
        self._deliveries: dict[tuple[str, int], Deliver] = {}
        self.passes: Passes = passes or (lambda _datagram: True)
        self.carried = 0
        self.lost = 0

    def join(self, address: str, port: int, deliver: Deliver) -> None:
        if (address, port) in self._deliveries:
            raise OSError(errno.EADDRINUSE, f"memory address {address}:{port} is taken")
        self._deliveries[address, port] = deliver

    def leave(self, address: str, port: int) -> None:
        self._deliveries.pop((address, port), None)

    def carry(self, datagram: Datagram) -> None:
        """Takes a datagram as its sender sees it; its receiver gets it in a later turn of the loop."""
        path = datagram.path
        if (path.remote, path.remote_port) not in self._deliveries or not self.passes(datagram):
            self.lost += 1
            return
        self.carried += 1
        arrived = Datagram(Path(path.remote, path.remote_port, path.local, path.local_port), datagram.data)
        asyncio.get_running_loop().call_soon(self._arrive, arrived)

    def _arrive(self, datagram: Datagram) -> None:
        deliver = self._deliveries.get((datagram.path.local, datagram.path.local_port))
        if deliver is not None:
            deliver(datagram)


@dataclass(frozen=True, slots=True)
class MemoryConfig:
    """A place on a switchboard. ``network`` is the ``Switchboard`` object, which only a program can give."""

    address: str = "192.0.2.1"
    ports: tuple[int, ...] = (500, 4500)
    network: object = None
    encap: Literal["always", "auto"] = "always"


class MemoryPort:
    """One host's place on the switchboard."""

    framing: Literal["udp", "message"] = "message"

    def __init__(self, config: MemoryConfig, network: Switchboard, deliver: Deliver) -> None:
        self._config, self._network, self._deliver = config, network, deliver
        self._attached = False
        for port in config.ports:
            network.join(config.address, port, self._arrived)

    @property
    def local(self) -> tuple[Path, ...]:
        return tuple(Path(self._config.address, port, "", 0) for port in self._config.ports)

    def sockets(self) -> Sequence[PortSocket]:
        return ()

    def attach(self) -> None:
        self._attached = True

    def send(self, batch: Sequence[Datagram]) -> None:
        for datagram in batch:
            path = datagram.path
            local = path.local or self._config.address
            self._network.carry(Datagram(Path(local, path.local_port, path.remote, path.remote_port), datagram.data))

    def close(self) -> None:
        self._attached = False
        for port in self._config.ports:
            self._network.leave(self._config.address, port)

    def _arrived(self, datagram: Datagram) -> None:
        if self._attached:
            self._deliver(datagram)


class MemoryTransport:
    """Opens places on the switchboard of the section ``host.transport.memory``."""

    name = "memory"

    def network(self, passes: Passes | None = None) -> Switchboard:
        """A new switchboard, for a program that has this transport from the registry alone."""
        return Switchboard(passes)

    async def open(self, section: object, deliver: Deliver) -> Port:
        config = section if isinstance(section, MemoryConfig) else MemoryConfig()
        if not isinstance(config.network, Switchboard):
            raise OSError(errno.EINVAL, "host.transport.memory: `network` must be a Switchboard given by the program")
        return MemoryPort(config, config.network, deliver)

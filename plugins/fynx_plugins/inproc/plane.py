"""The in-process plane: the C engine seals what the program gives and keeps what it opened until the program asks."""

from __future__ import annotations

import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fynx.plugin import Engine, Plane, PlaneContext
from fynx.plugin.planes import EnginePlane


@dataclass(frozen=True, slots=True)
class InprocConfig:
    """``capacity``: how many Child SAs the plane can hold at once."""

    capacity: int = 4096


class InprocPlane(EnginePlane):
    """With real sockets the engine reads and sends ESP itself; else sealed packets go out through the transport."""

    def __init__(self, context: PlaneContext, engine: Engine) -> None:
        super().__init__(context, engine)
        self._watching = False
        self.take_sockets()
        engine.start()

    def send_inner(self, packets: Sequence[bytes]) -> None:
        self.send_out(self.engine.send_inner(packets))

    def send_flat(self, data: bytearray, lengths: array.array[int], count: int) -> None:
        self.send_out(self.engine.send_flat(data, lengths, count))

    def recv_flat(self, room: bytearray, limit: int = 256) -> int:
        return self.engine.recv_flat(room, limit)

    def recv_inner(self, limit: int = 256) -> Sequence[bytes]:
        return self.engine.recv_inner(limit)

    def on_inner(self, callback: Callable[[], None] | None) -> None:
        if self._watching:
            self._loop.remove_reader(self.engine.inner_fd)
        self._watching = callback is not None
        if callback is not None:
            self._loop.add_reader(self.engine.inner_fd, callback)

    def close(self, *, leave_open: bool = False) -> None:
        self.on_inner(None)
        super().close(leave_open=leave_open)


class InprocDataplane:
    """Opens the plane of the section ``host.plane.inproc``."""

    name = "inproc"

    async def open(self, context: PlaneContext) -> Plane:
        config = context.section if isinstance(context.section, InprocConfig) else InprocConfig()
        engine = context.engine(providers=context.providers, inproc=True, capacity=config.capacity)
        return InprocPlane(context, engine)

"""A Child SA that the plane holds, as the host has to know it: without its keys."""

from __future__ import annotations

from typing import Self

from fynx.plugin.dataplane import ChildSpec, Selector
from fynx.record import record


@record
class Standing:
    handle: int
    peer: str
    child: str
    spi_in: int
    spi_out: int
    remote_ts: tuple[Selector, ...]

    @classmethod
    def of(cls, child: ChildSpec) -> Self:
        return cls(child.handle, child.peer, child.child, child.spi_in, child.spi_out, child.remote_ts)

"""A Child SA as the core knows it: SPIs, suite, selectors and state; its keys live in the data plane alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fynx.ike.states import CHILD_TRANSITIONS, ChildEvent, ChildState, advance
from fynx.plugin.dataplane import EspSuite, Selector


@dataclass(slots=True)
class ChildSa:
    name: str
    handle: int
    spi_in: int
    spi_out: int
    suite: EspSuite
    local_ts: tuple[Selector, ...]
    remote_ts: tuple[Selector, ...]
    mode: Literal["tunnel", "transport"] = "tunnel"
    state: ChildState = ChildState.CREATED

    def advance(self, event: ChildEvent) -> None:
        advance(self, event, CHILD_TRANSITIONS)

    @property
    def alive(self) -> bool:
        return self.state in (ChildState.CREATED, ChildState.ACTIVE, ChildState.EXPIRED)

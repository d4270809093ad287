"""A Child SA as the core knows it: SPIs, suite, selectors and state; its keys live in the data plane alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fynx.ike.states import CHILD_TRANSITIONS, ChildEvent, ChildState, advance
from fynx.plugin.dataplane import EspSuite, Selector


@dataclass(frozen=True, slots=True)
class Rival:
    """A replacement that the peer made: its handle, and the lower of its exchange's nonces (RFC 7296 section 2.8.1)."""

    handle: int
    low: bytes


@dataclass(slots=True)
class Group:
    """Child SAs with the same selectors for several workers, the first one among them (RFC 9611)."""

    ours: bool
    """We asked for the first one, and ask for the others."""
    full: bool = False
    """The peer takes no more."""
    declined: set[int] = field(default_factory=set)
    """Workers whose own SA the peer deleted."""
    not_before: float = 0.0


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
    rival: Rival | None = None
    """The peer's rekey of this child, which came while ours was under way, or instead of ours."""
    announced: bool = False
    """The user was told of it: that it is up, or that it replaced another."""
    low: bytes = b""
    """The lower of the nonces of the exchange that made it."""
    ours: bool = True
    """We asked for it."""
    more: bool = False
    """The peer takes other traffic of the same policy too, in Child SAs of its own (RFC 7296 section 2.9)."""
    aggregated: bool = False
    """Inner packets share payloads (RFC 9347)."""
    group: Group | None = None
    """None: the only one with its selectors."""
    resource: int = 0
    """The worker that sends on it, from 1; 0: all that have none of their own (RFC 9611)."""
    refused: int = 0
    """Rekeys that the peer put off, one after the other."""
    stopped: bool = False
    """Its hard limit has passed: it is out of the plane, and the peer is being told."""
    sends: bool = True
    """The plane may send through it: it does through the one that was activated last."""
    held: bool = False
    """Receives only, see ``standby``."""
    proof: int = 0
    """With a request of this id, or a later one, the peer shows that it has our answer which made this child; 0: with
    any message."""
    proved: bool = True
    """It has."""
    since: float = 0.0
    """When it was made."""
    used_at: float = 0.0
    """When it was last seen to carry a packet, in either direction."""

    @property
    def current(self) -> bool:
        """Stands for its policy: no other has replaced it."""
        return self.state in (ChildState.CREATED, ChildState.ACTIVE, ChildState.REKEYING)

    def advance(self, event: ChildEvent) -> None:
        advance(self, event, CHILD_TRANSITIONS)

    @property
    def alive(self) -> bool:
        return self.state in ALIVE


ALIVE = (ChildState.CREATED, ChildState.ACTIVE, ChildState.REKEYING, ChildState.REKEYED, ChildState.EXPIRED)
"""Neither deleted nor on the way."""

"""What the core asks of its driver, in order, and the commands it takes. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fynx.events import Event
from fynx.ike.attributes import Settings
from fynx.plugin.auth import Identity
from fynx.plugin.dataplane import Selector
from fynx.plugin.keylog import KeyRecord
from fynx.plugin.transport import Path
from fynx.plugin.work import Work
from fynx.record import record


@record
class Transmit:
    """Send one IKE message; the driver adds the non-ESP marker where ``path.encapsulated``."""

    path: Path
    data: bytes


@record
class Keepalive:
    """Send one octet 0xFF (RFC 3948 section 2.3)."""

    path: Path


@record
class Ask:
    """Do ``work`` and bring its outcome (a value, or an exception instance) to ``Endpoint.answer(now, ticket,
    outcome)``."""

    ticket: int
    work: Work


@record
class Activate:
    handle: int


@record
class Move:
    handle: int
    path: Path
    encap: bool


@record
class Remove:
    """Remove the Child SA; ``closed`` True keeps its traffic from leaving in clear (the guard stays)."""

    handle: int
    confirmed: bool = False
    """The peer agreed to the deletion (it asked, or it answered): the guard of a graceful stop may go."""


@record
class ReleaseSpi:
    spi: int


@record
class GiveBack:
    """The last SA that used this identity's lease is gone."""

    pool: str
    identity: Identity


@record
class Emit:
    event: Event


@dataclass(frozen=True, slots=True, repr=False)
class LogKeys:
    record: KeyRecord


Effect = Transmit | Keepalive | Ask | Activate | Move | Remove | ReleaseSpi | Emit | LogKeys | GiveBack


# Commands: Endpoint.command(now, command).

Packet = tuple[Selector, Selector]
"""The selectors of one packet: our side's and the peer's."""


@dataclass(frozen=True, slots=True)
class Initiate:
    """Bring the peer's IKE SA up over ``path`` with the children named (empty: all that start by themselves)."""

    peer: str
    path: Path
    children: tuple[str, ...] = ()
    packets: Mapping[str, Packet] = field(default_factory=dict)
    """For a child that a packet asked for: that packet's selectors (RFC 7296 section 2.9)."""


@dataclass(frozen=True, slots=True)
class InitiateChild:
    """One more Child SA on an established IKE SA (CREATE_CHILD_SA)."""

    peer: str
    child: str
    packet: Packet | None = None


@dataclass(frozen=True, slots=True)
class Rekey:
    """Replace the peer's IKE SA (``child`` empty) or one of its Child SAs now (RFC 7296 section 2.8)."""

    peer: str
    child: str = ""
    spi_i: str = ""
    """Of the IKE SA that is meant, in hex, where a peer has several; the newest when empty."""


@dataclass(frozen=True, slots=True)
class Terminate:
    """DELETE the peer's IKE SAs (all peers when empty), then forget them."""

    peer: str = ""
    spi_i: str = ""
    """Only the IKE SA with this initiator's SPI, in hex."""


@dataclass(frozen=True, slots=True)
class TerminateChild:
    peer: str
    child: str


@dataclass(frozen=True, slots=True)
class CheckLiveness:
    """An empty INFORMATIONAL now (RFC 7296 section 2.4)."""

    peer: str
    spi_i: str = ""
    """As in ``Rekey``."""


@dataclass(frozen=True, slots=True)
class StartExchange:
    """An exchange of a type that an extension registered, on the peer's established IKE SA."""

    peer: str
    exchange: int
    options: Mapping[str, object] = field(default_factory=dict)


Command = Initiate | InitiateChild | Rekey | Terminate | TerminateChild | CheckLiveness | StartExchange


@dataclass(frozen=True, slots=True)
class ChildSnapshot:
    name: str
    state: str
    handle: int
    spi_in: int
    spi_out: int
    mode: str
    local: tuple[str, ...]
    remote: tuple[str, ...]
    esp: str
    encap: bool = True
    """What we send travels in UDP."""
    aggregated: bool = False
    """Inner packets share payloads (RFC 9347)."""
    resource: int | None = None
    """The worker that sends on it (RFC 9611), 0 for all others; None: the peer makes one Child SA for all."""


@dataclass(frozen=True, slots=True)
class IkeSnapshot:
    peer: str
    state: str
    role: str
    remote: str
    local_id: str
    remote_id: str
    spi_i: str
    spi_r: str
    suite: str
    established_at: float | None
    children: tuple[ChildSnapshot, ...]
    virtual: Settings | None = None
    """What a Configuration payload brought: to us when ``virtual_ours``, else to the peer."""
    virtual_ours: bool = False

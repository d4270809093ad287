"""What users and listeners see happen. Frozen, flat, and never with key material.

Times are not carried: the driver stamps each event as it hands it to the listeners.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events. ``peer`` is the configured name, empty before one is chosen."""

    peer: str


@dataclass(frozen=True, slots=True)
class IkeStateChanged(Event):
    spi_i: str
    spi_r: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class IkeUp(Event):
    spi_i: str
    spi_r: str
    remote: str
    local_id: str
    remote_id: str
    suite: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class IkeDown(Event):
    """``cause``: ``dead`` (no answer, or it lost its state), ``peer`` (it deleted), ``""`` for everything else."""

    spi_i: str
    spi_r: str
    reason: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class HandshakeStarted(Event):
    role: str
    remote: str


@dataclass(frozen=True, slots=True)
class HandshakeFailed(Event):
    """Why a tunnel did not come up: ``reason`` in plain words, ``notify`` the peer's or our notification name.

    ``remote_id`` is the identity that the peer claimed, empty where it claimed none yet.
    """

    remote: str
    notify: str
    reason: str
    remedy: str
    remote_id: str = ""


@dataclass(frozen=True, slots=True)
class ProposalChosen(Event):
    """Both sides agree on a suite; ``protocol`` is ``IKE`` or ``ESP``, ``number`` that of the proposal."""

    protocol: str
    offered: int
    number: int
    suite: str


@dataclass(frozen=True, slots=True)
class Authenticated(Event):
    """The peer proved its identity (RFC 7296 section 2.15)."""

    remote_id: str
    method: str


@dataclass(frozen=True, slots=True)
class RekeyStarted(Event):
    """We begin to replace a Child SA, or the IKE SA when ``child`` is empty; ``spi`` is ours."""

    child: str
    spi: str


@dataclass(frozen=True, slots=True)
class ChildUp(Event):
    child: str
    spi_in: str
    spi_out: str
    esp: str
    local: str
    remote: str


@dataclass(frozen=True, slots=True)
class ChildDown(Event):
    """``cause``: as in ``IkeDown``, or ``idle`` when we deleted it because it carried nothing."""

    child: str
    spi_in: str
    spi_out: str
    reason: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class ChildRekeyed(Event):
    """A Child SA was replaced by a new one; nothing in flight is lost."""

    child: str
    old_spi_in: str
    spi_in: str
    spi_out: str
    by_us: bool


@dataclass(frozen=True, slots=True)
class IkeRekeyed(Event):
    """An IKE SA was replaced; its Child SAs went on to the new one."""

    old_spi_i: str
    old_spi_r: str
    spi_i: str
    spi_r: str
    by_us: bool


@dataclass(frozen=True, slots=True)
class ChildRefused(Event):
    """A child was refused by us or by the peer while the IKE SA stays (RFC 7296 section 2.21.2)."""

    child: str
    notify: str
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class ChildDiffers(Event):
    """A child stands, and not as one of the two wanted it; ``notify`` names the notification that says so."""

    child: str
    notify: str
    reason: str


@dataclass(frozen=True, slots=True)
class PacketRefused(Event):
    """One IKE datagram was dropped; ``reason`` is the value of an ``errors.Drop``."""

    reason: str
    remote: str
    detail: str


@dataclass(frozen=True, slots=True)
class NotifyReceived(Event):
    notify: str
    detail: str


@dataclass(frozen=True, slots=True)
class Retransmitted(Event):
    exchange: str
    message_id: int
    attempt: int


@dataclass(frozen=True, slots=True)
class PeerAlive(Event):
    """The peer answered a liveness check (RFC 7296 section 2.4)."""

    spi_i: str
    spi_r: str


@dataclass(frozen=True, slots=True)
class PeerDead(Event):
    attempts: int


@dataclass(frozen=True, slots=True)
class CrashDetected(Event):
    """The peer proved by its token that it lost this IKE SA (RFC 6290 section 4.5)."""

    spi_i: str
    spi_r: str


@dataclass(frozen=True, slots=True)
class NatDetected(Event):
    local: bool
    remote: bool


@dataclass(frozen=True, slots=True)
class PathChanged(Event):
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class SequenceExhausted(Event):
    child: str
    spi_out: str


@dataclass(frozen=True, slots=True)
class AddressAssigned(Event):
    """The peer leased addresses to us, and told what goes with them (RFC 7296 section 2.19)."""

    addresses: tuple[str, ...]
    dns: tuple[str, ...]
    domains: tuple[str, ...]
    subnets: tuple[str, ...]
    version: str


@dataclass(frozen=True, slots=True)
class AddressLeased(Event):
    """We leased addresses of a pool to the peer."""

    identity: str
    pool: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AddressRefused(Event):
    """No address was leased, to the peer or to us; the IKE SA stays (RFC 7296 section 3.15.4)."""

    identity: str
    pool: str
    reason: str


@dataclass(frozen=True, slots=True)
class PluginFailed(Event):
    plugin: str
    hook: str
    error: str

"""Data planes carry the packets of Child SAs (RFC 4301, RFC 4303): what the control side tells them, and hears back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from fynx.plugin.auth import Secret
from fynx.plugin.crypto import Provider
from fynx.plugin.transport import Path, Port
from fynx.record import record

if TYPE_CHECKING:
    from fynx.plugin.engine import MakeEngine


@dataclass(frozen=True, slots=True, order=True)
class Selector:
    """A traffic selector (RFC 7296 section 3.13.1): address range, protocol (0 any), port range.

    Addresses are packed, 4 or 16 octets. For ICMP the ports are type << 8 | code (RFC 4301 section 4.4.1.1).
    """

    start: bytes
    end: bytes
    protocol: int = 0
    start_port: int = 0
    end_port: int = 65535


@record
class EspSuite:
    """The algorithms of a Child SA: transform ids and key bits; ``integ_id`` 0 for AEAD."""

    encr_id: int
    key_bits: int
    integ_id: int = 0
    esn: bool = False
    keyword: str = ""


@record
class ChildKeys:
    """Keys of one direction: encryption key, then integrity key; the salt apart (RFC 4106 section 8.1)."""

    key: Secret
    salt: Secret


@dataclass(frozen=True, slots=True)
class Aggregation:
    """Inner packets that share payloads of ESP, and are cut where one ends (RFC 9347).

    ``payload``: octets of one at most; 0 is what the path takes. ``whole``: none is cut, as the peer wants it; ``pad``:
    all payloads are as long. ``rate``: so many payloads leave in each second, padded and of one length, whether there
    is something to send or not (section 2.2); 0: when there is something.
    """

    payload: int = 0
    whole: bool = False
    pad: bool = False
    rate: int = 0


@dataclass(frozen=True, slots=True)
class Dummies:
    """Packets that say nothing, sent from time to time (RFC 4303 section 2.6).

    Each waits ``interval_s``, longer or shorter by up to that times ``jitter``, drawn evenly. ``size``: octets; 0:
    drawn at random from what the path takes. Padding of the child makes them longer still.
    """

    interval_s: float
    jitter: float = 0.5
    size: int = 0


@record
class ChildSpec:
    """A Child SA pair to install. Inbound first, then outbound; selectors from our side of the tunnel."""

    handle: int
    """Unique number of this Child SA on this host, given by the core."""
    peer: str
    child: str
    spi_in: int
    spi_out: int
    suite: EspSuite
    keys_in: ChildKeys
    keys_out: ChildKeys
    path: Path
    encap: bool
    mode: Literal["tunnel", "transport"]
    local_ts: tuple[Selector, ...]
    remote_ts: tuple[Selector, ...]
    window: int = 1024
    outbound: bool = True
    """False: install inbound only for now (a rekeyed SA that the peer has not begun to use)."""
    translated: tuple[bytes, bytes] | None = None
    """Transport mode behind a NAT: the peer's address and ours, packed, as the peer knows them and counts them into its
    checksums (RFC 3948 section 3.1.2)."""
    tfc_allowed: bool = True
    """False: the peer does not take padding behind an inner packet (N(ESP_TFC_PADDING_NOT_SUPPORTED))."""
    tfc_pad: int = 0
    """Octets to which inner packets are padded where ``tfc_allowed`` (RFC 4303 section 2.7); 0: none, 65535: what the
    path takes."""
    virtual: tuple[bytes, ...] = ()
    """Packed addresses that the peer leased to us for this child: ours for as long as one of its SAs stands."""
    aggregation: Aggregation | None = None
    """How it sends; what it receives may then be aggregated however the peer likes. Tunnel mode alone."""
    resource: int = 0
    """The worker, from 1, that sends on this Child SA before others with its selectors (RFC 9611); 0: all that have
    none of their own. Whatever it is, all workers receive."""
    dummies: Dummies | None = None
    """Without aggregation, which pads by itself."""


@dataclass(frozen=True, slots=True)
class Policy:
    """An SPD entry (RFC 4301 section 4.4.1) that is no Child SA: BYPASS or DISCARD, or PROTECT waiting for its SA."""

    action: Literal["protect", "bypass", "discard"]
    local: tuple[Selector, ...]
    remote: tuple[Selector, ...]
    priority: int
    peer: str = ""
    child: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Counters of one Child SA pair, read without stopping it."""

    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    drops: Mapping[str, int] = field(default_factory=dict)
    provider: str = ""
    slow: bool = False
    sequence_out: int = 0
    sequence_in: int = 0
    """The highest that was authenticated."""


@dataclass(frozen=True, slots=True)
class Acquire:
    """A packet matched a PROTECT policy that has no SA. ``packet`` gives its selectors."""

    peer: str
    child: str
    local: Selector
    remote: Selector


@dataclass(frozen=True, slots=True)
class Expire:
    """A Child SA came to a limit. ``hard`` means that it stopped."""

    handle: int
    hard: bool
    reason: Literal["sequence", "bytes", "packets", "time"]


@dataclass(frozen=True, slots=True)
class PathSeen:
    """An authenticated, newest packet of this Child SA came from another address (RFC 7296 section 2.23)."""

    handle: int
    path: Path


@record
class IkeArrived:
    """An IKE message (marker removed) that the plane read from a socket it took over."""

    path: Path
    data: bytes


@dataclass(frozen=True, slots=True)
class UnknownSpi:
    """ESP for an SPI that we do not have; rate limited by the plane (RFC 4303 section 3.4.2)."""

    path: Path
    spi: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """An ESP packet to send, where the transport gave the plane no socket."""

    path: Path
    data: bytes


@dataclass(frozen=True, slots=True)
class WorkerEnded:
    """A thread of the plane ended without being asked, with the packets in its hands. It begins anew by itself."""

    worker: int
    direction: Literal["in", "out"]


Upcall = Acquire | Expire | PathSeen | IkeArrived | UnknownSpi | Sealed | WorkerEnded
Upcalls = Callable[[Sequence[Upcall]], None]
"""Called on the event loop's thread with a batch; never raises."""


class Plane(Protocol):
    """An open data plane. All methods are called on the loop's thread and return quickly."""

    def reserve_spi(self) -> int:
        """An inbound SPI that is free, above 255, and known to no one else."""
        ...

    def release_spi(self, spi: int) -> None: ...

    def install(self, child: ChildSpec) -> None:
        """Raises ``FynxError`` when the plane lacks the algorithm or refuses the selectors."""
        ...

    def activate(self, handle: int) -> None:
        """Send on this Child SA from now on, before others with its selectors: one that was installed with
        ``outbound=False``, or one whose successor goes again."""
        ...

    def move(self, handle: int, path: Path, encap: bool) -> None: ...

    def remove(self, handle: int) -> None: ...

    def usage(self, handle: int) -> Usage: ...

    def policies(self, policies: Sequence[Policy]) -> None:
        """Replaces the static policies."""
        ...

    def keep_closed(self, peer: str, child: str, remote: Sequence[Selector], *, closed: bool) -> None:
        """Fail closed: while ``closed``, no packet for these selectors leaves in clear, even after a crash."""
        ...

    def status(self) -> Mapping[str, object]: ...

    def close(self, *, leave_open: bool = False) -> None: ...


class Dataplane(Protocol):
    @property
    def name(self) -> str: ...

    def open(self, context: PlaneContext) -> Awaitable[Plane]: ...


@dataclass(frozen=True, slots=True)
class PlaneContext:
    """What a plane gets at open: its own section, the C engine's factory, the transport, providers, and where to
    report."""

    host: str
    section: object
    port: Port
    providers: tuple[Provider, ...]
    upcalls: Upcalls
    engine: MakeEngine
    restored: Mapping[str, object] = field(default_factory=dict)
    """What the previous run of this host handed to ``save`` last; empty after a clean stop."""
    save: Callable[[Mapping[str, object]], None] = lambda _state: None
    """Keeps a JSON-able note beyond a crash, for the next start to adopt or clean up what was left."""

"""What the protocol core is told about peers: frozen, made by the driver from the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from fynx.ike.reach import Reach
from fynx.plugin.auth import Identity
from fynx.plugin.dataplane import Aggregation, Dummies, Selector
from fynx.wire.proposal import Proposal

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class AuthPolicy:
    """One side's authentication: the method's name and its own configuration object (never logged)."""

    method: str
    config: object = field(repr=False)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """When an SA is replaced (soft) and when it stops (hard), in seconds, octets and packets; 0 is no limit.

    ``jitter`` takes up to that share off each soft limit, so that two ends seldom rekey at once (RFC 7296 section 2.8).
    """

    soft_s: float = 2700.0
    hard_s: float = 3600.0
    soft_bytes: int = 0
    hard_bytes: int = 0
    soft_packets: int = 0
    hard_packets: int = 0
    jitter: float = 0.1


IKE_LIFETIME = Lifetime(soft_s=4 * 3600.0, hard_s=4 * 3600.0 + 900.0)


@dataclass(frozen=True, slots=True)
class ChildPolicy:
    """A Child SA that may be made: selectors from our side, proposals in order of preference.

    A selector of empty addresses (``virtual.DYNAMIC``) stands for the addresses of a Configuration payload.
    """

    name: str
    local: tuple[Selector, ...]
    remote: tuple[Selector, ...]
    esp: tuple[Proposal, ...]
    mode: Literal["tunnel", "transport"] = "tunnel"
    start: Literal["none", "initiate", "trap"] = "initiate"
    window: int = 1024
    single_pair: bool = False
    """A Child SA for each pair of addresses (RFC 7296 section 2.9)."""
    tfc_pad: int = 0
    """Octets to which inner packets are padded; 65535: what the path takes (RFC 4303 section 2.7)."""
    lifetime: Lifetime = Lifetime()
    aggregation: Aggregation | None = None
    """Offer, and accept, that inner packets share ESP payloads (RFC 9347)."""
    resources: int = 0
    """Child SAs for single workers at most, beside the first one (RFC 9611); 0: the first one serves all."""
    dummies: Dummies | None = None
    """Sent from time to time (RFC 4303 section 2.6)."""
    inactivity_s: float = 0.0
    """Seconds without a packet in either direction after which the child is deleted; 0 is never."""


@dataclass(frozen=True, slots=True)
class PoolPolicy:
    """Addresses to lease, and what clients are told beside them (RFC 7296 section 3.15). All addresses are packed.

    ``ranges`` are first and last addresses; ``subnets`` networks with their prefix lengths; ``domains`` those that the
    DNS servers answer for (RFC 8598).
    """

    name: str
    ranges: tuple[tuple[bytes, bytes], ...] = ()
    fixed: Mapping[Identity, tuple[bytes, ...]] = field(default_factory=dict)
    dns: tuple[bytes, ...] = ()
    subnets: tuple[tuple[bytes, int], ...] = ()
    domains: tuple[str, ...] = ()
    version: str = ""


Request = Literal["ipv4", "ipv6", "dns", "subnets", "split_dns", "version"]


@dataclass(frozen=True, slots=True)
class Retransmission:
    """Exponential back-off of requests (RFC 7296 section 2.4): waits ``base_s * factor**n`` with jitter, ``tries``
    sends in all."""

    base_s: float = 4.0
    factor: float = 1.8
    tries: int = 6
    jitter: float = 0.1

    @property
    def patience_s(self) -> float:
        """Seconds until the peer, if it waits as we do, has given up a request."""
        return sum(self.base_s * self.factor**sends for sends in range(self.tries)) * (1 + self.jitter)


@dataclass(frozen=True, slots=True)
class PeerPolicy:
    """One peer. ``remote`` empty means any address; ``remote_id`` None accepts any identity that authenticates."""

    name: str
    remote: tuple[Network, ...]
    local_id: Identity
    remote_id: Identity | None
    local_auth: AuthPolicy
    remote_auth: AuthPolicy
    ike: tuple[Proposal, ...]
    children: tuple[ChildPolicy, ...]
    send_idr: bool = True
    unique: Literal["replace", "keep", "never"] = "replace"
    encap: Literal["always", "auto"] = "always"
    liveness_s: float | None = 30.0
    keepalive_s: float = 20.0
    retransmission: Retransmission = Retransmission()
    childless: bool = False
    fragmentation: bool = True
    """Take and send messages in fragments (RFC 7383)."""
    fragment_size: int = 1280
    """Octets of the largest IP datagram that carries a fragment."""
    window: int = 1
    """Requests under way at once, ours and the peer's, where both sides allow it (RFC 7296 section 2.3)."""
    reauth_s: float = 0.0
    """Authenticate again after so many seconds; as responder, ask for it (RFC 4478). 0: never."""
    lifetime: Lifetime = IKE_LIFETIME
    pool: str = ""
    """Where its addresses come from, when it asks for some."""
    request: tuple[Request, ...] = ()
    """What we ask it for."""
    named: Mapping[str, ChildPolicy] = field(init=False, compare=False, repr=False)
    reach: Reach = field(init=False, compare=False, repr=False)
    leases: bool = field(init=False, compare=False, repr=False)
    """Whether a child has leased addresses in its selectors."""
    alone: Candidates = field(init=False, compare=False, repr=False)
    """It is the only one in question."""

    def __post_init__(self) -> None:
        selectors = (one for child in self.children for one in (*child.local, *child.remote))
        object.__setattr__(self, "named", {child.name: child for child in self.children})
        object.__setattr__(self, "reach", Reach(self.children))
        object.__setattr__(self, "leases", not all(one.start for one in selectors))
        object.__setattr__(self, "alone", Candidates((self,)))


class Candidates(tuple[PeerPolicy, ...]):
    """Policies of which one is the peer's. What all of them say is looked up once, however many handshakes ask."""

    @cached_property
    def encapsulates(self) -> bool:
        return all(one.encap == "always" for one in self)

    @cached_property
    def fragmentation(self) -> bool:
        return all(one.fragmentation for one in self)

    @cached_property
    def childless(self) -> bool:
        return any(one.childless for one in self)

    @cached_property
    def fragment_size(self) -> int:
        return min(one.fragment_size for one in self)

    def of(self, identity: Identity) -> list[PeerPolicy]:
        """Those that take this identity, who names it first. Who takes anybody does not take its own reflection
        (RFC 7296 section 2.15)."""
        anyone = [one for one in self._named.get(None, ()) if one.local_id != identity]
        return [*self._named.get(identity, ()), *anyone]

    @cached_property
    def _named(self) -> Mapping[Identity | None, Sequence[PeerPolicy]]:
        found: dict[Identity | None, list[PeerPolicy]] = {}
        for one in self:
            found.setdefault(one.remote_id, []).append(one)
        return found


@dataclass(frozen=True, slots=True)
class HostPolicy:
    """Limits of the whole host. Times in seconds."""

    peers: tuple[PeerPolicy, ...]
    cookie_threshold: int = 50
    """Half-open SAs (as responder) from which on a COOKIE is asked; 0 asks always (RFC 7296 section 2.6)."""
    half_open_limit: int = 10000
    half_open_per_source: int = 100
    half_open_s: float = 30.0
    children_per_sa: int = 256
    vendor_id: bytes = b""
    keylog: bool = False
    raw_esp: bool = False
    """ESP may travel without UDP, where ``encap`` is ``auto`` and no NAT was found."""
    crash_secret: bytes = field(default=b"", repr=False)
    """Makes the tokens of RFC 6290, the same after a restart; empty: no tokens are made."""
    pools: tuple[PoolPolicy, ...] = ()

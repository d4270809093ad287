"""The shape of ``fynx.yaml``: frozen dataclasses that are at once schema, defaults and documentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from fynx.config.markers import Check, ChoiceOf, Names, OneOrMany
from fynx.errors import Problem
from fynx.kernel.notify import Notify
from fynx.kernel.registry import Registry
from fynx.plugin.crypto import Algorithms

IKE = (
    "aes256gcm16-prfsha384-x25519",
    "aes128gcm16-prfsha256-x25519",
    "aes128gcm16-prfsha256-ecp256",
    "aes128gcm16-prfsha256-modp2048",
)
ESP = ("aes128gcm16", "aes256gcm16", "chacha20poly1305")
PROVIDERS = ("ipsecmb", "libcrypto", "sodium")

Seconds = Annotated[float, Field(gt=0, le=86400)]
Addresses = Annotated[tuple[str, ...], OneOrMany(), Check("address")]
Selectors = Annotated[tuple[str, ...], OneOrMany(), Check("selector")]
ChildSelectors = Annotated[tuple[str, ...], OneOrMany(), Check("child_selector")]
Start = Literal["none", "initiate", "trap"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One plugin chosen by name, with its section decoded (None when the plugin has none)."""

    name: str
    section: object = None


@dataclass(frozen=True, slots=True)
class Pool:
    """Addresses to lease to peers that ask, and what they are told beside them (RFC 7296 section 2.19)."""

    addresses: Annotated[tuple[str, ...], OneOrMany(), Check("pool_range")] = field(
        metadata={"example": "addresses: [198.18.0.0/24, fd00:1::/64]"}
    )
    """Networks or ranges, IPv4 and IPv6; a network's first and last IPv4 address are not leased."""
    dns: Annotated[tuple[str, ...], OneOrMany(), Check("plain_address")] = ()
    """DNS servers."""
    subnets: Annotated[tuple[str, ...], OneOrMany(), Check("plain_network")] = ()
    """Networks behind the gateway, told to clients that ask."""
    split_dns: Annotated[tuple[str, ...], OneOrMany(), Check("domain")] = ()
    """Domains that these DNS servers answer for (RFC 8598); none: all."""
    fixed: Mapping[str, Annotated[tuple[str, ...], OneOrMany(), Check("plain_address")]] = field(default_factory=dict)
    """Addresses of one identity alone: ``{alice@example.net: [198.18.0.10, fd00:1::10]}``."""
    version: str = ""
    """What clients that ask for our version are told; nothing when empty."""


@dataclass(frozen=True, slots=True)
class Host:
    """What concerns the whole host."""

    transport: Annotated[Choice, ChoiceOf("transport")] = Choice("udp")
    """How datagrams travel: ``{udp: {listen: […], ports: [500, 4500], encap: always}}``."""
    plane: Annotated[Choice, ChoiceOf("plane")] = Choice("tun")
    """What carries packets: ``{tun: {…}}`` or ``{inproc: {}}``."""
    store: Annotated[Choice, ChoiceOf("store")] | None = None
    """Where ``@store:`` secrets are read: ``{file: {path: /etc/fynx/store}}``."""
    keylog: str | None = None
    """File for the keys of all SAs, for Wireshark. Whoever has it can read the traffic."""
    cookie_threshold: Annotated[int, Field(ge=0, le=1000000)] = 50
    """Half-open SAs from which on a COOKIE is asked; 0 asks always (RFC 7296 section 2.6)."""
    half_open_limit: Annotated[int, Field(ge=1, le=1000000)] = 10000
    """Half-open SAs at most."""
    half_open_per_source: Annotated[int, Field(ge=1, le=1000000)] = 100
    """Half-open SAs at most from one address."""
    half_open_s: Seconds = 30.0
    """Seconds after which a half-open SA is forgotten."""
    children_per_sa: Annotated[int, Field(ge=1, le=65536)] = 256
    """Child SAs at most on one IKE SA."""
    crash_detection: bool = True
    """Give peers a token by which they learn at once that this host lost its state (RFC 6290)."""
    pools: Annotated[Mapping[str, Pool], Names()] = field(default_factory=dict)
    """Addresses to lease, by name; leases are kept in ``store`` where there is one."""
    resolv_conf: str | None = None
    """File in which the DNS servers stand that peers tell us, while a tunnel is up; none: nothing is written."""


@dataclass(frozen=True, slots=True)
class Remote:
    """The other side: where it is, who it must prove to be, and how."""

    address: Addresses = field(metadata={"example": "address: vpn.example.net   # or any"})
    """Address, network or DNS name, or several; ``any`` for road warriors."""
    id: Annotated[str, Check("remote_id")] = field(metadata={"example": "id: gw.example.net   # or any"})
    """Identity the peer must prove; ``any`` accepts whichever identity authenticates."""
    auth: Annotated[Choice, ChoiceOf("auth")] = field(metadata={"example": 'auth: {psk: {secret: "@env:NAME"}}'})
    """How the peer proves it: ``{psk: {secret: …}}``."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """The peer's IKE port, where it is neither 500 nor 4500."""


@dataclass(frozen=True, slots=True)
class Local:
    """Our side of one peer."""

    id: Annotated[str, Check("identity")] = field(metadata={"example": "id: branch@example.net"})
    """Our identity: a DNS name, an e-mail address, an IP address, or ``keyid:…``."""
    auth: Annotated[Choice, ChoiceOf("auth")] = field(metadata={"example": 'auth: {psk: {secret: "@env:NAME"}}'})
    """How we prove it."""
    address: Annotated[str, Check("local_address")] = ""
    """Source address when we initiate; the system chooses when empty."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """When a Child SA is replaced (soft) and when it stops (hard); 0 is no limit."""

    soft_s: Annotated[float, Field(ge=0)] = 2700.0
    hard_s: Annotated[float, Field(ge=0)] = 3600.0
    soft_bytes: Annotated[int, Field(ge=0)] = 0
    hard_bytes: Annotated[int, Field(ge=0)] = 0
    soft_packets: Annotated[int, Field(ge=0)] = 0
    hard_packets: Annotated[int, Field(ge=0)] = 0
    jitter: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Share of the soft time that is taken off at random, so that two ends seldom rekey at once."""


@dataclass(frozen=True, slots=True)
class IkeLifetime:
    """When an IKE SA is replaced (soft) and when it ends (hard); 0 is no limit."""

    soft_s: Annotated[float, Field(ge=0)] = 14400.0
    hard_s: Annotated[float, Field(ge=0)] = 15300.0
    jitter: Annotated[float, Field(ge=0, le=0.5)] = 0.1


@dataclass(frozen=True, slots=True)
class Iptfs:
    """How inner packets are aggregated (RFC 9347)."""

    packet_size: Annotated[int, Field(ge=0, le=9216)] = 0
    """Octets of an ESP payload at most, 64 or more; 0 is what the path takes."""
    fragment: bool = True
    """Cut inner packets where a payload ends; else they go whole or not at all."""
    pad: bool = False
    """Make all payloads as long, so that lengths tell nothing."""
    rate: Annotated[int, Field(ge=0, le=100000)] = 0
    """ESP packets in each second, all as long, whether there is something to send or not; 0: only when there is."""


@dataclass(frozen=True, slots=True)
class Dummies:
    """Packets that say nothing, so that silence looks like traffic (RFC 4303 section 2.6)."""

    interval_s: Annotated[float, Field(ge=0.001, le=3600)] = 1.0
    """From one to the next, on average."""
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the interval by which each comes earlier or later at random."""
    size: Annotated[int, Field(ge=0, le=9000)] = 0
    """Octets of one, 20 or more, and the child's ``tfc_pad`` at least; 0: at random, as long as the path takes."""


@dataclass(frozen=True, slots=True)
class Child:
    """A Child SA: the traffic that is protected."""

    local: ChildSelectors = field(metadata={"example": "local: [10.1.0.0/16]"})
    """Networks on our side, each with an optional ``[protocol/port]``: ``10.1.0.0/16``, ``10.1.0.5[tcp/443]``;
    ``dynamic`` for the addresses that the peer leases to us."""
    remote: ChildSelectors = field(metadata={"example": "remote: [10.0.0.0/8]"})
    """Networks on the peer's side; ``dynamic`` for the addresses that we lease to it."""
    esp: Annotated[tuple[str, ...], OneOrMany(), Check("esp", trim=True)] = ESP
    """Proposals in order of preference: ``aes256gcm16``, ``aes256-sha256``, or ``aes256gcm16-x25519`` with PFS."""
    mode: Literal["tunnel", "transport"] = "tunnel"
    """``transport``: between the two hosts themselves, without an inner IP header (RFC 4303 section 3.1.1)."""
    single_pair: bool = False
    """A Child SA for each pair of addresses: as responder, a peer that does not say which gets SINGLE_PAIR_REQUIRED."""
    start: Start | None = None
    """``none``, ``initiate`` or ``trap``; the peer's ``start`` when not given."""
    window: Annotated[int, Field(ge=32, le=16384)] = 1024
    """Anti-replay window in packets."""
    per_worker: bool = False
    """One more Child SA for each worker of the plane, where the peer takes them (RFC 9611)."""
    iptfs: Iptfs | None = None
    """Inner packets share ESP payloads (RFC 9347), where the peer can; off when not given."""
    dummies: Dummies | None = None
    """Packets that the peer drops unseen, from time to time; off when not given."""
    tfc_pad: Annotated[int, Field(ge=0, le=9000)] | Literal["mtu"] = 0
    """Inner packets are padded to so many octets, ``mtu``: to what the path takes, in tunnel mode where the peer allows
    it (RFC 4303 section 2.7)."""
    lifetime: Lifetime = Lifetime()
    inactivity_s: Annotated[float, Field(ge=0, le=86400)] = 0.0
    """Seconds without a packet in either direction after which the child is deleted; 0 is never, else 10 or more."""


@dataclass(frozen=True, slots=True)
class Retransmission:
    """Back-off of requests (RFC 7296 section 2.4): the n-th wait is ``base_s`` times ``factor`` to the n-th."""

    base_s: Annotated[float, Field(gt=0, le=60)] = 4.0
    factor: Annotated[float, Field(ge=1, le=10)] = 1.8
    tries: Annotated[int, Field(ge=1, le=20)] = 6
    """Times a request is sent in all."""
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.1


@dataclass(frozen=True, slots=True)
class Peer:
    """One peer: chosen by its identity among those whose address fits."""

    remote: Remote = field(metadata={"example": "remote: {address: …, id: …, auth: …}"})
    local: Local = field(metadata={"example": "local: {id: …, auth: …}"})
    children: Annotated[Mapping[str, Child], Names()] = field(default_factory=dict)
    """Child SAs by name."""
    ike: Annotated[tuple[str, ...], OneOrMany(), Check("ike", trim=True)] = IKE
    """Proposals in order of preference, such as ``aes256gcm16-prfsha384-x25519``."""
    start: Start | None = None
    """``none``, ``initiate`` or ``trap``; ``initiate`` when not given, ``none`` for address ``any``."""
    encap: Literal["always", "auto"] | None = None
    """ESP in UDP always, or only behind a NAT; as the transport says when not given."""
    liveness_s: Seconds | None = 30.0
    """Seconds of silence after which the peer is asked whether it lives; null turns it off."""
    on_dead: Literal["clear", "restart", "trap"] | None = None
    """What happens to the children of a peer that does not answer: nothing (``clear``), a call at once, or a call with
    the next packet; what ``start`` brought up comes back when not given."""
    on_close: Literal["none", "restart", "trap"] | None = None
    """The same when the peer deletes them."""
    keepalive_s: Seconds = 20.0
    """Seconds between NAT keepalives."""
    retransmission: Retransmission = Retransmission()
    unique: Literal["replace", "keep", "never"] = "replace"
    """What a second IKE SA with the same identities does to the first."""
    lifetime: IkeLifetime = IkeLifetime()
    send_idr: bool = True
    """Whether we say whom we expect (IDr)."""
    childless: bool = False
    """Whether the IKE SA may stand without a Child SA (RFC 6023)."""
    fragmentation: bool = True
    """Whether long IKE messages may go in fragments (RFC 7383)."""
    fragment_size: Annotated[int, Field(ge=256, le=65535)] = 1280
    """Octets of the largest IP datagram that carries a fragment; where such get lost, smaller ones are tried."""
    ike_window: Annotated[int, Field(ge=1, le=8)] = 1
    """IKE requests that may be under way at once, in each direction, where the peer allows it too."""
    reauth_s: Seconds | None = None
    """Authenticate again after so many seconds, make before break; as responder, ask the peer to (RFC 4478)."""
    pool: str = ""
    """The pool of ``host.pools`` from which this peer gets its addresses."""
    request: Annotated[tuple[Literal["ipv4", "ipv6", "dns", "subnets", "split_dns", "version"], ...], OneOrMany()] = ()
    """What we ask the peer for: addresses, DNS servers, networks, domains, its version."""
    allow_weak_psk: bool = False
    """Accept pre-shared keys of less than 20 octets."""


@dataclass(frozen=True, slots=True)
class StaticPolicy:
    """Traffic that passes in clear (``bypass``) or not at all (``discard``), whatever the tunnels say."""

    action: Literal["bypass", "discard"] = field(metadata={"example": "action: bypass"})
    local: Selectors = ()
    """Networks on our side; empty means all."""
    remote: Selectors = ()
    """Networks on the other side; empty means all."""
    priority: Annotated[int, Field(ge=0, le=65535)] = 100
    """Lower comes first."""


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration, checked. The last fields are no keys of the file: the loader sets them."""

    name: Annotated[str, Check("name")] = ""
    """Name of this instance, the file's stem when not given; names ``/run/fynx/NAME.sock``."""
    plugins: tuple[str, ...] = ("default",)
    """Presets, additions (``+name``) and removals (``-name``); nothing else is imported."""
    providers: Annotated[tuple[str, ...], OneOrMany(), Check("provider")] = PROVIDERS
    """Libraries under the C loop in order of preference; one name pins it."""
    host: Host = Host()
    peers: Annotated[Mapping[str, Peer], Names()] = field(default_factory=dict)
    """Peers by name."""
    policies: tuple[StaticPolicy, ...] = ()
    kill_switch: bool = True
    """Keep protected traffic from leaving in clear while its tunnel is down."""
    sections: Mapping[str, object] = field(default_factory=dict, metadata={"internal": True})
    """Sections of plugins beside the keys above, by path."""
    registry: Registry = field(
        default_factory=lambda: Registry(Algorithms(), Notify()),
        repr=False,
        compare=False,
        metadata={"internal": True},
    )
    """What the plugins registered that the file lists."""
    source: str = field(default="", compare=False, metadata={"internal": True})
    """The file it was read from; empty for text."""
    warnings: tuple[Problem, ...] = field(default=(), compare=False, metadata={"internal": True})
    variables: tuple[str, ...] = field(default=(), compare=False, metadata={"internal": True})
    """Names of those of the environment that it was read with."""
    places: Mapping[str, tuple[int, int]] = field(
        default_factory=dict, repr=False, compare=False, metadata={"internal": True}
    )
    """Line and column by YAML path."""
    left_out: Mapping[str, str] = field(default_factory=dict, compare=False, metadata={"internal": True})
    """Plugins that the file lists and that are not there, with the reason."""
    closed: frozenset[str] = field(default=frozenset(), compare=False, metadata={"internal": True})
    """Peers that cannot do without them: nobody can connect, and what they protect stays closed."""

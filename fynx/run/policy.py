"""Configuration to what the protocol core is told: proposals, selectors, identities as values, names as addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal, TypeVar

from fynx.config.address import ANY, child_selector, remote_network, selector
from fynx.config.model import Child, Choice, Config, Iptfs, Peer, Start
from fynx.config.model import Dummies as Sent
from fynx.config.proposal import parse_esp, parse_ike, remembering
from fynx.errors import ConfigError, Problem
from fynx.ike.policy import AuthPolicy, ChildPolicy, HostPolicy, Lifetime, PeerPolicy, Retransmission
from fynx.kernel.registry import Registry
from fynx.plugin.auth import Identity
from fynx.plugin.dataplane import Aggregation, Dummies, Policy, Selector
from fynx.run.pools import pool_policy
from fynx.run.resolve import sort_out
from fynx.wire.identity import parse_identity
from fynx.wire.proposal import Proposal

T = TypeVar("T")
ALONE = ""
"""Stands among the names of children for the IKE SA itself, where it is wanted without any (RFC 6023)."""
PATH = 65535
"""``ChildSpec.tfc_pad``: as much as the path takes."""
MOST_RESOURCES = 32
"""Child SAs for single workers of one child: twice as many as a plane has workers (RFC 9611 section 7)."""
Network = IPv4Network | IPv6Network
NOWHERE = IPv4Network("0.0.0.0/32")
"""Stands for a name that has no address now: no datagram comes from it, while an empty list would let anyone in."""
MOST_ADDRESSES = 16
"""Of one name; what a name server says beyond that is passed over."""


def host_policy(
    config: Config, registry: Registry, *, resolve: Mapping[str, tuple[str, ...]], crash_secret: bytes = b""
) -> HostPolicy:
    """The core's policy. ``resolve`` gives the addresses of DNS names; a name that is missing has none now.

    Raises ``ConfigError`` for texts that cannot be used, which a configuration from ``fynx.config.load`` does not hold.
    """
    host = config.host
    ike, esp = remembering(parse_ike, registry.algorithms), remembering(parse_esp, registry.algorithms)
    return HostPolicy(
        peers=tuple(_Peer(config, name, resolve, ike, esp).policy() for name in config.peers),
        cookie_threshold=host.cookie_threshold,
        half_open_limit=host.half_open_limit,
        half_open_per_source=host.half_open_per_source,
        half_open_s=host.half_open_s,
        children_per_sa=host.children_per_sa,
        keylog=host.keylog is not None,
        raw_esp=_transport_encap(host.transport) == "auto" and host.transport.name == "udp",
        crash_secret=crash_secret,
        pools=tuple(pool_policy(name, pool) for name, pool in host.pools.items()),
    )


def static_policies(config: Config) -> tuple[Policy, ...]:
    """The BYPASS and DISCARD entries of the configuration, for ``Plane.policies``."""
    return tuple(
        Policy(one.action, _selectors(one.local), _selectors(one.remote), one.priority) for one in config.policies
    )


@dataclass(frozen=True, slots=True)
class _Peer:
    """One peer's policy in the making; errors carry its place in the file."""

    config: Config
    name: str
    resolve: Mapping[str, tuple[str, ...]]
    ike: Callable[[str], Proposal]
    esp: Callable[[str], Proposal]

    def policy(self) -> PeerPolicy:
        peer = self.config.peers[self.name]
        remote_id = None if peer.remote.id == ANY else self._identity(peer.remote.id, "remote.id")
        return PeerPolicy(
            name=self.name,
            remote=_networks(peer, self.resolve),
            local_id=self._identity(peer.local.id, "local.id"),
            remote_id=remote_id,
            local_auth=_auth(peer.local.auth),
            remote_auth=_auth(peer.remote.auth),
            ike=self._each(peer.ike, "ike", self.ike),
            children=tuple(self._child(peer, name, child) for name, child in peer.children.items()),
            send_idr=peer.send_idr and remote_id is not None,
            unique=peer.unique,
            encap=peer.encap or _transport_encap(self.config.host.transport),
            liveness_s=peer.liveness_s,
            keepalive_s=peer.keepalive_s,
            retransmission=_retransmission(peer),
            childless=peer.childless,
            fragmentation=peer.fragmentation,
            fragment_size=peer.fragment_size,
            window=peer.ike_window,
            reauth_s=peer.reauth_s or 0.0,
            pool=peer.pool,
            request=peer.request,
            lifetime=Lifetime(peer.lifetime.soft_s, peer.lifetime.hard_s, jitter=peer.lifetime.jitter),
        )

    def _child(self, peer: Peer, name: str, child: Child) -> ChildPolicy:
        return ChildPolicy(
            name=name,
            local=self._each(child.local, f"children.{name}.local", child_selector),
            remote=self._each(child.remote, f"children.{name}.remote", child_selector),
            esp=self._each(child.esp, f"children.{name}.esp", self.esp),
            mode=child.mode,
            start=child.start or start_of(peer),
            window=child.window,
            single_pair=child.single_pair,
            aggregation=_aggregation(child.iptfs),
            resources=MOST_RESOURCES if child.per_worker else 0,
            dummies=_dummies(child.dummies),
            tfc_pad=PATH if child.tfc_pad == "mtu" else child.tfc_pad,
            lifetime=Lifetime(**{each.name: getattr(child.lifetime, each.name) for each in fields(child.lifetime)}),
            inactivity_s=child.inactivity_s,
        )

    def _identity(self, text: str, key: str) -> Identity:
        return Identity(*self._parsed(text, key, parse_identity))

    def _each(self, texts: Iterable[str], key: str, parse: Callable[[str], T]) -> tuple[T, ...]:
        return tuple(self._parsed(text, f"{key}[{index}]", parse) for index, text in enumerate(texts))

    def _parsed(self, text: str, key: str, parse: Callable[[str], T]) -> T:
        try:
            return parse(text)
        except ValueError as error:
            path = f"peers.{self.name}.{key}"
            line, column = self.config.places.get(path, (1, 1))
            remedy = str(getattr(error, "remedy", ""))
            what, file = str(error), self.config.source
        raise ConfigError((Problem(what, path=path, remedy=remedy, file=file, line=line, column=column),))


def start_of(peer: Peer) -> Start:
    """What a child does that says nothing itself: as its peer says; else initiate where there is an address."""
    if peer.start is not None:
        return peer.start
    single = all(text != ANY and "/" not in text for text in peer.remote.address)
    return "initiate" if single else "none"


def starting(config: Config, name: str, way: Start) -> tuple[str, ...]:
    """The children of a peer that start in this way, in the file's order."""
    peer = config.peers.get(name)
    if peer is None:
        return ()
    return tuple(key for key, child in peer.children.items() if (child.start or start_of(peer)) == way)


def at_start(config: Config, name: str) -> tuple[str, ...]:
    """The children that come up with the host: those that initiate, of a peer that is itself to be called."""
    peer = config.peers.get(name)
    if peer is None or start_of(peer) != "initiate" or not sort_out(peer.remote.address).callable:
        return ()
    return (ALONE,) if alone(peer) else starting(config, name, "initiate")


def when_asked(config: Config, name: str) -> tuple[str, ...]:
    """The children that an administrator means who names none: those that initiate, else all."""
    peer = config.peers[name]
    return (ALONE,) if alone(peer) else starting(config, name, "initiate") or tuple(peer.children)


def alone(peer: Peer) -> bool:
    """Its IKE SA is wanted for its own sake: it may stand without a child, and has none."""
    return peer.childless and not peer.children


def _networks(peer: Peer, resolve: Mapping[str, tuple[str, ...]]) -> tuple[Network, ...]:
    """Empty for ``any``; never empty for anything else."""
    if ANY in peer.remote.address:
        return ()
    found: list[Network] = []
    for text in peer.remote.address:
        network = remote_network(text)
        if network is not None:
            found.append(network)
            continue
        found += [ip_network(address) for address in resolve.get(text, ())[:MOST_ADDRESSES]]
    return tuple(dict.fromkeys(found)) or (NOWHERE,)


def _selectors(texts: tuple[str, ...]) -> tuple[Selector, ...]:
    return tuple(selector(text) for text in texts) or (selector("0.0.0.0/0"), selector("::/0"))


def _auth(choice: Choice) -> AuthPolicy:
    return AuthPolicy(choice.name, choice.section)


def _aggregation(given: Iptfs | None) -> Aggregation | None:
    return None if given is None else Aggregation(given.packet_size, not given.fragment, given.pad, given.rate)


def _dummies(given: Sent | None) -> Dummies | None:
    return None if given is None else Dummies(given.interval_s, given.jitter, given.size)


def _transport_encap(transport: Choice) -> Literal["always", "auto"]:
    return "auto" if getattr(transport.section, "encap", "always") == "auto" else "always"


def _retransmission(peer: Peer) -> Retransmission:
    given = peer.retransmission
    return Retransmission(given.base_s, given.factor, given.tries, given.jitter)

"""From the library's configurations to the one that every host runs on: the same model that YAML is read into."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from fynx.api.addresses import OVERLAY, SERVER, overlay_address
from fynx.api.config import ANY, ClientConfig, CommonConfig, DpdConfig, ServerConfig
from fynx.config.address import selector
from fynx.config.model import ESP, IKE, Child, Choice, Config, Lifetime, Local, Peer, Remote, Retransmission
from fynx.config.model import Host as HostSection
from fynx.config.proposal import parse_esp, parse_ike
from fynx.faults import InvalidParameter
from fynx.kernel.loader import boot
from fynx.kernel.notify import Notify
from fynx.kernel.registry import Registry
from fynx.plugin.auth import Secret

log = logging.getLogger("fynx.api")

PEER, CHILD = "peer", "tunnel"
CLIENTS = "clients"
FIRST_S, FACTOR, TRIES, MANY = 0.5, 1.8, 6, 9


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host stands: UDP ports of its own, or an address on a switchboard."""

    address: str = ""
    ports: tuple[int, ...] = (0,)
    network: object = None
    """A switchboard of the ``memory`` transport."""

    def transport(self, registry: Registry) -> Choice:
        if self.network is not None:
            section = _section(registry, "host.transport.memory")
            return Choice("memory", section(address=self.address, network=self.network))
        listen = (self.address,) if self.address else ("0.0.0.0", "::")  # noqa: S104  a client takes any route
        return Choice("udp", _section(registry, "host.transport.udp")(listen=listen, ports=self.ports))


def switchboard(passes: Callable[[Any], bool]) -> object:
    """A network inside the process; ``passes`` sees every datagram and may lose it."""
    transport: Any = _booted().transports["memory"]
    return transport.network(passes)


def registry() -> Registry:
    """The preset's plugins, booted once in a process; tables are immutable, what counts is new for each host."""
    return replace(_booted(), notify=Notify())


@cache
def _booted() -> Registry:
    return boot(["default"])


def client_config(config: ClientConfig, booted: Registry, host: str, port: int, place: Place) -> Config:
    """Raises ``InvalidParameter``."""
    config.validate()
    local = config.local_networks or (overlay_address(str(config.local_id)),)
    remote = config.remote_networks or (str(SERVER),)
    assert config.psk is not None
    peer = replace(
        _peer(config, booted, config.remote_id or ANY, config.psk, local, remote),
        remote=Remote((host,), config.remote_id or ANY, _psk(booted, config.psk), port or None),
        start="none",
    )
    return _whole("client", config, booted, place, {PEER: peer}, 64)


def server_config(config: ServerConfig, booted: Registry, place: Place) -> Config:
    """One peer for all clients, and one for each client with a key of its own. Raises ``InvalidParameter``."""
    config.validate()
    local = config.local_networks or (str(SERVER),)
    remote = config.remote_networks or (str(OVERLAY),)
    keys = [(name, name, key) for name, key in config.client_psks.items()]
    if config.psk is not None:
        keys.append((CLIENTS, ANY, config.psk))
    peers = {name: _peer(config, booted, identity, key, local, remote) for name, identity, key in keys}
    return _whole("server", config, booted, place, peers, 16384)


def _peer(
    config: CommonConfig, booted: Registry, remote_id: str, key: Secret, local: tuple[str, ...], remote: tuple[str, ...]
) -> Peer:
    dpd = config.dpd if config.dpd is not None and config.dpd.enabled else None
    given = config.lifetime
    _check(local, selector, "local_networks")
    _check(remote, selector, "remote_networks")
    _check(config.ike_proposals or (), lambda text: parse_ike(text, booted.algorithms), "ike_proposals")
    _check(config.esp_proposals or (), lambda text: parse_esp(text, booted.algorithms), "esp_proposals")
    life = Lifetime(given.soft_s, given.hard_s, given.soft_bytes, given.hard_bytes)
    return Peer(
        remote=Remote((ANY,), remote_id, _psk(booted, key)),
        local=Local(str(config.local_id), _psk(booted, key)),
        children={CHILD: Child(local, remote, esp=config.esp_proposals or ESP, lifetime=life)},
        ike=config.ike_proposals or IKE,
        liveness_s=dpd.interval_s if dpd is not None else None,
        retransmission=_retransmission(config.first_wait_s, dpd),
        allow_weak_psk=True,
    )


def _retransmission(first_s: float | None, dpd: DpdConfig | None) -> Retransmission:
    """Growing waits; with dead peer detection their sum is the time after which the peer is given up."""
    if first_s is not None or dpd is None:
        return Retransmission(first_s or FIRST_S, FACTOR, MANY)
    total = dpd.timeout_s * dpd.max_retries
    return Retransmission(total * (FACTOR - 1) / (FACTOR**TRIES - 1), FACTOR, TRIES, jitter=0.0)


def _whole(
    name: str, config: CommonConfig, booted: Registry, place: Place, peers: dict[str, Peer], capacity: int
) -> Config:
    for warning in config.warnings:
        log.warning("%s", warning)
    plane = Choice("inproc", _section(booted, "host.plane.inproc")(capacity=capacity))
    host = HostSection(transport=place.transport(booted), plane=plane, half_open_per_source=10000)
    return Config(name=name, host=host, peers=peers, registry=booted)


def _psk(booted: Registry, key: Secret) -> Choice:
    return Choice("psk", _section(booted, "auth.psk")(secret=key))


def _section(booted: Registry, path: str) -> Callable[..., object]:
    return booted.sections[path]


def _check(texts: Iterable[str], parse: Callable[[str], object], name: str) -> None:
    for text in texts:
        try:
            parse(text)
        except ValueError as error:
            raise InvalidParameter(f"{name}: {error}", remedy=str(getattr(error, "remedy", ""))) from None

"""What a client or a server is told: frozen configurations, their builders, and the rules that both keep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Self, TypeVar

from fynx.faults import InvalidParameter
from fynx.plugin.auth import Secret
from fynx.wire.identity import parse_identity

RECOMMENDED_PSK = 32
"""Octets; shorter ones are accepted with a warning."""
ANY = "any"


@dataclass(frozen=True, slots=True)
class SaLifetime:
    """When a Child SA is replaced (soft) and when it stops (hard), in seconds and octets; 0 is no limit."""

    soft_s: float = 2700.0
    hard_s: float = 3600.0
    soft_bytes: int = 0
    hard_bytes: int = 0

    def validate(self) -> None:
        for name, soft, hard in (
            ("lifetime", self.soft_s, self.hard_s),
            ("lifetime in bytes", self.soft_bytes, self.hard_bytes),
        ):
            if soft < 0 or hard < 0:
                raise InvalidParameter(f"{name} must not be negative")
            if hard and soft >= hard:
                raise InvalidParameter(f"{name}: the soft limit ({soft:g}) must be below the hard one ({hard:g})")

    def is_soft_expired(self, age_s: float, octets: int = 0) -> bool:
        """Whether a Child SA of this age, which has carried so much, is to be replaced; reached counts as past."""
        return 0 < self.soft_s <= age_s or 0 < self.soft_bytes <= octets

    def is_hard_expired(self, age_s: float, octets: int = 0) -> bool:
        """Whether it carries nothing any more."""
        return 0 < self.hard_s <= age_s or 0 < self.hard_bytes <= octets

    def time_until_rekey(self, age_s: float) -> float | None:
        """Seconds; None when that time is past, or there is no limit."""
        return self.soft_s - age_s if age_s < self.soft_s else None

    def time_until_expiry(self, age_s: float) -> float | None:
        return self.hard_s - age_s if age_s < self.hard_s else None


@dataclass(frozen=True, slots=True)
class DpdConfig:
    """Dead peer detection (RFC 7296 section 2.4): ask after ``interval_s`` of silence; without an answer the request
    is repeated, and after ``timeout_s`` times ``max_retries`` the peer is given up."""

    enabled: bool = True
    interval_s: float = 30.0
    timeout_s: float = 10.0
    max_retries: int = 3

    @classmethod
    def disabled(cls) -> DpdConfig:
        return cls(enabled=False)

    def validate(self) -> None:
        if self.enabled and (self.interval_s <= 0 or self.timeout_s <= 0 or self.max_retries < 1):
            raise InvalidParameter("dpd: interval, timeout and retries must be above zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonConfig:
    """What clients and servers share. ``None`` for proposals means the list that YAML files default to."""

    local_id: str | None = None
    psk: Secret | None = field(default=None, repr=False)
    ike_proposals: tuple[str, ...] | None = None
    """Keywords in order of preference: ``aes256gcm16-prfsha384-x25519``."""
    esp_proposals: tuple[str, ...] | None = None
    dpd: DpdConfig | None = None
    lifetime: SaLifetime = SaLifetime()
    local_networks: tuple[str, ...] = ()
    """Inner addresses on our side (``10.1.0.0/16``); empty: an address made from our identity."""
    first_wait_s: float | None = None
    """Until a request is sent again for the first time; the waits grow. None: half a second, or as ``dpd`` asks."""
    remote_networks: tuple[str, ...] = ()
    """Inner addresses on the other side; empty: what the library's peers use by default."""

    def __post_init__(self) -> None:
        if isinstance(self.psk, str | bytes):
            object.__setattr__(self, "psk", secret(self.psk))

    def validate(self) -> None:
        """Raises ``InvalidParameter`` with the first value that cannot be used."""
        required("local_id", self.local_id)
        self._validate_psk()
        for name, given in (("ike_proposals", self.ike_proposals), ("esp_proposals", self.esp_proposals)):
            if given is not None and not given:
                raise InvalidParameter(f"{name} must not be empty")
        self.lifetime.validate()
        if self.first_wait_s is not None and not 0 < self.first_wait_s <= 60:
            raise InvalidParameter("first_wait_s must be above 0 and at most 60")
        if self.dpd is not None:
            self.dpd.validate()

    def _validate_psk(self) -> None:
        if self.psk is None:
            raise InvalidParameter("psk is required")
        if not len(self.psk):
            raise InvalidParameter("psk must not be empty")

    @property
    def warnings(self) -> tuple[str, ...]:
        """What can be used but should not."""
        if self.psk is not None and 0 < len(self.psk) < RECOMMENDED_PSK:
            return (f"the pre-shared key has {len(self.psk)} octets; {RECOMMENDED_PSK} or more are recommended",)
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig(CommonConfig):
    """One tunnel to one peer."""

    remote_id: str | None = None
    """The identity that the peer must prove; ``any`` accepts whoever holds the key."""
    timeout_s: float = 30.0
    """How long ``connect`` may take."""
    reconnect: bool = False
    """Call again by itself after a tunnel that stood went down."""

    @classmethod
    def builder(cls) -> ClientConfigBuilder:
        return ClientConfigBuilder(cls())

    def validate(self) -> None:
        super(ClientConfig, self).validate()
        required("remote_id", self.remote_id)
        if self.timeout_s <= 0:
            raise InvalidParameter("timeout_s must be above zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig(CommonConfig):
    """Many clients, told apart by their identities."""

    client_psks: Mapping[str, Secret] = field(default_factory=dict, repr=False)
    """Keys of single clients by identity; the others use ``psk``, where there is one."""

    @classmethod
    def builder(cls) -> ServerConfigBuilder:
        return ServerConfigBuilder(cls())

    def _validate_psk(self) -> None:
        if self.psk is not None or not self.client_psks:
            super(ServerConfig, self)._validate_psk()
        for name, key in self.client_psks.items():
            required("a client's identity", name)
            if not len(key):
                raise InvalidParameter(f"the psk of {name} must not be empty")


ConfigT = TypeVar("ConfigT", bound=CommonConfig)


class Builder(Generic[ConfigT]):
    """Collects options; ``build`` validates. Each ``with_`` returns the builder itself."""

    def __init__(self, config: ConfigT) -> None:
        self._config = config

    def _set(self, **values: Any) -> Self:
        self._config = replace(self._config, **values)
        return self

    def with_local_id(self, identity: str) -> Self:
        return self._set(local_id=identity)

    def with_psk(self, key: str | bytes | Secret) -> Self:
        return self._set(psk=secret(key))

    def with_ike_proposals(self, proposals: Iterable[str]) -> Self:
        return self._set(ike_proposals=tuple(proposals))

    def with_esp_proposals(self, proposals: Iterable[str]) -> Self:
        return self._set(esp_proposals=tuple(proposals))

    def with_dpd(self, dpd: DpdConfig) -> Self:
        return self._set(dpd=dpd)

    def with_lifetime(self, lifetime: SaLifetime) -> Self:
        return self._set(lifetime=lifetime)

    def with_networks(self, *, local: Iterable[str] = (), remote: Iterable[str] = ()) -> Self:
        """The inner addresses of both sides; what is not given stays the default."""
        return self._set(local_networks=tuple(local), remote_networks=tuple(remote))

    def build(self) -> ConfigT:
        """Raises ``InvalidParameter``."""
        self._config.validate()
        return self._config


class ClientConfigBuilder(Builder[ClientConfig]):
    """Makes a ``ClientConfig``."""

    def with_remote_id(self, identity: str) -> Self:
        return self._set(remote_id=identity)

    def with_timeout(self, seconds: float) -> Self:
        return self._set(timeout_s=seconds)

    def with_reconnect(self, reconnect: bool = True) -> Self:
        return self._set(reconnect=reconnect)


class ServerConfigBuilder(Builder[ServerConfig]):
    """Makes a ``ServerConfig``."""

    def with_client_psk(self, identity: str, key: str | bytes | Secret) -> Self:
        """A key of its own for one client."""
        return self._set(client_psks={**self._config.client_psks, identity: secret(key)})


def required(name: str, value: str | None) -> str:
    """An identity that is there and can be sent. Raises ``InvalidParameter``."""
    if value is None:
        raise InvalidParameter(f"{name} is required")
    if not value:
        raise InvalidParameter(f"{name} must not be empty")
    if value != ANY:
        try:
            parse_identity(value)
        except ValueError as error:
            raise InvalidParameter(f"{name}: {error}") from None
    elif name == "local_id":
        raise InvalidParameter("local_id must be one identity, not any")
    return value


def secret(key: str | bytes | Secret) -> Secret:
    """A key that shows itself to nobody."""
    if isinstance(key, Secret):
        return key
    return Secret(key.encode() if isinstance(key, str) else bytes(key))

"""Requests that the core makes of the outside: data, never closures, so that a driver may run them where it likes."""

from __future__ import annotations

from dataclasses import dataclass

from fynx.plugin.auth import AuthContext, AuthorizeRequest, Identity
from fynx.plugin.crypto import Offer
from fynx.plugin.dataplane import ChildSpec


@dataclass(frozen=True, slots=True)
class KexStart:
    """Make an Offer of this key exchange method. Outcome: Offer."""

    method: int


@dataclass(frozen=True, slots=True)
class KexFinish:
    """Outcome: the shared secret (bytes), or CryptoError."""

    offer: Offer
    peer: bytes


@dataclass(frozen=True, slots=True)
class KexAnswer:
    """Outcome: (our public value, shared secret), or CryptoError."""

    method: int
    peer: bytes


@dataclass(frozen=True, slots=True)
class Sign:
    """Outcome: AuthValue."""

    method: str
    context: AuthContext


@dataclass(frozen=True, slots=True)
class Verify:
    """Outcome: None, or AuthFailed."""

    method: str
    context: AuthContext


@dataclass(frozen=True, slots=True)
class Authorize:
    """Outcome: bool. Exception, time-out and any False mean no; no listener means yes."""

    request: AuthorizeRequest


@dataclass(frozen=True, slots=True)
class ReserveSpi:
    """Outcome: an inbound ESP SPI (int)."""


@dataclass(frozen=True, slots=True)
class InstallChild:
    """Outcome: None, or FynxError when the plane refuses."""

    child: ChildSpec


@dataclass(frozen=True, slots=True)
class Lease:
    """Addresses of a pool for an identity (RFC 7296 section 2.19): those it had before, else free ones.

    ``versions`` are the families that are asked for (4, 6); ``wanted`` packed addresses that the peer would like.
    Outcome: packed addresses, at most one of each family; empty when the pool has none left.
    """

    pool: str
    identity: Identity
    versions: tuple[int, ...]
    wanted: tuple[bytes, ...] = ()


Work = KexStart | KexFinish | KexAnswer | Sign | Verify | Authorize | ReserveSpi | InstallChild | Lease

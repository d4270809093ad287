"""Requests that the core makes of the outside: data, never closures, so that a driver may run them where it likes."""

from __future__ import annotations

from fynx.plugin.auth import AuthContext, AuthorizeRequest, Identity
from fynx.plugin.crypto import Offer
from fynx.plugin.dataplane import ChildSpec
from fynx.record import record


@record
class KexStart:
    """Make an Offer of this key exchange method. Outcome: Offer."""

    method: int


@record
class KexFinish:
    """Outcome: the shared secret (bytes), or CryptoError."""

    offer: Offer
    peer: bytes


@record
class KexAnswer:
    """Outcome: (our public value, shared secret), or CryptoError."""

    method: int
    peer: bytes


@record
class Sign:
    """Outcome: AuthValue."""

    method: str
    context: AuthContext


@record
class Verify:
    """Outcome: None, or AuthFailed."""

    method: str
    context: AuthContext


@record
class Authorize:
    """Outcome: bool. Exception, time-out and any False mean no; no listener means yes."""

    request: AuthorizeRequest


@record
class ReserveSpi:
    """Outcome: an inbound ESP SPI (int)."""


@record
class InstallChild:
    """Outcome: None, or FynxError when the plane refuses."""

    child: ChildSpec


@record
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

"""NAT detection by the hashes of NAT_DETECTION_*_IP notifications (RFC 7296 section 2.23)."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from ipaddress import ip_address

from fynx.plugin.transport import Path
from fynx.record import record
from fynx.wire.iana import NotifyType
from fynx.wire.payload import NotifyPayload

MAX_HASHES = 16
"""Hashes of one kind that are looked at; a message with more gains nothing by them."""


@record
class NatStatus:
    """Which of the two sides stands behind a NAT, as seen from here."""

    local: bool
    remote: bool

    @property
    def found(self) -> bool:
        return self.local or self.remote


def natd_hash(spi_i: bytes, spi_r: bytes, address: bytes, port: int) -> bytes:
    """SHA-1(SPIi | SPIr | address | port): 20 octets. The standard's hash; nothing rests on its strength."""
    return hashlib.sha1(spi_i + spi_r + address + port.to_bytes(2, "big"), usedforsecurity=False).digest()


def natd_notifies(
    spi_i: bytes, spi_r: bytes, path: Path, *, force: bool = False
) -> tuple[NotifyPayload, NotifyPayload]:
    """The two notifications to send on ``path``. ``force`` claims a source that cannot match, so that the peer sees a
    NAT and encapsulates; a local address that is not known yet ("") does the same. Port 0 is no real source."""
    local = b"" if force or not path.local else packed(path.local)
    source = natd_hash(spi_i, spi_r, local or bytes(4), path.local_port if local else 0)
    destination = natd_hash(spi_i, spi_r, packed(path.remote), path.remote_port)
    return (
        NotifyPayload(type=int(NotifyType.NAT_DETECTION_SOURCE_IP), data=source),
        NotifyPayload(type=int(NotifyType.NAT_DETECTION_DESTINATION_IP), data=destination),
    )


def detect(spi_i: bytes, spi_r: bytes, path: Path, notifies: tuple[NotifyPayload, ...]) -> NatStatus | None:
    """What the peer's notifications, received on ``path``, say; None when it sent none (no NAT traversal).

    ``path.remote`` is the source of the datagram that we saw, ``path.local`` where it arrived. With a local address
    that is not known the local side counts as behind a NAT: that costs encapsulation only.
    """
    sources = _hashes(notifies, NotifyType.NAT_DETECTION_SOURCE_IP)
    destinations = _hashes(notifies, NotifyType.NAT_DETECTION_DESTINATION_IP)
    if not sources or not destinations:
        return None
    seen = natd_hash(spi_i, spi_r, packed(path.remote), path.remote_port)
    own = natd_hash(spi_i, spi_r, packed(path.local), path.local_port) if path.local else b""
    return NatStatus(local=own not in destinations, remote=seen not in sources)


@lru_cache(1024)
def packed(address: str) -> bytes:
    """4 or 16 octets of an address in text; a zone ("%eth0") is left out."""
    return ip_address(address.partition("%")[0]).packed


def _hashes(notifies: tuple[NotifyPayload, ...], kind: NotifyType) -> tuple[bytes, ...]:
    return tuple(notify.data for notify in notifies if notify.type == kind)[:MAX_HASHES]

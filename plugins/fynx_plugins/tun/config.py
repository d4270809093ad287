"""The section ``host.plane.tun`` and the numbers derived from it."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Literal

OUTER_MTU = 1500
SMALLEST_MTU = 1280
"""IPv6 needs this much (RFC 8200 section 5)."""
_DEVICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")


@dataclass(frozen=True, slots=True)
class TunConfig:
    """The device and the routes of the tunnels.

    ``mtu``: ``auto`` fits every suite into an outer path of 1500 octets. ``table``: number of the routing table, by
    default made from the host's name. ``routes``: False leaves all routing to the administrator (and fails open).
    ``firewall``: False gives up the nftables rules for DISCARD and for clear packets that arrive from outside.
    """

    device: str = "fynx0"
    mtu: int | Literal["auto"] = "auto"
    table: int | None = None
    routes: bool = True
    firewall: bool = True
    capacity: int = 4096

    def __post_init__(self) -> None:
        if not _DEVICE.fullmatch(self.device):
            raise ValueError(f"{self.device!r} is no device name: letters, digits and _.- up to 15 of them")
        if self.mtu != "auto" and not SMALLEST_MTU <= self.mtu <= 65000:
            raise ValueError(f"mtu {self.mtu} is not between {SMALLEST_MTU} and 65000; `auto` is safe")
        if self.table is not None and not 256 <= self.table < 1 << 31:
            raise ValueError("table must be 256 or more: lower numbers belong to the system")


def inner_mtu(outer: int = OUTER_MTU) -> int:
    """The largest inner packet that fits ``outer`` with every suite we have: IPv6, UDP, ESP, AES-CBC, HMAC-SHA2-512.

    Outer IPv6 40, UDP 8, SPI and sequence number 8, IV 16, ICV 32; the rest is whole blocks of 16 that end in two
    octets of trailer (RFC 4303 section 2): 1390 for 1500.
    """
    room = outer - 40 - 8 - 8 - 16 - 32
    return max(room // 16 * 16 - 2, SMALLEST_MTU)


def table_of(config: TunConfig, host: str) -> int:
    """Routing table, firewall mark and rule number of a host: one number made from its name, stable over restarts."""
    return config.table if config.table is not None else 20000 + zlib.crc32(host.encode()) % 10000

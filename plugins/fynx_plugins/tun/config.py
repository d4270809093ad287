"""The section ``host.plane.tun`` and the numbers derived from it."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from typing import Literal

from fynx.plugin import EngineOptions

OUTER_MTU = 1500
SMALLEST_MTU = 1280
"""IPv6 needs this much (RFC 8200 section 5)."""
_DEVICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")


@dataclass(frozen=True, slots=True)
class Offloads:
    """What the kernel may do for many packets at once; each is used where it is there, and can be turned off.

    ``vnet``: frames of many packets from and to the device; ``uso``: of UDP too. ``gso``: datagrams sent in batches.
    ``gro``: datagrams received in batches.
    """

    vnet: Literal["auto", "off"] = "auto"
    uso: Literal["auto", "off"] = "auto"
    gso: Literal["auto", "off"] = "auto"
    gro: Literal["auto", "off"] = "auto"


@dataclass(frozen=True, slots=True)
class TunConfig:
    """The device and the routes of the tunnels.

    ``mtu``: ``auto`` fits every suite into an outer path of 1500 octets. ``table``: number of the routing table, by
    default made from the host's name. ``routes``: False leaves all routing to the administrator (and fails open).
    ``firewall``: False gives up the nftables rules for DISCARD and for clear packets that arrive from outside.
    ``workers``: queues of the device, each with a thread for either direction; ``auto``: one for each processor on
    which we may run. ``spin_us``: how long a thread looks
    again before it sleeps: lower latency for a processor's time. ``cpus``: what threads are bound to, in turn.
    """

    device: str = "fynx0"
    mtu: int | Literal["auto"] = "auto"
    table: int | None = None
    routes: bool = True
    firewall: bool = True
    capacity: int = 4096
    offloads: Offloads = field(default_factory=Offloads)
    workers: int | Literal["auto"] = 1
    spin_us: int = 0
    cpus: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not _DEVICE.fullmatch(self.device):
            raise ValueError(f"{self.device!r} is no device name: letters, digits and _.- up to 15 of them")
        if self.mtu != "auto" and not SMALLEST_MTU <= self.mtu <= 65000:
            raise ValueError(f"mtu {self.mtu} is not between {SMALLEST_MTU} and 65000; `auto` is safe")
        if self.table is not None and not 256 <= self.table < 1 << 31:
            raise ValueError("table must be 256 or more: lower numbers belong to the system")
        if self.workers != "auto" and not 1 <= self.workers <= 15:
            raise ValueError(f"workers {self.workers} is not between 1 and 15; `auto` is one for each processor")
        if not 0 <= self.spin_us <= 1000:
            raise ValueError(f"spin_us {self.spin_us} is not between 0 and 1000")
        if len(self.cpus) > 64 or any(not 0 <= cpu < 1024 for cpu in self.cpus):
            raise ValueError("cpus are up to 64 numbers of processors from 0 to 1023")

    @property
    def engine(self) -> EngineOptions:
        """The same as the engine wants it."""
        each = self.offloads
        return EngineOptions(each.vnet, each.uso, each.gso, each.gro, self.spin_us, self.cpus)


def inner_mtu(outer: int = OUTER_MTU) -> int:
    """The largest inner packet that fits ``outer`` with every suite we have: IPv6, UDP, ESP, AES-CBC, HMAC-SHA2-512.

    Outer IPv6 40, UDP 8, SPI and sequence number 8, IV 16, ICV 32; the rest is whole blocks of 16 that end in two
    octets of trailer (RFC 4303 section 2): 1390 for 1500.
    """
    room = outer - 40 - 8 - 8 - 16 - 32
    return max(room // 16 * 16 - 2, SMALLEST_MTU)


def largest_frame(mtu: int) -> int:
    """What the device may hand over at once (IFLA_GSO_MAX_SIZE): its packets, sealed, must fit one batch of datagrams.

    A batch holds 64 datagrams and 65507 octets; AES-GCM adds 37 to a packet at most.
    """
    segments = min(64, 65507 // (mtu + 8 + 8 + 5 + 16))
    return min(max(segments, 1) * (mtu - 52) + 52, 65535)


def table_of(config: TunConfig, host: str) -> int:
    """Routing table, firewall mark and rule number of a host: one number made from its name, stable over restarts."""
    return config.table if config.table is not None else 20000 + zlib.crc32(host.encode()) % 10000

"""The section ``host.transport.tcp``."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class TcpConfig:
    """Where streams are accepted, and how much of the machine they may hold.

    ``port`` 0 lets the system choose. ``stall_s``: how long a prefix or a message may stay unfinished.
    """

    listen: tuple[str, ...] = ("0.0.0.0", "::")  # noqa: S104  a gateway serves all its addresses by default
    port: int = 4500
    streams: int = 1024
    streams_per_source: int = 64
    stall_s: float = 10.0
    idle_s: float = 300.0
    encap: Literal["always"] = "always"

    def __post_init__(self) -> None:
        if not self.listen:
            raise ValueError("listen needs at least one address, for example 0.0.0.0")
        for address in self.listen:
            ipaddress.ip_address(address)
        if self.port == 500 or not 0 <= self.port <= 65535:
            raise ValueError("port is a number up to 65535, and not 500: there IKE has no non-ESP marker")
        if min(self.streams, self.streams_per_source) < 1 or min(self.stall_s, self.idle_s) <= 0:
            raise ValueError("streams, streams_per_source, stall_s and idle_s are above zero")

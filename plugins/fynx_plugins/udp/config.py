"""The section ``host.transport.udp``."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class UdpConfig:
    """Where IKE and ESP-in-UDP are received.

    ``listen``: local addresses, IPv4 and IPv6. ``ports``: the IKE port, then the one for NAT traversal; 0 lets the
    system choose. ``encap``: ``always`` puts ESP into UDP even without a NAT; ``auto`` only where a NAT was detected,
    and else sends it as IP protocol 50, a packet at a time (needs CAP_NET_RAW).
    """

    listen: tuple[str, ...] = ("0.0.0.0", "::")  # noqa: S104  a VPN gateway serves all its addresses by default
    ports: tuple[int, ...] = (500, 4500)
    encap: Literal["always", "auto"] = "always"

    def __post_init__(self) -> None:
        if not self.listen:
            raise ValueError("listen needs at least one address, for example 0.0.0.0")
        for address in self.listen:
            ipaddress.ip_address(address)
        if len(self.ports) not in (1, 2):
            raise ValueError("ports needs one or two numbers, for example [500, 4500]")
        for port in self.ports:
            if not 0 <= port <= 65535:
                raise ValueError(f"port {port} is not between 0 and 65535")
        if len(self.ports) == 2 and self.ports[0] == self.ports[1] != 0:
            raise ValueError("the two ports must differ")

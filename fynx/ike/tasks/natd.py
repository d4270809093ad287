"""NAT detection and the move to port 4500 (RFC 7296 section 2.23)."""

from __future__ import annotations

from dataclasses import replace

from fynx.events import NatDetected
from fynx.ike.exchange import every
from fynx.ike.natd import detect, natd_notifies
from fynx.ike.sa import IkeSa
from fynx.plugin.extension import Incoming, Outgoing, Steps
from fynx.plugin.transport import Path
from fynx.wire.payload import NotifyPayload

IKE_PORT = 500
NAT_PORT = 4500
NO_SPI = bytes(8)


class NatDetectionTask:
    def __init__(self, sa: IkeSa) -> None:
        self.sa = sa

    def build(self, out: Outgoing) -> Steps:
        sa = self.sa
        force = sa.policies.encapsulates  # both sides then encapsulate in UDP
        out.add(*natd_notifies(sa.spi_i, sa.spi_r if out.response else NO_SPI, sa.path, force=force))
        return None

    def process(self, message: Incoming) -> Steps:
        sa = self.sa
        spi_r = sa.spi_r if message.response else NO_SPI
        sa.nat = detect(sa.spi_i, spi_r, sa.path, every(message, NotifyPayload))
        if sa.nat is not None and sa.nat.found:
            sa.emit(NatDetected(sa.peer, sa.nat.local, sa.nat.remote))
        if message.response:
            sa.path = floated(sa)
        return None


def floated(sa: IkeSa) -> Path:
    """The path of IKE_AUTH and all that follows: 4500 where a NAT was found or encapsulation is wanted."""
    wanted = sa.policy.encap == "always" or (sa.nat is not None and sa.nat.found)
    if not wanted or sa.path.local_port != IKE_PORT:
        return sa.path
    return replace(sa.path, local_port=NAT_PORT, remote_port=NAT_PORT)

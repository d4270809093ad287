"""What anybody may say of a peer (RFC 7296 section 2.4), and what the peer says of ESP that it does not know (1.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fynx.ike.sa import IkeSa
from fynx.ike.states import ChildState
from fynx.wire.iana import ExchangeType

if TYPE_CHECKING:
    from fynx.ike.endpoint import Endpoint

HINT_EVERY_S = 10.0
"""At most one liveness check per SA in this time, whatever strangers say (section 2.21.4)."""

HINTED = "core/invalid_spi"
"""Note with the handle of the child that the peer does not know."""


def invalid_spi(sa: IkeSa, data: bytes) -> None:
    """The peer does not know the SPI that we send on. A hint, no more: a rekey finds out, and heals it (section
    2.25)."""
    child = next((one for one in sa.children.values() if one.spi_out.to_bytes(4, "big") == data), None)
    if child is not None and child.state is ChildState.ACTIVE:
        sa.notes[HINTED] = child.handle


def suspect(endpoint: Endpoint, sa: IkeSa, why: str) -> None:
    """Somebody who proved nothing says that the peer is gone: it is asked, rarely, and nothing else changes (2.4)."""
    if sa.hinted_at is not None and endpoint.now - sa.hinted_at < HINT_EVERY_S:
        endpoint.count("hints_ignored")
        return
    sa.hinted_at = endpoint.now
    endpoint.count(f"hint_{why}")
    if sa.exchange is None:
        endpoint.count("liveness_checks")
        sa.start(ExchangeType.INFORMATIONAL, liveness=True)
        endpoint.pump(sa)

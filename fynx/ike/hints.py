"""What a peer says about ESP that it does not know (RFC 7296 section 1.5): kept until the exchange is over."""

from __future__ import annotations

from fynx.ike.sa import IkeSa
from fynx.ike.states import ChildState

HINTED = "core/invalid_spi"
"""Note with the handle of the child that the peer does not know."""


def invalid_spi(sa: IkeSa, data: bytes) -> None:
    """The peer does not know the SPI that we send on. A hint, no more: a rekey finds out, and heals it (section
    2.25)."""
    child = next((one for one in sa.children.values() if one.spi_out.to_bytes(4, "big") == data), None)
    if child is not None and child.state is ChildState.ACTIVE:
        sa.notes[HINTED] = child.handle

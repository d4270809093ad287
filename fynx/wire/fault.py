"""How the codec refuses what it reads (RFC 7296 section 2.21)."""

from __future__ import annotations

from fynx.errors import PeerFault
from fynx.wire.iana_notify import NotifyType


def syntax(why: str) -> PeerFault:
    """The refusal of a malformed body, to raise. ``why`` is for people; it quotes numbers, never the peer's octets."""
    return PeerFault(NotifyType.INVALID_SYNTAX, why)

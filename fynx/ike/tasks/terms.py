"""What stands beside a Child SA's payloads: its mode, and two things that a data plane may not do (RFC 7296 section
1.3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fynx.errors import PeerFault
from fynx.ike.exchange import notify
from fynx.ike.policy import ChildPolicy
from fynx.plugin.extension import Incoming
from fynx.wire.iana import NotifyType
from fynx.wire.payload import NotifyPayload

Mode = Literal["tunnel", "transport"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What the peer says. NON_FIRST_FRAGMENTS_ALSO is no part of it: an SA of ours with ports never carries later
    fragments, and who leaves it out of the answer has declined it."""

    transport: bool
    tfc_allowed: bool
    more: bool
    """Other selectors would be taken too, in another SA (section 2.9)."""


def heard(message: Incoming) -> Terms:
    return Terms(
        transport=notify(message, NotifyType.USE_TRANSPORT_MODE) is not None,
        tfc_allowed=notify(message, NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED) is None,
        more=notify(message, NotifyType.ADDITIONAL_TS_POSSIBLE) is not None,
    )


def said(mode: Mode) -> tuple[NotifyPayload, ...]:
    """What we say. Nothing tells the end of a packet whose IP header is gone: there is no padding behind it (RFC 4303
    section 2.7)."""
    if mode == "tunnel":
        return ()
    return NotifyPayload(NotifyType.USE_TRANSPORT_MODE), NotifyPayload(NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED)


def check_answer(policy: ChildPolicy, terms: Terms) -> None:
    """Raises ``PeerFault`` for another mode than ours: whoever made the SA takes it back (section 1.3.1)."""
    if policy.mode == "transport" and not terms.transport:
        why = "the peer declined transport mode and would make a tunnel, which our policy does not allow"
        raise PeerFault(NotifyType.USE_TRANSPORT_MODE, why)
    if policy.mode == "tunnel" and terms.transport:
        raise PeerFault(NotifyType.USE_TRANSPORT_MODE, "the peer answered transport mode, which we did not ask for")

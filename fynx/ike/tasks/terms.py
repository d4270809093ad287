"""What stands beside a Child SA's payloads: its mode, and two things that a data plane may not do (RFC 7296 section
1.3.1)."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from fynx.errors import PeerFault
from fynx.ike.exchange import notify
from fynx.ike.policy import ChildPolicy
from fynx.plugin.dataplane import Aggregation
from fynx.plugin.extension import Incoming
from fynx.record import record
from fynx.wire.iana import NotifyType
from fynx.wire.payload import NotifyPayload

Mode = Literal["tunnel", "transport"]
NOTHING_REQUIRED, DO_NOT_FRAGMENT, CONGESTION_CONTROL = 0, 1, 2


@record
class Terms:
    """What the peer says. NON_FIRST_FRAGMENTS_ALSO is no part of it: an SA of ours with ports never carries later
    fragments, and who leaves it out of the answer has declined it."""

    transport: bool
    tfc_allowed: bool
    more: bool
    """Other selectors would be taken too, in another SA (section 2.9)."""
    aggfrag: int | None = None
    """What it requires of aggregated payloads (RFC 9347 section 6.1.4); None: it wants none."""


def heard(message: Incoming) -> Terms:
    return Terms(
        transport=notify(message, NotifyType.USE_TRANSPORT_MODE) is not None,
        tfc_allowed=notify(message, NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED) is None,
        more=notify(message, NotifyType.ADDITIONAL_TS_POSSIBLE) is not None,
        aggfrag=_requirements(notify(message, NotifyType.USE_AGGFRAG)),
    )


def said(mode: Mode, aggregation: Aggregation | None = None) -> tuple[NotifyPayload, ...]:
    """What we say. Nothing tells the end of a packet whose IP header is gone: there is no padding behind it (RFC 4303
    section 2.7)."""
    if mode == "tunnel":
        return () if aggregation is None else (NotifyPayload(NotifyType.USE_AGGFRAG, data=bytes([NOTHING_REQUIRED])),)
    return NotifyPayload(NotifyType.USE_TRANSPORT_MODE), NotifyPayload(NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED)


def check_answer(policy: ChildPolicy, terms: Terms) -> None:
    """Raises ``PeerFault`` for another mode than ours: whoever made the SA takes it back (section 1.3.1)."""
    if policy.mode == "transport" and not terms.transport:
        why = "the peer declined transport mode and would make a tunnel, which our policy does not allow"
        raise PeerFault(NotifyType.USE_TRANSPORT_MODE, why)
    if policy.mode == "tunnel" and terms.transport:
        raise PeerFault(NotifyType.USE_TRANSPORT_MODE, "the peer answered transport mode, which we did not ask for")
    if terms.aggfrag is not None and aggregation(policy, terms) is None:
        why = "the peer answered aggregated payloads that we did not ask for, or wants congestion control of them"
        raise PeerFault(NotifyType.USE_AGGFRAG, why)


def aggregation(policy: ChildPolicy, terms: Terms) -> Aggregation | None:
    """How we send when both want aggregated payloads; without what we cannot meet (RFC 9347 section 5.1)."""
    wanted, flags = policy.aggregation, terms.aggfrag
    if wanted is None or flags is None or flags & CONGESTION_CONTROL or policy.mode != "tunnel" or terms.transport:
        return None
    return replace(wanted, whole=wanted.whole or bool(flags & DO_NOT_FRAGMENT))


def _requirements(found: NotifyPayload | None) -> int | None:
    return found.data[0] if found is not None and len(found.data) == 1 else None

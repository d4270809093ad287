"""Answers in clear to messages outside any IKE SA: one each, rate limited (RFC 7296 sections 2.5, 2.6, 2.21.4)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fynx.errors import Drop, Dropped
from fynx.ike import crash
from fynx.ike.effects import Transmit
from fynx.plugin.transport import Path
from fynx.wire.header import Header
from fynx.wire.iana import NotifyType
from fynx.wire.message import encode_message
from fynx.wire.payload import NotifyPayload

if TYPE_CHECKING:
    from fynx.ike.endpoint import Endpoint


def wrong_version(endpoint: Endpoint, header: Header, path: Path) -> None:
    """Raises ``Dropped``, after INVALID_MAJOR_VERSION to a request of a version to come."""
    if header.major > 2 and not header.response:
        in_clear(endpoint, header, path, NotifyPayload(NotifyType.INVALID_MAJOR_VERSION))
    raise Dropped(Drop.VERSION, f"major version {header.major}")


def unknown(endpoint: Endpoint, header: Header, path: Path) -> None:
    """Raises ``Dropped``, after INVALID_IKE_SPI to a request, with the token of a lost SA (RFC 6290 section 4.5)."""
    if not header.response:
        in_clear(endpoint, header, path, NotifyPayload(NotifyType.INVALID_IKE_SPI), *crash.proof(endpoint, header))
    raise Dropped(Drop.UNKNOWN_SPI, "no such IKE SA")


def stranger(endpoint: Endpoint, header: Header, path: Path, data: bytes) -> None:
    """No SA: perhaps the repeated request of one that has just gone."""
    last = None if header.response else endpoint.epitaphs.find(endpoint.now, header, data)
    if last is None:
        unknown(endpoint, header, path)
        return
    endpoint.count("retransmitted_responses")
    for datagram in last.datagrams:
        endpoint.effect(Transmit(path, datagram))


def in_clear(endpoint: Endpoint, header: Header, path: Path, *notify: NotifyPayload, limited: bool = True) -> None:
    """One unprotected answer with the SPIs and the message id of what it answers, and never longer than that (with a
    token by 3 octets at most, and that only to what looks like a protected message).

    Not ``limited``: cookies, and what IKE_SA_INIT ends with. Strangers would use the limit up, and who means it would
    wait in vain.
    """
    answer = replace(header, initiator=not header.initiator, response=True, major=2, minor=0, version_flag=False)
    data = encode_message(answer, notify)
    if len(data) > header.length + (crash.SLACK if len(notify) > 1 else 0):
        return
    if limited and not endpoint.admission.replies.take(endpoint.now):
        endpoint.count(f"drop_{Drop.RATE_LIMITED.value}")
        return
    endpoint.effect(Transmit(path, data))

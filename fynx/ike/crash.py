"""Quick crash detection: tokens by which a peer that restarted proves that it lost an IKE SA (RFC 6290).

A token is a MAC (keyed BLAKE2s) of both SPIs under a secret that survives the restart, of 16 octets, so that
the answer to an empty INFORMATIONAL is hardly longer than that. While the SA lives nobody gets it but the peer, inside
the SA.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from hashlib import blake2s
from typing import TYPE_CHECKING

from fynx.events import CrashDetected
from fynx.wire.header import Header
from fynx.wire.iana import NotifyType, PayloadType, Protocol
from fynx.wire.payload import NotifyPayload

if TYPE_CHECKING:
    from fynx.ike.endpoint import Endpoint
    from fynx.ike.sa import IkeSa

SHORTEST, LONGEST, OURS = 16, 128, 16
"""Octets of a token (section 5)."""
TRIED = 4
"""Tokens of one message that are compared (section 4.5)."""
SLACK = 8
"""How many octets the answer with a token may be longer than what it answers."""
PROTECTED = (PayloadType.SK, PayloadType.SKF)


def token(secret: bytes, spi_i: bytes, spi_r: bytes) -> bytes:
    return blake2s(spi_i + spi_r, digest_size=OURS, key=secret, person=b"fynxtokn").digest()


def as_notify(secret: bytes, spi_i: bytes, spi_r: bytes) -> NotifyPayload:
    return NotifyPayload(NotifyType.QUICK_CRASH_DETECTION, token(secret, spi_i, spi_r), Protocol.IKE)


def acceptable(shown: bytes) -> bool:
    return SHORTEST <= len(shown) <= LONGEST


def proof(endpoint: Endpoint, header: Header) -> tuple[NotifyPayload, ...]:
    """The token for a protected request on an IKE SA that is gone; nothing while one with these SPIs lives (row S14).

    The lookup of messages goes by the Initiator flag, which anybody can turn: here both SPIs count, in either role.
    """
    secret = endpoint.policy.crash_secret
    if not secret or header.next_payload not in PROTECTED or endpoint.spis.lives(header.spi_i, header.spi_r):
        return ()
    return (as_notify(secret, header.spi_i, header.spi_r),)


def detected(endpoint: Endpoint, sa: IkeSa, notifies: Iterable[NotifyPayload]) -> bool:
    """Whether one of the tokens is the peer's: the SA is then discarded without a word. A wrong one changes nothing."""
    shown = [one.data for one in notifies if one.type == NotifyType.QUICK_CRASH_DETECTION][:TRIED]
    if not shown or not sa.crash_token:
        return False
    # All are compared, so that the time does not tell which one was nearly right.
    right = [hmac.compare_digest(sa.crash_token, one) for one in shown]
    if not any(right):
        endpoint.count("crash_tokens_refused")
        return False
    endpoint.count("crashes_detected")
    endpoint.emit(CrashDetected(sa.peer, sa.spi_i.hex(), sa.spi_r.hex()))
    sa.cause = "dead"
    endpoint.drop(sa, "the peer lost its state (RFC 6290)")
    return True

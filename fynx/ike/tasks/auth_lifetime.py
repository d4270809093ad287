"""AUTH_LIFETIME: how long an authentication holds; the initiator authenticates again in time (RFC 4478 section 2)."""

from __future__ import annotations

from fynx.ike.exchange import notify
from fynx.ike.sa import IkeSa
from fynx.plugin.extension import Incoming, Outgoing, Steps
from fynx.wire.iana import ExchangeType, NotifyType
from fynx.wire.payload import NotifyPayload

NOTE = "auth_lifetime_s"
LEAST_S = 60
"""A shorter life that a peer asks for is taken as this: nobody makes us authenticate in a storm (row C23)."""


class AuthLifetimeTask:
    """The original responder tells its limit in the IKE_AUTH response, or later in an INFORMATIONAL."""

    def __init__(self, sa: IkeSa) -> None:
        self.sa = sa

    def build(self, out: Outgoing) -> Steps:
        if out.response and out.exchange == ExchangeType.IKE_AUTH and not self.sa.initiator and self.sa.policy.reauth_s:
            seconds = int(self.sa.policy.reauth_s)
            out.add(NotifyPayload(NotifyType.AUTH_LIFETIME, seconds.to_bytes(4, "big")))
        return None

    def process(self, message: Incoming) -> Steps:
        told = notify(message, NotifyType.AUTH_LIFETIME)
        if told is not None and len(told.data) == 4 and self.sa.initiator:
            self.sa.notes[NOTE] = max(LEAST_S, int.from_bytes(told.data, "big"))
        return None

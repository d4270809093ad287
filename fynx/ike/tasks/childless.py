"""Childless initiation: an IKE SA without a first Child SA, where the responder says that it can (RFC 6023)."""

from __future__ import annotations

from fynx.ike.exchange import notify
from fynx.ike.sa import IkeSa
from fynx.plugin.extension import Incoming, Outgoing, Steps
from fynx.wire.iana import NotifyType
from fynx.wire.payload import NotifyPayload

NOTE = "childless"


class ChildlessTask:
    """N(CHILDLESS_IKEV2_SUPPORTED) in the IKE_SA_INIT response; the initiator remembers it."""

    def __init__(self, sa: IkeSa) -> None:
        self.sa = sa

    def build(self, out: Outgoing) -> Steps:
        if out.response and any(policy.childless for policy in self.sa.policies):
            out.add(NotifyPayload(NotifyType.CHILDLESS_IKEV2_SUPPORTED))
        return None

    def process(self, message: Incoming) -> Steps:
        if message.response and notify(message, NotifyType.CHILDLESS_IKEV2_SUPPORTED) is not None:
            self.sa.notes[NOTE] = True
        return None

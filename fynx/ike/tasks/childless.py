"""Childless initiation: an IKE SA without a first Child SA, where the responder says that it can (RFC 6023)."""

from __future__ import annotations

from fynx.errors import PeerFault
from fynx.ike.exchange import every, maybe, notify
from fynx.ike.sa import IkeSa
from fynx.plugin.extension import Incoming, Outgoing, Steps
from fynx.wire.iana import NotifyType
from fynx.wire.payload import IdPayload, NotifyPayload, TsPayload

NOTE = "childless"
OFFERED = "childless offered"


class ChildlessTask:
    """N(CHILDLESS_IKEV2_SUPPORTED) in the IKE_SA_INIT response; the initiator remembers it."""

    def __init__(self, sa: IkeSa) -> None:
        self.sa = sa

    def build(self, out: Outgoing) -> Steps:
        if out.response and self.sa.policies.childless:
            out.add(NotifyPayload(NotifyType.CHILDLESS_IKEV2_SUPPORTED))
            self.sa.notes[OFFERED] = True
        return None

    def process(self, message: Incoming) -> Steps:
        if message.response and notify(message, NotifyType.CHILDLESS_IKEV2_SUPPORTED) is not None:
            self.sa.notes[NOTE] = True
        return None


def expect(sa: IkeSa, message: Incoming) -> None:
    """An IKE_AUTH request without proposals: one that may do without a child leaves its selectors out too, and was told
    that it may (sections 3, 5). Else it lacks what RFC 7296 section 1.2 demands. Later rounds say no identity."""
    if maybe(message, IdPayload, initiator=True) is None:
        return
    if OFFERED not in sa.notes or every(message, TsPayload):
        raise PeerFault(NotifyType.INVALID_SYNTAX, "the request lacks proposals or selectors")

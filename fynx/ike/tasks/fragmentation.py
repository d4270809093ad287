"""Both sides say in IKE_SA_INIT that they take fragments (RFC 7383 section 2.3)."""

from __future__ import annotations

from fynx.ike.exchange import notify
from fynx.ike.sa import IkeSa
from fynx.plugin.extension import Incoming, Outgoing, Steps
from fynx.wire.iana import NotifyType
from fynx.wire.payload import NotifyPayload

SUPPORTED = NotifyType.IKEV2_FRAGMENTATION_SUPPORTED


class FragmentationTask:
    """Offers fragmentation, and accepts it, where every policy in question allows it."""

    def __init__(self, sa: IkeSa) -> None:
        self.sa = sa

    def build(self, out: Outgoing) -> Steps:
        if self.sa.fragmenting.negotiated if out.response else self.sa.policies.fragmentation:
            out.add(NotifyPayload(SUPPORTED))
        return None

    def process(self, message: Incoming) -> Steps:
        self.sa.fragmenting.negotiated = self.sa.policies.fragmentation and notify(message, SUPPORTED) is not None
        return None

"""SET_WINDOW_SIZE: how many requests of the peer we keep state for (RFC 7296 section 2.3)."""

from __future__ import annotations

from fynx.ike.exchange import notify
from fynx.ike.sa import IkeSa
from fynx.plugin.extension import Incoming, Outgoing, Steps
from fynx.wire.iana import NotifyType
from fynx.wire.payload import NotifyPayload

SIZE = NotifyType.SET_WINDOW_SIZE


class WindowTask:
    """Told in the first protected message of an IKE SA, also of one made by a rekey, which starts at 1 again."""

    def __init__(self, sa: IkeSa) -> None:
        self.sa = sa

    def build(self, out: Outgoing) -> Steps:
        window, wanted = self.sa.window, self.sa.policies[0].window
        if wanted > 1 and not window.told:
            window.told, window.size = True, wanted
            out.add(NotifyPayload(SIZE, wanted.to_bytes(4, "big")))
        return None

    def process(self, message: Incoming) -> Steps:
        told = notify(message, SIZE)
        if told is not None and len(told.data) == 4:
            self.sa.window.offered(min(int.from_bytes(told.data, "big"), self.sa.policies[0].window))
        return None

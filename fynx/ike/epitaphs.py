"""The last response of an IKE SA that is gone: when it was lost, the peer repeats its request and gets it again
(RFC 7296 sections 1.4.1, 2.1). Without it a peer that deletes could never learn that it was heard."""

from __future__ import annotations

from collections import OrderedDict

from fynx.ike.fitting import Message
from fynx.ike.sa import IkeSa
from fynx.ike.window import digest
from fynx.record import record
from fynx.wire.header import Header

KEPT_S = 180.0
"""Longer than peers retransmit (section 2.4)."""
MOST = 1024

Key = tuple[bytes, bytes, bool]
"""Both SPIs, and whether the peer is the original initiator."""


@record
class Epitaph:
    request: bytes
    response: Message
    until: float


class Epitaphs:
    """Bounded in number and time. Only octet for octet the same request is answered: it proves nothing else."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, Epitaph] = OrderedDict()

    def keep(self, now: float, sa: IkeSa) -> None:
        last = sa.window.last_answered
        if last is None or sa.protector is None:
            return
        self._expire(now)
        request, response = last
        self._kept[(sa.spi_i, sa.spi_r, not sa.initiator)] = Epitaph(request, response, now + KEPT_S)
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)

    def find(self, now: float, header: Header, data: bytes) -> Message | None:
        self._expire(now)
        kept = self._kept.get((header.spi_i, header.spi_r, header.initiator))
        return kept.response if kept is not None and kept.request == digest(data) else None

    def _expire(self, now: float) -> None:
        while self._kept and next(iter(self._kept.values())).until <= now:
            self._kept.popitem(last=False)

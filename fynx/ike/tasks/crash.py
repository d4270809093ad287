"""Hands crash tokens over inside the IKE SA: in IKE_AUTH, and for the new SA after a rekey (RFC 6290 sections 4.2 to
4.4)."""

from __future__ import annotations

from collections.abc import Mapping

from fynx.ike.crash import acceptable, as_notify
from fynx.ike.exchange import maybe, notify
from fynx.ike.sa import IkeSa
from fynx.plugin.extension import Incoming, Outgoing
from fynx.wire.iana import ExchangeType, NotifyType, Protocol
from fynx.wire.payload import AuthPayload, SaPayload

INFORM = "crash_token"
"""Option of an INFORMATIONAL exchange that brings the peer our token."""


class CrashTask:
    """One of these takes part in IKE_AUTH, CREATE_CHILD_SA and INFORMATIONAL; most of the time it has nothing to do."""

    def __init__(self, sa: IkeSa, exchange: int, options: Mapping[str, object]) -> None:
        self.sa, self.exchange, self.options = sa, exchange, options

    def build(self, out: Outgoing) -> None:
        secret = self.sa.services.policy.crash_secret
        if not secret:
            return
        with_auth = any(isinstance(one, AuthPayload) for one in out.payloads)
        if with_auth or (INFORM in self.options and not out.response):
            out.add(as_notify(secret, self.sa.spi_i, self.sa.spi_r))
        elif out.response and self.sa.rival is not None and any(map(_of_ike, out.payloads)):
            new = self.sa.rival.sa
            out.add(as_notify(secret, new.spi_i, new.spi_r))

    def process(self, message: Incoming) -> None:
        shown = notify(message, NotifyType.QUICK_CRASH_DETECTION)
        data = shown.data if shown is not None and acceptable(shown.data) else b""
        if self.exchange != ExchangeType.CREATE_CHILD_SA:
            self.sa.crash_token = data or self.sa.crash_token
            return
        answer = maybe(message, SaPayload)
        new = self.sa.successor
        if not message.response or new is None or answer is None or not _of_ike(answer):
            return
        if new.spi_r != answer.proposals[0].spi:
            return  # the peer's own rekey won
        new.crash_token = data
        if self.sa.services.policy.crash_secret:
            new.start(ExchangeType.INFORMATIONAL, **{INFORM: True})


def _of_ike(payload: object) -> bool:
    return isinstance(payload, SaPayload) and any(one.protocol == Protocol.IKE for one in payload.proposals)

"""The key exchange inside CREATE_CHILD_SA, for PFS and for a new IKE SA (RFC 7296 sections 1.3, 2.17, 2.18)."""

from __future__ import annotations

import struct
from collections.abc import Generator
from typing import Any

from fynx.errors import CryptoError, PeerFault
from fynx.ike.exchange import maybe
from fynx.plugin.crypto import Offer
from fynx.plugin.extension import Incoming, Outgoing, Running
from fynx.plugin.work import KexAnswer, KexFinish, KexStart
from fynx.wire.iana import Ke, NotifyType, TransformType, name_of
from fynx.wire.payload import KePayload, NotifyPayload
from fynx.wire.proposal import Proposal


class Kex:
    """One side's part. ``shared`` is empty where no exchange was agreed."""

    def __init__(self, method: int = 0) -> None:
        self.method = method
        self.offer: Offer | None = None
        self.public = self.shared = b""

    def propose(self, offered: tuple[Proposal, ...], out: Outgoing) -> Running:
        """KEi for the first method offered, or for the one that the peer asked for; nothing without PFS."""
        methods = methods_of(offered)
        if not methods:
            return
        self.method = self.method if self.method in methods else methods[0]
        self.offer = yield KexStart(self.method)
        assert self.offer is not None
        out.add(KePayload(self.method, self.offer.public))

    def finish(self, agreed: int, message: Incoming) -> Running:
        """The initiator's end: the peer's KEr must fit what it chose."""
        ke = maybe(message, KePayload)
        if not agreed:
            return
        if ke is None or self.offer is None or not ke.method == agreed == self.method:
            raise PeerFault(NotifyType.INVALID_SYNTAX, "the key exchange is not the one that was agreed")
        if ke.data == self.offer.public:
            raise PeerFault(NotifyType.INVALID_SYNTAX, "the peer's public value is our own")
        self.shared = yield from _guarded(KexFinish(self.offer, ke.data))

    def accept(self, agreed: int, message: Incoming) -> Running:
        """The responder's: another method than we want is INVALID_KE_PAYLOAD with ours."""
        if not agreed:
            return
        ke = maybe(message, KePayload)
        if ke is None or ke.method != agreed:
            sent = name_of(Ke, ke.method) if ke is not None else "none"
            why = f"we want {name_of(Ke, agreed)}, the peer sent {sent}"
            raise PeerFault(NotifyType.INVALID_KE_PAYLOAD, why, struct.pack("!H", agreed))
        self.method = agreed
        self.public, self.shared = yield from _guarded(KexAnswer(agreed, ke.data))
        if self.public == ke.data:
            raise PeerFault(NotifyType.INVALID_SYNTAX, "the peer's public value is our own")

    def payloads(self) -> list[KePayload]:
        """KEr."""
        return [KePayload(self.method, self.public)] if self.public else []


def methods_of(offered: tuple[Proposal, ...]) -> list[int]:
    """Key exchange methods in order of preference, NONE left out."""
    return list(dict.fromkeys(one.id for each in offered for one in each.of_type(TransformType.KE) if one.id))


def wanted_method(refusal: NotifyPayload, offered: tuple[Proposal, ...], tried: int) -> int:
    """The method that INVALID_KE_PAYLOAD names, when it can be followed; else 0."""
    if refusal.type != NotifyType.INVALID_KE_PAYLOAD or len(refusal.data) != 2:
        return 0
    method = int.from_bytes(refusal.data, "big")
    return method if method in methods_of(offered) and method != tried else 0


def _guarded(work: KexFinish | KexAnswer) -> Generator[Any, Any, Any]:
    try:
        outcome = yield work
    except CryptoError as error:
        raise PeerFault(NotifyType.INVALID_SYNTAX, f"the peer's public value: {error}") from None
    return outcome

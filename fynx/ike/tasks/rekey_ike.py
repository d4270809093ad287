"""A new IKE SA in place of an old one, which hands over its Child SAs (RFC 7296 sections 1.3.2, 2.8, 2.8.2, 2.18,
2.25.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fynx.errors import FynxError, PeerFault
from fynx.events import ChildRefused, RekeyStarted
from fynx.ike.exchange import first_error, maybe, one
from fynx.ike.keymat import expand_ike, rekey_skeyseed
from fynx.ike.negotiate import Choice, Refusal, check_ike_answer, choose_ike, offer_ike
from fynx.ike.protect import IkeSuite, Protector
from fynx.ike.sa import IkeSa, Successor
from fynx.ike.states import ChildState, IkeEvent, IkeState
from fynx.ike.tasks.kex import Kex, wanted_method
from fynx.ike.timers import Timer
from fynx.plugin.extension import Incoming, Outgoing, Running
from fynx.wire.iana import ExchangeType, NotifyType, Protocol, name_of
from fynx.wire.payload import NoncePayload, NotifyPayload, Payload, SaPayload
from fynx.wire.proposal import Proposal

NONCE_LEN = 32
SPI_LEN = 8
REFUSALS_BEFORE_CLOSING = 20
"""TEMPORARY_FAILUREs in a row, minutes of them, after which the two sides are out of step (section 2.25)."""
HARMLESS = {"rekey_ike", "liveness"}
"""Options of exchanges of ours that may die with an IKE SA which the peer replaces: they change no child."""


class RekeyIkeTask:
    """Options: ``rekey_ike`` (we start it), ``ke`` (the method that the peer asked for)."""

    def __init__(self, sa: IkeSa, options: Mapping[str, object]) -> None:
        self.sa, self.options = sa, options
        method = options.get("ke")
        self.kex = Kex(method if isinstance(method, int) else 0)
        self.ours = "rekey_ike" in options
        self.spi = self.ni = self.nr = b""
        self.offered: tuple[Proposal, ...] = ()
        self.answer: list[Payload] = []

    def build(self, out: Outgoing) -> Running:
        if out.response:
            out.add(*self.answer)
            return
        if not self.ours:
            return
        self.sa.advance(IkeEvent.START_REKEY)
        self.sa.emit(RekeyStarted(self.sa.peer, "", self.sa.spi_own.hex()))
        self.spi = self.sa.services.fresh_spi(initiator=True)
        self.offered = offer_ike(self.sa.policy.ike, self.spi)
        self.ni = self.sa.random(NONCE_LEN)
        out.add(SaPayload(self.offered), NoncePayload(self.ni))
        try:
            yield from self.kex.propose(self.offered, out)
        except FynxError:
            self._put_off()
            raise

    def process(self, message: Incoming) -> Running:
        if message.response:
            if self.ours and self.sa.state is IkeState.REKEYING:
                yield from self._finish(message)
            return
        offered = maybe(message, SaPayload)
        if offered is not None and any(proposal.protocol == Protocol.IKE for proposal in offered.proposals):
            yield from self._accept(message, offered)

    # Initiator.

    def _finish(self, message: Incoming) -> Running:
        try:
            yield from self._complete(message)
        except FynxError as error:
            if not self.sa.services.not_rekeyed(self.sa):
                self._failed(error)

    def _complete(self, message: Incoming) -> Running:
        refusal = first_error(message)
        if refusal is not None:
            method = wanted_method(refusal, self.offered, self.kex.method)
            if method and "ke" not in self.options and self.sa.rival is None:
                self.sa.advance(IkeEvent.REKEY_FAILED)
                self.sa.queue.appendleft((ExchangeType.CREATE_CHILD_SA, {**self.options, "ke": method}))
                return
            raise PeerFault(refusal.type, f"the peer refused to rekey: {name_of(NotifyType, refusal.type)}")
        answer = one(message, SaPayload)
        choice = check_ike_answer(self.offered, answer.proposals, self.sa.services.algorithms, spi_len=SPI_LEN)
        self.nr = one(message, NoncePayload).data
        yield from self.kex.finish(choice.ke, message)
        new = self._inherit(choice, self.spi, choice.proposal.spi, initiator=True)
        self.sa.services.rekeyed(self.sa, Successor(new, min(self.ni, self.nr)))

    def _failed(self, error: FynxError) -> None:
        sa = self.sa
        kind = error.notify if isinstance(error, PeerFault) else 0
        self._put_off()
        if sa.refused >= REFUSALS_BEFORE_CLOSING:
            sa.start(ExchangeType.INFORMATIONAL, delete="the peer keeps refusing to rekey")
        if kind != NotifyType.TEMPORARY_FAILURE:
            sa.emit(ChildRefused(sa.peer, "", name_of(NotifyType, kind), f"the IKE SA was not rekeyed: {error}", ""))

    def _put_off(self) -> None:
        self.sa.advance(IkeEvent.REKEY_FAILED)
        self.sa.refused += 1
        self.sa.services.put_off(Timer.IKE_SOFT, self.sa.serial)

    # Responder.

    def _accept(self, message: Incoming, offered: SaPayload) -> Running:
        try:
            yield from self._answer(message, offered)
        except PeerFault as fault:
            if fault.notify == NotifyType.INVALID_SYNTAX:
                raise
            self.answer = [NotifyPayload(fault.notify, fault.data)]

    def _answer(self, message: Incoming, offered: SaPayload) -> Running:
        sa = self.sa
        if _occupied(sa):
            raise PeerFault(NotifyType.TEMPORARY_FAILURE, "the IKE SA or one of its children is being changed")
        if not sa.quota.take(sa.services.now):
            raise PeerFault(NotifyType.TEMPORARY_FAILURE, "the peer asks for too many SAs in a short time")
        choice = choose_ike(offered.proposals, sa.policy.ike, sa.services.algorithms, spi_len=SPI_LEN)
        if isinstance(choice, Refusal):
            raise PeerFault(NotifyType.NO_PROPOSAL_CHOSEN, choice.reason)
        self.ni = one(message, NoncePayload).data
        self.nr = sa.random(NONCE_LEN)
        yield from self.kex.accept(choice.ke, message)
        spi_r = sa.services.fresh_spi(initiator=False)
        new = self._inherit(choice, choice.proposal.spi, spi_r, initiator=False)
        proposal = replace(choice.proposal, spi=spi_r)
        self.answer = [SaPayload((proposal,)), NoncePayload(self.nr), *self.kex.payloads()]
        sa.rival = Successor(new, min(self.ni, self.nr))
        sa.services.offered(sa, new)

    # Both.

    def _inherit(self, choice: Choice[IkeSuite], spi_i: bytes, spi_r: bytes, *, initiator: bool) -> IkeSa:
        """The new SA: SKEYSEED = prf (SK_d of the old one, g^ir | Ni | Nr), message ids from 0 (section 2.18)."""
        sa, suite = self.sa, choice.suite
        assert sa.suite is not None
        assert sa.keys is not None
        if bytes(SPI_LEN) in (spi_i, spi_r):
            raise PeerFault(NotifyType.INVALID_SYNTAX, "an SPI of zero")
        seed = rekey_skeyseed(sa.suite.prf, sa.keys.sk_d, self.kex.shared, self.ni, self.nr)
        keys = expand_ike(suite, seed, self.ni, self.nr, spi_i, spi_r)
        new = sa.services.inherit(sa, spi_i, spi_r, initiator=initiator)
        new.suite, new.keys = suite, keys
        new.protector = Protector(suite, keys, initiator=initiator, random=sa.random)
        return new


def _occupied(sa: IkeSa) -> bool:
    """Section 2.25.1: no new IKE SA while a child is made, replaced or deleted by us, nor for one on its way out."""
    if sa.state not in (IkeState.ESTABLISHED, IkeState.REKEYING) or sa.successor is not None or sa.rival is not None:
        return True
    if any(child.state in (ChildState.REKEYING, ChildState.DELETING) for child in sa.children.values()):
        return True
    return any(not HARMLESS & one.options.keys() for one in sa.exchanges.values())

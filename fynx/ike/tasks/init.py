"""The first exchange: proposals, key exchange and nonces (RFC 7296 sections 1.2, 2.6, 2.7, 2.10)."""

from __future__ import annotations

import struct

from fynx.errors import CryptoError, Drop, Dropped, PeerFault
from fynx.events import ProposalChosen
from fynx.ike.exchange import Restart, first_error, notify, one
from fynx.ike.keymat import derive_ike
from fynx.ike.negotiate import Choice, Refusal, check_ike_answer, choose_ike, describe, offer_ike
from fynx.ike.protect import IkeSuite, Protector
from fynx.ike.sa import Failure, IkeSa
from fynx.plugin.extension import Incoming, Outgoing, Running
from fynx.plugin.work import KexAnswer, KexFinish, KexStart
from fynx.wire.iana import Ke, NotifyType, TransformType, name_of
from fynx.wire.payload import KePayload, NoncePayload, NotifyPayload, SaPayload

NONCE_LEN = 32
MAX_COOKIES = 3
MAX_GROUP_CHANGES = 1
COOKIE_MAX_LEN = 64


class InitTask:
    """SA, KE and nonce of both sides; the initiator also follows COOKIE and INVALID_KE_PAYLOAD."""

    def __init__(self, sa: IkeSa) -> None:
        self.sa = sa
        self.answer: SaPayload | None = None
        self.public = b""
        self.secret = b""

    def build(self, out: Outgoing) -> Running:
        if out.response:
            self._respond(out)
        else:
            yield from self._request(out)

    def process(self, message: Incoming) -> Running:
        yield from self._finish(message) if message.response else self._accept(message)

    # Initiator.

    def _request(self, out: Outgoing) -> Running:
        init, proposals = self.sa.init, self.sa.policy.ike
        init.ni = init.ni or self.sa.random(NONCE_LEN)
        init.method = init.method or proposals[0].of_type(TransformType.KE)[0].id
        if init.offer is None:
            init.offer = yield KexStart(init.method)
            assert init.offer is not None
        if init.cookie:
            out.add(NotifyPayload(NotifyType.COOKIE, init.cookie))
        out.add(SaPayload(offer_ike(proposals)), KePayload(init.method, init.offer.public), NoncePayload(init.ni))

    def _finish(self, message: Incoming) -> Running:
        self._follow_cookie(message)
        self._follow_group(message)
        self._note_error(message)
        init = self.sa.init
        assert init.offer is not None
        ke, nonce = one(message, KePayload), one(message, NoncePayload)
        if nonce.data == init.ni or ke.data == init.offer.public:
            raise Dropped(Drop.REFLECTION, "the peer's nonce or public value is our own")
        choice = self._checked(one(message, SaPayload))
        _check_nonce(nonce.data, choice.suite)
        if ke.method != init.method:
            raise PeerFault(NotifyType.INVALID_SYNTAX, "the key exchange method is not the one we used")
        try:
            secret: bytes = yield KexFinish(init.offer, ke.data)
        except CryptoError as error:
            raise Dropped(Drop.SYNTAX, f"the peer's public value: {error}") from None
        init.nr = nonce.data
        _derive(self.sa, choice.suite, secret)
        self._tell(choice, len(self.sa.policy.ike))

    def _checked(self, answer: SaPayload) -> Choice[IkeSuite]:
        offered = offer_ike(self.sa.policy.ike)
        try:
            found = check_ike_answer(offered, answer.proposals, self.sa.services.algorithms)
        except PeerFault as fault:
            self.sa.failure = Failure("NO_PROPOSAL_CHOSEN", f"the peer's choice was not offered: {fault.why}")
            raise Dropped(Drop.FORGED_ERROR, fault.why) from None
        if found.ke != self.sa.init.method:
            raise Dropped(Drop.FORGED_ERROR, "the peer chose another key exchange than the one it answered")
        return found

    def _follow_cookie(self, message: Incoming) -> None:
        cookie, init = notify(message, NotifyType.COOKIE), self.sa.init
        if cookie is None:
            return
        if not 1 <= len(cookie.data) <= COOKIE_MAX_LEN or init.cookies_seen >= MAX_COOKIES:
            raise Dropped(Drop.FORGED_ERROR, "a cookie too many, or of a wrong size")
        init.cookies_seen += 1
        init.cookie = cookie.data
        raise Restart("the peer wants a cookie")

    def _follow_group(self, message: Incoming) -> None:
        refused, init = notify(message, NotifyType.INVALID_KE_PAYLOAD), self.sa.init
        if refused is None:
            return
        if len(refused.data) != 2:
            raise Dropped(Drop.FORGED_ERROR, "INVALID_KE_PAYLOAD without a method")
        method = struct.unpack("!H", refused.data)[0]
        if init.methods_changed and method == init.method:  # no reason to give up early
            raise Dropped(Drop.FORGED_ERROR, "an answer to our message before, repeated or late")
        offered = {one.id for proposal in self.sa.policy.ike for one in proposal.of_type(TransformType.KE)}
        if method not in offered or method == init.method or init.methods_changed >= MAX_GROUP_CHANGES:
            self.sa.failure = Failure(
                "INVALID_KE_PAYLOAD",
                f"the peer wants {name_of(Ke, method)}, which we did not offer or have just sent",
                "put a key exchange that both sides allow into `ike:`",
            )
            raise Dropped(Drop.FORGED_ERROR, "INVALID_KE_PAYLOAD names a method that we cannot follow")
        init.methods_changed += 1
        init.method, init.offer = method, None
        raise Restart("the peer wants another key exchange")

    def _note_error(self, message: Incoming) -> None:
        """An error in clear may be forged: remember it as a hint, keep waiting (section 2.21.1)."""
        error = first_error(message)
        if error is None:
            return
        name = name_of(NotifyType, error.type)
        if error.type == NotifyType.NO_PROPOSAL_CHOSEN:
            offered = ", ".join(describe(one, self.sa.services.algorithms) for one in self.sa.policy.ike)
            self.sa.failure = Failure(name, f"the peer accepts none of our IKE proposals: {offered}", _COMPARE)
        else:
            self.sa.failure = Failure(name, f"the peer answered IKE_SA_INIT with {name}")
        raise Dropped(Drop.FORGED_ERROR, f"{name} in clear")

    # Responder.

    def _accept(self, message: Incoming) -> Running:
        offered, ke, nonce = one(message, SaPayload), one(message, KePayload), one(message, NoncePayload)
        choice = self._choose(offered)
        _check_nonce(nonce.data, choice.suite)
        if ke.method != choice.ke:
            wanted = struct.pack("!H", choice.ke)
            raise PeerFault(
                NotifyType.INVALID_KE_PAYLOAD,
                f"we want {name_of(Ke, choice.ke)}, the peer sent {name_of(Ke, ke.method)}",
                wanted,
            )
        try:
            self.public, self.secret = yield KexAnswer(ke.method, ke.data)
        except CryptoError as error:
            raise Dropped(Drop.SYNTAX, f"the peer's public value: {error}") from None
        if self.public == ke.data:
            raise Dropped(Drop.REFLECTION, "the peer's public value is our own")
        self.sa.init.ni = nonce.data
        self.sa.suite, self.sa.init.proposal = choice.suite, choice.proposal
        self.answer = SaPayload((choice.proposal,))
        self._tell(choice, len(offered.proposals))

    def _choose(self, offered: SaPayload) -> Choice[IkeSuite]:
        """The first peer in question whose policy takes one of the proposals; its identity is checked later."""
        refusal: Refusal | None = None
        for policy in self.sa.policies:
            found = choose_ike(offered.proposals, policy.ike, self.sa.services.algorithms)
            if not isinstance(found, Refusal):
                self.sa.init.accepted = policy.ike
                return found
            refusal = refusal or found
        assert refusal is not None
        self.sa.failure = Failure("NO_PROPOSAL_CHOSEN", refusal.reason, refusal.remedy)
        raise PeerFault(NotifyType.NO_PROPOSAL_CHOSEN, refusal.reason)

    def _tell(self, choice: Choice[IkeSuite], offered: int) -> None:
        self.sa.emit(ProposalChosen(self.sa.peer, "IKE", offered, choice.proposal.number, choice.suite.keyword))

    def _respond(self, out: Outgoing) -> None:
        assert self.answer is not None
        assert self.sa.suite is not None
        self.sa.init.nr = self.sa.random(NONCE_LEN)
        if self.sa.init.nr == self.sa.init.ni:
            raise Dropped(Drop.REFLECTION, "the peer's nonce is our own")
        out.add(self.answer, KePayload(self.sa.suite.ke.transform_id, self.public), NoncePayload(self.sa.init.nr))
        _derive(self.sa, self.sa.suite, self.secret)
        self.secret = b""


def _check_nonce(nonce: bytes, suite: IkeSuite) -> None:
    """At least half the key size of the negotiated prf (section 2.10)."""
    if 2 * len(nonce) < suite.prf.key_len:
        raise PeerFault(NotifyType.INVALID_SYNTAX, f"a nonce of {len(nonce)} octets is too short for {suite.keyword}")


def _derive(sa: IkeSa, suite: IkeSuite, secret: bytes) -> None:
    sa.suite = suite
    sa.keys = derive_ike(suite, sa.init.ni, sa.init.nr, sa.spi_i, sa.spi_r, secret)
    sa.protector = Protector(suite, sa.keys, initiator=sa.initiator, random=sa.random)


_COMPARE = "compare `ike:` with the peer's proposals; its log names what it wants"

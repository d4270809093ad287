"""Identities and AUTH of both sides, INITIAL_CONTACT and the rule of unique peers (RFC 7296 sections 2.4, 2.15,
2.21.2, 3.5)."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from fynx.errors import AuthFailed, PeerFault
from fynx.events import Authenticated, IkeUp
from fynx.ike import twins
from fynx.ike.exchange import first_error, maybe, notify, one
from fynx.ike.identity_match import fault
from fynx.ike.keymat import signed_octets
from fynx.ike.negotiate import Refusal, choose_ike
from fynx.ike.policy import AuthPolicy, PeerPolicy
from fynx.ike.sa import Failure, IkeSa
from fynx.ike.states import IkeEvent
from fynx.plugin.auth import AuthContext, AuthorizeRequest, AuthValue, Identity
from fynx.plugin.extension import Incoming, Outgoing, Running
from fynx.plugin.work import Authorize, Sign, Verify
from fynx.wire.iana import NotifyType, name_of
from fynx.wire.payload import AuthPayload, IdPayload, NotifyPayload

FAILED = NotifyType.AUTHENTICATION_FAILED


class AuthTask:
    def __init__(self, sa: IkeSa) -> None:
        self.sa = sa

    def build(self, out: Outgoing) -> Running:
        sa = self.sa
        sa.local_id = sa.policy.local_id
        out.add(_payload(sa.local_id, initiator=sa.initiator))
        if not out.response and sa.policy.remote_id is not None and sa.policy.send_idr:
            out.add(_payload(sa.policy.remote_id, initiator=False))
        auth = sa.policy.local_auth
        value: AuthValue = yield Sign(auth.method, self._context(auth, sa.local_id, own=True))
        out.add(AuthPayload(value.method_id, value.data))
        if out.response:
            establish(sa)
            return
        sa.asked_at = sa.services.now
        if not sa.services.siblings(sa):
            out.add(NotifyPayload(NotifyType.INITIAL_CONTACT))

    def process(self, message: Incoming) -> Running:
        yield from self._response(message) if message.response else self._request(message)

    # Initiator.

    def _response(self, message: Incoming) -> Running:
        sa, auth = self.sa, maybe(message, AuthPayload)
        if auth is None:
            raise _refused_by_peer(sa, message)
        idr = one(message, IdPayload, initiator=False)
        identity = Identity(idr.id_type, idr.data)
        expected = sa.policy.remote_id
        if fault(identity) or not sa.policies.of(identity):
            why = fault(identity) or (f"we expect {expected}" if expected is not None else "that is our own")
            raise self._fail(f"the peer says it is {identity}: {why}", "set `remote: {id: …}` to the peer's identity")
        yield from self._verify(sa.policy, identity, auth)
        yield from self._authorize(identity)
        establish(sa)

    # Responder.

    def _request(self, message: Incoming) -> Running:
        sa = self.sa
        idi, auth = one(message, IdPayload, initiator=True), maybe(message, AuthPayload)
        wanted = maybe(message, IdPayload, initiator=False)
        identity = Identity(idi.id_type, idi.data)
        policy = self._pick(identity, wanted)
        if auth is None:
            raise self._fail("the peer sent no AUTH and wants EAP, which is not allowed here", "")
        if policy is None:
            # The same work as for a known identity, so that timing tells nothing (bad-inputs L10).
            with contextlib.suppress(PeerFault):
                yield from self._verify(sa.policies[0], identity, auth)
            reason = f"no peer at {sa.path} is configured with the identity {identity}"
            raise self._fail(reason, "add a peer with that `remote: {id: …}`")
        sa.belongs_to(policy.alone)
        yield from self._prove(policy, identity, auth)
        yield from self._authorize(identity)
        self._unique(policy, initial=notify(message, NotifyType.INITIAL_CONTACT) is not None)

    def _prove(self, policy: PeerPolicy, identity: Identity, auth: AuthPayload) -> Running:
        """As ``_verify``, unless somebody is guessing at this identity's secret."""
        services = self.sa.services
        if not services.may_try(self.sa, identity):
            raise self._fail(f"too many failed authentications as {identity}", "it is let in again after a minute")
        try:
            yield from self._verify(policy, identity, auth)
        except PeerFault:
            services.tried(self.sa, identity, proved=False)
            raise
        services.tried(self.sa, identity, proved=True)

    def _pick(self, identity: Identity, wanted: IdPayload | None) -> PeerPolicy | None:
        """The peer by identity among those whose address fits, the one whose own identity was asked for first."""
        if fault(identity):
            return None
        fitting = [policy for policy in self.sa.policies.of(identity) if self._allows_suite(policy)]
        if wanted is not None:
            asked = Identity(wanted.id_type, wanted.data)
            fitting.sort(key=lambda policy: asked != policy.local_id)
        return fitting[0] if fitting else None

    def _allows_suite(self, policy: PeerPolicy) -> bool:
        """IKE_SA_INIT was answered for all that fit; this peer alone may be stricter."""
        proposal = self.sa.init.proposal
        assert proposal is not None
        if policy.ike == self.sa.init.accepted:
            return True
        alone = replace(proposal, number=1)  # it keeps the number that it had in the offer
        return not isinstance(choose_ike((alone,), policy.ike, self.sa.services.algorithms), Refusal)

    def _unique(self, policy: PeerPolicy, *, initial: bool) -> None:
        if initial:
            self.sa.notes[twins.NOTE] = True
        siblings = self.sa.services.siblings(self.sa)
        if siblings and not initial and policy.unique == "keep":
            reason = "this identity has a tunnel already and `unique: keep` protects it"
            raise self._fail(reason, "set `unique: replace`")
        for sibling in siblings:
            if twins.crossed(self.sa, sibling):
                continue  # neither knew of the other: it is decided when both stand
            if initial:
                self.sa.services.drop(sibling, "the peer started afresh (INITIAL_CONTACT)", confirmed=True)
            elif policy.unique == "replace":
                self.sa.services.supersede(sibling)

    # Both.

    def _verify(self, policy: PeerPolicy, identity: Identity, auth: AuthPayload) -> Running:
        context = self._context(policy.remote_auth, identity, own=False, auth=auth)
        self.sa.remote_id = identity
        try:
            yield Verify(policy.remote_auth.method, context)
        except AuthFailed as error:
            raise self._fail(
                f"{identity} did not prove its identity by {policy.remote_auth.method}: {error}",
                "compare the secret on both sides, and which identity it belongs to",
            ) from None

    def _authorize(self, identity: Identity) -> Running:
        self.sa.emit(Authenticated(self.sa.peer, str(identity), self.sa.policy.remote_auth.method))
        request = AuthorizeRequest(self.sa.peer, str(self.sa.path), str(identity), (self.sa.policy.remote_auth.method,))
        allowed: bool = yield Authorize(request)
        if allowed is not True:
            raise self._fail(f"a plugin does not authorise {identity}", "")

    def _context(
        self, policy: AuthPolicy, identity: Identity, *, own: bool, auth: AuthPayload | None = None
    ) -> AuthContext:
        """The octets that the initiator signs are its request and Nr; the responder's are its response and Ni
        (2.15)."""
        sa, init = self.sa, self.sa.init
        assert sa.suite is not None
        assert sa.keys is not None
        by_initiator = sa.initiator is own
        message, nonce = (init.request, init.nr) if by_initiator else (init.response, init.ni)
        sk_p = sa.keys.sk_pi if by_initiator else sa.keys.sk_pr
        octets = signed_octets(sa.suite.prf, bytes(sk_p), message, nonce, _payload(identity, initiator=True).body)
        method, value = (auth.method, auth.data) if auth is not None else (0, b"")
        return AuthContext(octets, sa.suite.prf.mac, identity, policy.config, method, value)

    def _fail(self, reason: str, remedy: str) -> PeerFault:
        self.sa.failure = Failure("AUTHENTICATION_FAILED", reason, remedy)
        return PeerFault(FAILED, reason)


def establish(sa: IkeSa) -> None:
    """The IKE SA stands; what IKE_SA_INIT left for AUTH is no longer needed."""
    assert sa.suite is not None
    sa.advance(IkeEvent.AUTHENTICATED)
    sa.established_at = sa.authenticated_at = sa.services.now
    sa.failure = None
    sa.emit(
        IkeUp(
            sa.peer,
            sa.spi_i.hex(),
            sa.spi_r.hex(),
            str(sa.path),
            str(sa.local_id or ""),
            str(sa.remote_id or ""),
            sa.suite.keyword,
            sa.services.now - sa.started_at,
        )
    )


def _refused_by_peer(sa: IkeSa, message: Incoming) -> PeerFault:
    error = first_error(message)
    name = name_of(NotifyType, error.type) if error is not None else "no AUTH payload"
    if error is not None and error.type == FAILED:
        reason = f"the peer refused our identity {sa.local_id} or its proof (AUTHENTICATION_FAILED)"
        remedy = "compare the secret and both identities with the peer's configuration; its log names the reason"
    else:
        reason, remedy = f"the peer answered IKE_AUTH with {name}", ""
    sa.failure = Failure(name, reason, remedy)
    sa.closing = reason
    return PeerFault(FAILED, reason)


def _payload(identity: Identity, *, initiator: bool) -> IdPayload:
    return IdPayload(initiator, identity.id_type, identity.data)

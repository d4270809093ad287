"""A Child SA: proposals, selectors and keys, in IKE_AUTH and in CREATE_CHILD_SA, new or in place of another
(RFC 7296 sections 1.2, 1.3.1, 1.3.3, 2.9)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from fynx.errors import FynxError, PeerFault
from fynx.events import ChildDiffers, ChildRefused, ProposalChosen
from fynx.ike import resources, standby, transport, twins, virtual
from fynx.ike.child import ChildSa, Group
from fynx.ike.exchange import first_error, maybe, notify, one
from fynx.ike.negotiate import Choice, check_esp_answer, offer_esp
from fynx.ike.policy import ChildPolicy
from fynx.ike.sa import IkeSa
from fynx.ike.selectors import from_wire, narrow, show, subset, to_wire, with_packet
from fynx.ike.states import ChildState, IkeState
from fynx.ike.tasks import childless, rekey_child
from fynx.ike.tasks.install import Agreed, Material, announce, install, newest
from fynx.ike.tasks.kex import Kex, wanted_method
from fynx.ike.tasks.match import Asked, match
from fynx.ike.tasks.terms import Terms, aggregation, check_answer, heard, said
from fynx.ike.timers import Timer
from fynx.ike.transport import Selectors, told
from fynx.plugin.dataplane import EspSuite, Selector
from fynx.plugin.extension import Incoming, Outgoing, Running
from fynx.plugin.work import ReserveSpi, Work
from fynx.wire.iana import ExchangeType, NotifyType, Protocol, name_of
from fynx.wire.payload import NoncePayload, NotifyPayload, Payload, SaPayload, TsPayload
from fynx.wire.proposal import Proposal

NONCE_LEN = 32
FATAL = (NotifyType.INVALID_SYNTAX, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD)


class ChildTask:
    """Makes one Child SA. A refusal of the child leaves the IKE SA alone (section 2.21.2).

    Options: ``child`` (its name), ``remake`` (although one of that name stands),
    ``rekey`` (handle of the one to replace), ``ke`` (the method the peer asked for), ``resource`` (the worker that
    gets one of its own).
    """

    def __init__(self, sa: IkeSa, exchange: int, options: Mapping[str, object]) -> None:
        self.sa, self.exchange, self.options = sa, exchange, options
        self.name = str(options.get("child", ""))
        self.first = exchange == ExchangeType.IKE_AUTH
        rekey = options.get("rekey")
        self.old: ChildSa | None = sa.children.get(rekey) if isinstance(rekey, int) else None
        resource = options.get("resource")
        self.resource = resource if isinstance(resource, int) else self.old.resource if self.old is not None else 0
        method = options.get("ke")
        self.kex = Kex(method if isinstance(method, int) else 0)
        self.spi_in = 0
        self.ni = self.nr = b""
        self.offered: tuple[Proposal, ...] = ()
        self.answer: list[Payload] = []

    def build(self, out: Outgoing) -> Running:
        if out.response:
            out.add(*self.answer)
            return
        try:
            yield from self._request(out)
        except FynxError:
            self.sa.release(self.spi_in)
            if self.old is not None and self.old.state is ChildState.REKEYING:
                rekey_child.put_off(self.sa, self.old)
            raise

    def _request(self, out: Outgoing) -> Running:
        policy = self._policy()
        transport.require(self.sa, policy)
        virtual.require(self.sa, policy)
        if self.old is not None:
            rekey_child.begin(self.sa, self.old, out)
        elif "rekey" in self.options:
            raise FynxError("the Child SA to rekey is gone")
        self.spi_in = yield from self._reserve()
        self.offered = offer_esp(policy.esp, self.spi_in.to_bytes(4, "big"), initial=self.first)
        out.add(*said(policy.mode, policy.aggregation), *resources.said(policy, self.resource), SaPayload(self.offered))
        if not self.first:
            self.ni = self.sa.random(NONCE_LEN)
            out.add(NoncePayload(self.ni))
            yield from self.kex.propose(self.offered, out)
        local, remote = self._wanted(policy)
        out.add(_ts(local, initiator=True), _ts(remote, initiator=False))

    def _wanted(self, policy: ChildPolicy) -> tuple[Selectors, Selectors]:
        """The selectors to ask for: with the packet that wants them first, or those of its two addresses alone."""
        asked = self.sa.packets.get(self.name) if self.old is None else None
        like = self.old if policy.single_pair else None
        if "resource" in self.options:
            like = resources.wanted(self.sa, self.name)
        if like is not None:
            return like.local_ts, like.remote_ts
        local, remote = with_packet(asked, policy.local, policy.remote)
        if asked is not None and (policy.single_pair or "single" in self.options):
            return _between(local, asked[0]), _between(remote, asked[1])
        return local, remote

    def process(self, message: Incoming) -> Running:
        if message.response:
            yield from self._finish(message)
        else:
            yield from self._accept(message)

    # Initiator.

    def _finish(self, message: Incoming) -> Running:
        if not self.sa.established:
            self.sa.release(self.spi_in)
            return
        try:
            yield from self._complete(message)
        except FynxError as error:
            if maybe(message, SaPayload) is not None:  # the peer has made it: take it back
                self.sa.start(ExchangeType.INFORMATIONAL, delete_spi=self.spi_in)
            self.sa.release(self.spi_in)
            if self.old is not None:
                tell = rekey_child.failed(self.sa, self.old, error)
            else:
                tell = not self.resource or resources.refused(self.sa, self.name, error)
            if tell:
                self._refused(error)

    def _complete(self, message: Incoming) -> Running:
        refusal = first_error(message)
        if refusal is not None and self._again(refusal):
            return
        if refusal is not None:
            raise _by_peer(refusal, self._policy())
        answer = one(message, SaPayload)
        choice = check_esp_answer(self.offered, answer.proposals, self.sa.services.algorithms)
        self._tell(choice, len(self.offered))
        if not self.first:
            self.nr = one(message, NoncePayload).data
            yield from self.kex.finish(choice.ke, message)
        policy, terms = self._policy(), heard(message)
        check_answer(policy, terms)
        local, remote, translated = self._agreed_selectors(message, terms)
        local = virtual.own_part(self.sa, self.name, local, policy)
        if not local or not remote or not subset(local, policy.local) or not subset(remote, policy.remote):
            raise PeerFault(NotifyType.TS_UNACCEPTABLE, "the peer answered selectors wider than we offered")
        lost = self.old is not None and rekey_child.lost(self.old, self.ni, self.nr)
        local, remote = narrow(local, local), narrow(remote, remote)
        agreed = Agreed(policy, choice, self.spi_in, local, remote, not lost, translated, terms.tfc_allowed)
        agreed.aggregation = aggregation(policy, terms)
        self._bind(agreed, message)
        yield from install(self.sa, agreed, self._material(initiator=True))
        self._installed(lost=lost)
        if self.old is None and not self.resource:
            self._remember(newest(self.sa), terms)

    def _bind(self, agreed: Agreed, message: Incoming) -> None:
        """The worker and the companions of a Child SA that we asked for."""
        agreed.resource = self.resource
        first = resources.wanted(self.sa, self.name) if "resource" in self.options else None
        if self.old is not None:
            agreed.group = self.old.group
        elif first is not None:
            resources.check(first, agreed.choice.suite, (agreed.local, agreed.remote))
            agreed.group = first.group
        elif self.resource:
            raise FynxError("the Child SA whose worker was to have its own is gone")
        elif agreed.policy.resources and resources.heard(message):
            agreed.group = Group(ours=True)

    def _remember(self, child: ChildSa, terms: Terms) -> None:
        """Whether traffic outside these selectors is worth another request: not where the packet that asked is."""
        packet = self.sa.packets.pop(self.name, None)
        taken = packet is None or (subset(packet[:1], child.local_ts) and subset(packet[1:], child.remote_ts))
        others = [other for other in self.sa.children.named(self.name) if other is not child]
        if not taken and others:  # it adds nothing
            self.sa.start(ExchangeType.INFORMATIONAL, delete_child=child.handle)
            for other in others:
                other.more = False
        child.more = taken and (terms.more or "single" in self.options)
        if terms.more:
            kept = f"{told(child.local_ts)} and {told(child.remote_ts)}"
            why = f"the peer narrowed the selectors to {kept}; other traffic gets Child SAs of its own as it comes"
            self.sa.emit(ChildDiffers(self.sa.peer, self.name, NotifyType.ADDITIONAL_TS_POSSIBLE.name, why))

    def _again(self, refusal: NotifyPayload) -> bool:
        """True where another request follows at once: with the key exchange, or the one pair, that the peer wants."""
        sa, again = self.sa, dict(self.options)
        if refusal.type == NotifyType.TEMPORARY_FAILURE and self.old is None and not self.first and not self.resource:
            return self._later()
        method = wanted_method(refusal, self.offered, self.kex.method)
        if method and "ke" not in again and (self.old is None or rekey_child.may_retry(sa, self.old)):
            again["ke"] = method
        elif refusal.type == NotifyType.SINGLE_PAIR_REQUIRED and "single" not in again and self.name in sa.packets:
            again["single"] = True
        else:
            return False
        sa.release(self.spi_in)
        number = ExchangeType.CREATE_CHILD_SA if "single" in again else self.exchange
        sa.queue.appendleft((number, again))
        return True

    def _later(self) -> bool:
        """The peer is busy with itself: the same in a few seconds (section 2.25), but not for ever."""
        sa, refused = self.sa, self.options.get("refused", 0)
        assert isinstance(refused, int)
        if refused >= rekey_child.REFUSALS_BEFORE_CLOSING:
            return False
        sa.release(self.spi_in)
        sa.put_off.append({**self.options, "refused": refused + 1})
        sa.services.put_off(Timer.PUT_OFF, sa.serial)
        return True

    def _agreed_selectors(
        self, message: Incoming, terms: Terms
    ) -> tuple[Selectors, Selectors, tuple[bytes, bytes] | None]:
        """Our side's, the peer's, and what a NAT changed about them in transport mode."""
        local = _selectors(one(message, TsPayload, initiator=True))
        remote = _selectors(one(message, TsPayload, initiator=False))
        if not terms.transport:
            return local, remote, None
        return *transport.as_seen(self.sa, local, remote), transport.translated(self.sa, local, remote)

    def _installed(self, *, lost: bool) -> None:
        child = newest(self.sa)
        if self.old is None:
            announce(self.sa, child)
            twins.child(self.sa, child)
        else:
            rekey_child.finish(self.sa, self.old, child, lost=lost)

    def _refused(self, error: FynxError) -> None:
        name = name_of(NotifyType, error.notify) if isinstance(error, PeerFault) else "refused"
        remedy = _REMEDIES.get(error.notify, "") if isinstance(error, PeerFault) else ""
        self.sa.emit(ChildRefused(self.sa.peer, self.name, name, str(error), remedy))

    # Responder.

    def _accept(self, message: Incoming) -> Running:
        if not self.first:
            self.sa.services.chosen(self.sa)
        offered = maybe(message, SaPayload)
        if offered is None and self.first:
            childless.expect(self.sa, message)
            return
        if offered is not None and any(proposal.protocol == Protocol.IKE for proposal in offered.proposals):
            return  # a new IKE SA: another task's
        try:
            yield from self._answer(message)
        except FynxError as error:
            if isinstance(error, PeerFault) and error.notify in FATAL:
                raise
            self.sa.release(self.spi_in)
            notify_type = error.notify if isinstance(error, PeerFault) else NotifyType.NO_ADDITIONAL_SAS
            data = error.data if isinstance(error, PeerFault) else b""
            self.answer = [rekey_child.refusal(message, notify_type, data)]
            if notify_type not in rekey_child.PASSING:
                self._refused(error)

    def _answer(self, message: Incoming) -> Running:
        self._check_time(message)
        offered = one(message, SaPayload)
        if not self.first:
            self.ni, self.nr = one(message, NoncePayload).data, self.sa.random(NONCE_LEN)
        tsi = _selectors(one(message, TsPayload, initiator=True))
        tsr = _selectors(one(message, TsPayload, initiator=False))
        terms = heard(message)
        granted = match(self.sa, self.old, Asked(offered.proposals, tsr, tsi, terms, self.first))
        policy, choice, local, remote = granted.policy, granted.choice, granted.local, granted.remote
        self._tell(choice, len(offered.proposals))
        self.name = policy.name
        if not self.first:
            yield from self.kex.accept(choice.ke, message)
        self.spi_in = yield from self._reserve()
        translated = transport.translated(self.sa, tsr, tsi) if policy.mode == "transport" else None
        held = self.old is None and standby.covered(self.sa, policy.name, (local, remote))
        outbound = self.old is None and not held
        agreed = Agreed(policy, choice, self.spi_in, local, remote, outbound, translated, terms.tfc_allowed)
        agreed.aggregation = aggregation(policy, terms)
        if self.old is not None:
            agreed.resource, agreed.group = self.old.resource, self.old.group
        elif policy.resources and resources.heard(message):
            agreed.resource, agreed.group = resources.place(self.sa, policy, (local, remote))
        yield from install(self.sa, agreed, self._material(initiator=False))
        child = newest(self.sa)
        child.held = held
        standby.answered(self.sa, child, None if self.first else message.message_id)
        if self.old is None:
            announce(self.sa, child)
            twins.child(self.sa, child)
        else:
            rekey_child.replaced_by_peer(self.old, child, min(self.ni, self.nr))
        self.answer = [
            *said(policy.mode, agreed.aggregation),
            *(resources.said(policy, agreed.resource) if resources.heard(message) else ()),
            SaPayload((choice.proposal.with_spi(self.spi_in.to_bytes(4, "big")),)),
        ]
        if granted.more:
            self.answer.append(NotifyPayload(NotifyType.ADDITIONAL_TS_POSSIBLE))
        if self.nr:
            self.answer.append(NoncePayload(self.nr))
        self.answer += [*self.kex.payloads(), _ts(remote, initiator=True), _ts(local, initiator=False)]

    def _check_time(self, message: Incoming) -> None:
        """Whether a child may be made now, and which one it replaces (section 2.25)."""
        sa = self.sa
        if not self.first and (sa.state is not IkeState.ESTABLISHED or sa.successor is not None):
            raise PeerFault(NotifyType.TEMPORARY_FAILURE, "the IKE SA is being replaced")
        sa.quota.widen(2.0 * len(sa.policy.children))
        if not self.first and not sa.quota.take(sa.services.now):
            raise PeerFault(NotifyType.TEMPORARY_FAILURE, "the peer asks for too many SAs in a short time")
        rekey = notify(message, NotifyType.REKEY_SA)
        if rekey is not None:
            self.old = rekey_child.named(sa, rekey)
        elif len(sa.children) >= sa.services.policy.children_per_sa:
            raise PeerFault(resources.limit(message), "this IKE SA has as many Child SAs as we allow")

    # Both.

    def _reserve(self) -> Generator[Work, Any, int]:
        spi: int = yield ReserveSpi()
        self.sa.reserved[spi] = None
        return spi

    def _tell(self, choice: Choice[EspSuite], offered: int) -> None:
        self.sa.emit(ProposalChosen(self.sa.peer, "ESP", offered, choice.proposal.number, choice.suite.keyword))

    def _policy(self) -> ChildPolicy:
        found = virtual.child(self.sa, self.name)
        if found is None:
            raise FynxError(f"the child {self.name} is no longer configured")
        return transport.placed(self.sa, found)

    def _material(self, *, initiator: bool) -> Material:
        init = self.sa.init
        ni, nr = (init.ni, init.nr) if self.first else (self.ni, self.nr)
        return Material(ni, nr, self.kex.shared, initiator)


def _between(selectors: Selectors, packet: Selector) -> Selectors:
    """All that they say of the packet's address."""
    return narrow(selectors, (Selector(packet.start, packet.end),))


def _ts(selectors: tuple[Selector, ...], *, initiator: bool) -> TsPayload:
    return TsPayload(initiator, tuple(to_wire(one) for one in selectors))


def _selectors(payload: TsPayload) -> tuple[Selector, ...]:
    return tuple(one for one in map(from_wire, payload.selectors) if one is not None)


def _by_peer(error: NotifyPayload, policy: ChildPolicy) -> PeerFault:
    name = name_of(NotifyType, error.type)
    offered = f"{' '.join(map(show, policy.local))} to {' '.join(map(show, policy.remote))}"
    words: dict[int, str] = {
        NotifyType.TS_UNACCEPTABLE: f"the peer accepts none of our traffic selectors: {offered}",
        NotifyType.NO_PROPOSAL_CHOSEN: "the peer accepts none of the ESP proposals that we offer",
        NotifyType.INTERNAL_ADDRESS_FAILURE: "the peer has no address for us",
        NotifyType.FAILED_CP_REQUIRED: "the peer wants us to ask for an address",
        NotifyType.SINGLE_PAIR_REQUIRED: "the peer makes a Child SA for each pair of addresses; we named none",
    }
    return PeerFault(error.type, words.get(error.type, f"the peer refused the child: {name}"), error.data)


_REMEDIES: dict[int, str] = {
    NotifyType.TS_UNACCEPTABLE: "compare `local:` and `remote:` of the child with the peer's selectors",
    NotifyType.NO_PROPOSAL_CHOSEN: "compare `esp:` of the child with the peer's proposals",
    NotifyType.USE_TRANSPORT_MODE: "write the same `mode:` at both ends",
    NotifyType.USE_AGGFRAG: "write `iptfs:` at both ends or at none; congestion control is not known here",
    NotifyType.SINGLE_PAIR_REQUIRED: "write `start: trap`: a packet says which pair; or one address on each side",
    NotifyType.INTERNAL_ADDRESS_FAILURE: "make the gateway's pool larger",
    NotifyType.FAILED_CP_REQUIRED: "write `request: [ipv4]` at the client and `local: [dynamic]` in its child",
}

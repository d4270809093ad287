"""A Child SA: proposals, selectors and keys, in IKE_AUTH and in CREATE_CHILD_SA (RFC 7296 sections 1.2, 1.3.1, 2.9,
2.17)."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from fynx.errors import FynxError, PeerFault
from fynx.events import ChildRefused, ChildUp
from fynx.ike.child import ChildSa
from fynx.ike.effects import LogKeys
from fynx.ike.exchange import first_error, maybe, notify, one
from fynx.ike.keymat import derive_child
from fynx.ike.negotiate import Choice, Refusal, check_esp_answer, choose_esp, offer_esp
from fynx.ike.policy import ChildPolicy
from fynx.ike.sa import IkeSa
from fynx.ike.selectors import from_wire, narrow, show, subset, to_wire
from fynx.ike.states import ChildEvent
from fynx.plugin.crypto import Cipher
from fynx.plugin.dataplane import ChildKeys, ChildSpec, EspSuite, Selector
from fynx.plugin.extension import Incoming, Outgoing, Running
from fynx.plugin.keylog import EspKeyRecord
from fynx.plugin.transport import Path
from fynx.plugin.work import InstallChild, ReserveSpi, Work
from fynx.wire.iana import ExchangeType, NotifyType, Protocol, name_of
from fynx.wire.payload import NoncePayload, NotifyPayload, SaPayload, TsPayload
from fynx.wire.proposal import Proposal

NONCE_LEN = 32
LOWEST_SPI = 256
FATAL = (NotifyType.INVALID_SYNTAX, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD)


class ChildTask:
    """Makes one Child SA. A refusal of the child leaves the IKE SA alone (section 2.21.2)."""

    def __init__(self, sa: IkeSa, exchange: int, name: str) -> None:
        self.sa, self.exchange, self.name = sa, exchange, name
        self.spi_in = 0
        self.ni = self.nr = b""
        self.offered: tuple[Proposal, ...] = ()
        self.answer: list[SaPayload | NoncePayload | TsPayload | NotifyPayload] = []

    def build(self, out: Outgoing) -> Running:
        if out.response:
            out.add(*self.answer)
            return
        policy = self._policy()
        self.spi_in = yield from self._reserve()
        self.offered = offer_esp(policy.esp, self.spi_in.to_bytes(4, "big"), initial=True)
        out.add(SaPayload(self.offered))
        if self.exchange == ExchangeType.CREATE_CHILD_SA:
            self.ni = self.sa.random(NONCE_LEN)
            out.add(NoncePayload(self.ni))
        out.add(_ts(policy.local, initiator=True), _ts(policy.remote, initiator=False))

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
            self._refused(error)

    def _complete(self, message: Incoming) -> Running:
        refusal = first_error(message)
        if refusal is not None:
            raise _by_peer(refusal, self._policy())
        if self.exchange == ExchangeType.CREATE_CHILD_SA:
            self.nr = one(message, NoncePayload).data
        policy, answer = self._policy(), one(message, SaPayload)
        choice = check_esp_answer(self.offered, answer.proposals, self.sa.services.algorithms)
        local = _selectors(one(message, TsPayload, initiator=True))
        remote = _selectors(one(message, TsPayload, initiator=False))
        if not local or not remote or not subset(local, policy.local) or not subset(remote, policy.remote):
            raise PeerFault(NotifyType.TS_UNACCEPTABLE, "the peer answered selectors wider than we offered")
        yield from self._install(policy, choice, local, remote)

    def _refused(self, error: FynxError) -> None:
        name = name_of(NotifyType, error.notify) if isinstance(error, PeerFault) else "refused"
        remedy = _REMEDIES.get(error.notify, "") if isinstance(error, PeerFault) else ""
        self.sa.emit(ChildRefused(self.sa.peer, self.name, name, str(error), remedy))

    # Responder.

    def _accept(self, message: Incoming) -> Running:
        if maybe(message, SaPayload) is None and self.exchange == ExchangeType.IKE_AUTH:
            return  # childless (RFC 6023), or the rest of an exchange that another task fills
        try:
            yield from self._answer(message)
        except FynxError as error:
            if isinstance(error, PeerFault) and error.notify in FATAL:
                raise
            self.sa.release(self.spi_in)
            notify_type = error.notify if isinstance(error, PeerFault) else NotifyType.NO_ADDITIONAL_SAS
            data = error.data if isinstance(error, PeerFault) else b""
            self.answer = [NotifyPayload(notify_type, data)]
            self._refused(error)

    def _answer(self, message: Incoming) -> Running:
        offered = one(message, SaPayload)
        if any(proposal.protocol == Protocol.IKE for proposal in offered.proposals):
            raise PeerFault(NotifyType.NO_ADDITIONAL_SAS, "the peer wants to rekey the IKE SA")
        if notify(message, NotifyType.REKEY_SA) is not None:
            raise PeerFault(NotifyType.NO_ADDITIONAL_SAS, "the peer wants to rekey a Child SA")
        if len(self.sa.children) >= self.sa.services.policy.children_per_sa:
            raise PeerFault(NotifyType.NO_ADDITIONAL_SAS, "this IKE SA has as many Child SAs as we allow")
        if self.exchange == ExchangeType.CREATE_CHILD_SA:
            self.ni, self.nr = one(message, NoncePayload).data, self.sa.random(NONCE_LEN)
        tsi = _selectors(one(message, TsPayload, initiator=True))
        tsr = _selectors(one(message, TsPayload, initiator=False))
        policy, choice = self._match(offered, tsi, tsr)
        self.name = policy.name
        self.spi_in = yield from self._reserve()
        local, remote = narrow(tsr, policy.local), narrow(tsi, policy.remote)
        yield from self._install(policy, choice, local, remote)
        self.answer = [SaPayload((replace(choice.proposal, spi=self.spi_in.to_bytes(4, "big")),))]
        if self.nr:
            self.answer.append(NoncePayload(self.nr))
        self.answer += [_ts(remote, initiator=True), _ts(local, initiator=False)]

    def _match(
        self, offered: SaPayload, tsi: tuple[Selector, ...], tsr: tuple[Selector, ...]
    ) -> tuple[ChildPolicy, Choice[EspSuite]]:
        """The child whose selectors take all that was asked for, else the first that takes a part (section 2.9)."""
        fitting = [child for child in self.sa.policy.children if narrow(tsi, child.remote) and narrow(tsr, child.local)]
        if not fitting:
            raise PeerFault(NotifyType.TS_UNACCEPTABLE, _no_selectors(self.sa, tsi, tsr))
        fitting.sort(key=lambda child: not (subset(tsi, child.remote) and subset(tsr, child.local)))
        refusal: Refusal | None = None
        for child in fitting:
            choice = choose_esp(offered.proposals, child.esp, self.sa.services.algorithms, initial=True)
            if not isinstance(choice, Refusal):
                return child, choice
            refusal = refusal or choice
        assert refusal is not None
        raise PeerFault(NotifyType.NO_PROPOSAL_CHOSEN, refusal.reason)

    # Both.

    def _reserve(self) -> Generator[Work, Any, int]:
        spi: int = yield ReserveSpi()
        self.sa.reserved[spi] = None
        return spi

    def _policy(self) -> ChildPolicy:
        return next(child for child in self.sa.policy.children if child.name == self.name)

    def _install(
        self, policy: ChildPolicy, choice: Choice[EspSuite], local: tuple[Selector, ...], remote: tuple[Selector, ...]
    ) -> Running:
        sa = self.sa
        spi_out = int.from_bytes(choice.proposal.spi, "big")
        if len(choice.proposal.spi) != 4 or spi_out < LOWEST_SPI:
            why = f"ESP SPI {choice.proposal.spi.hex()} is reserved or of a wrong size"
            raise PeerFault(NotifyType.INVALID_SYNTAX, why)
        if any(child.spi_out == spi_out for child in sa.children.values()):
            raise PeerFault(NotifyType.INVALID_SYNTAX, "the peer gave an ESP SPI that it uses already")
        outward, inward = self._keys(choice)
        spec = ChildSpec(
            handle=sa.services.next_handle(),
            peer=sa.peer,
            child=policy.name,
            spi_in=self.spi_in,
            spi_out=spi_out,
            suite=choice.suite,
            keys_in=inward,
            keys_out=outward,
            path=esp_path(sa.path),
            encap=True,
            mode="tunnel",
            local_ts=local,
            remote_ts=remote,
            window=policy.window,
        )
        yield InstallChild(spec)
        sa.reserved.pop(self.spi_in, None)
        self._log_keys(spec)
        child = ChildSa(policy.name, spec.handle, self.spi_in, spi_out, choice.suite, local, remote, spec.mode)
        child.advance(ChildEvent.INSTALLED)
        sa.children[spec.handle] = child
        sa.emit(_up(sa, child))

    def _keys(self, choice: Choice[EspSuite]) -> tuple[ChildKeys, ChildKeys]:
        """(ours to send with, ours to receive with); the initiator of this exchange has the first half (section
        2.17)."""
        sa = self.sa
        assert sa.suite is not None
        assert sa.keys is not None
        first = self.exchange == ExchangeType.IKE_AUTH
        ni, nr = (sa.init.ni, sa.init.nr) if first else (self.ni, self.nr)
        cipher, integ_len = _sizes(sa, choice.suite)
        i_to_r, r_to_i = derive_child(
            sa.suite.prf,
            bytes(sa.keys.sk_d),
            ni,
            nr,
            cipher.key_bits // 8,
            cipher.salt_len,
            integ_len,
        )
        return (i_to_r, r_to_i) if self.offered else (r_to_i, i_to_r)

    def _log_keys(self, spec: ChildSpec) -> None:
        if not self.sa.services.policy.keylog:
            return
        local, remote = spec.path.local, spec.path.remote
        enc_len = _sizes(self.sa, spec.suite)[0].key_bits // 8
        for source, destination, spi, keys in (
            (local, remote, spec.spi_out, spec.keys_out),
            (remote, local, spec.spi_in, spec.keys_in),
        ):
            key, suite = keys.key.reveal(), spec.suite
            record = EspKeyRecord(
                source,
                destination,
                spi,
                suite.encr_id,
                suite.key_bits,
                suite.integ_id,
                key[:enc_len] + keys.salt.reveal(),
                key[enc_len:],
            )
            self.sa.services.effect(LogKeys(record))


def esp_path(path: Path) -> Path:
    """ESP travels in UDP on port 4500, also where IKE itself stayed on 500 (RFC 3948 section 2.1)."""
    return replace(path, local_port=4500, remote_port=4500) if path.local_port == 500 else path


def _up(sa: IkeSa, child: ChildSa) -> ChildUp:
    return ChildUp(
        sa.peer,
        child.name,
        f"{child.spi_in:08x}",
        f"{child.spi_out:08x}",
        child.suite.keyword,
        " ".join(show(one) for one in child.local_ts),
        " ".join(show(one) for one in child.remote_ts),
    )


def _sizes(sa: IkeSa, suite: EspSuite) -> tuple[Cipher, int]:
    """The cipher, and the octets of an integrity key."""
    algorithms = sa.services.algorithms
    cipher = algorithms.cipher(suite.encr_id, suite.key_bits)
    assert cipher is not None
    return cipher, algorithms.integs[suite.integ_id].key_len if suite.integ_id else 0


def _ts(selectors: tuple[Selector, ...], *, initiator: bool) -> TsPayload:
    return TsPayload(initiator, tuple(to_wire(one) for one in selectors))


def _selectors(payload: TsPayload) -> tuple[Selector, ...]:
    return tuple(one for one in map(from_wire, payload.selectors) if one is not None)


def _no_selectors(sa: IkeSa, tsi: tuple[Selector, ...], tsr: tuple[Selector, ...]) -> str:
    asked = f"{' '.join(map(show, tsi)) or 'nothing'} to {' '.join(map(show, tsr)) or 'nothing'}"
    ours = "; ".join(
        f"{child.name}: {' '.join(map(show, child.remote))} to {' '.join(map(show, child.local))}"
        for child in sa.policy.children
    )
    return f"the peer asks for {asked}; we allow {ours or 'no child'}"


def _by_peer(error: NotifyPayload, policy: ChildPolicy) -> PeerFault:
    name = name_of(NotifyType, error.type)
    offered = f"{' '.join(map(show, policy.local))} to {' '.join(map(show, policy.remote))}"
    words: dict[int, str] = {
        NotifyType.TS_UNACCEPTABLE: f"the peer accepts none of our traffic selectors: {offered}",
        NotifyType.NO_PROPOSAL_CHOSEN: "the peer accepts none of the ESP proposals that we offer",
    }
    return PeerFault(error.type, words.get(error.type, f"the peer refused the child: {name}"), error.data)


_REMEDIES: dict[int, str] = {
    NotifyType.TS_UNACCEPTABLE: "compare `local:` and `remote:` of the child with the peer's selectors",
    NotifyType.NO_PROPOSAL_CHOSEN: "compare `esp:` of the child with the peer's proposals",
}

"""One host's IKEv2: a function of bytes, time, randomness and answers to an ordered queue of effects (RFC 7296).

Nothing raises out of ``datagram``: what is refused is counted by name and emitted as ``PacketRefused``.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import count

from fynx.errors import CryptoError, Drop, Dropped, FynxError, PeerFault
from fynx.events import Event, HandshakeStarted, PacketRefused
from fynx.ike import commands, lifetimes, parallel, reauth, replies, standby, succession, twins, upkeep
from fynx.ike.admission import Admission, Peers, first_header
from fynx.ike.child import ChildSa
from fynx.ike.conversation import AUTH, INIT, NO_SPI, SILENT, Conversation, outer_payloads
from fynx.ike.effects import Command, Effect, Emit, IkeSnapshot, Transmit
from fynx.ike.epitaphs import Epitaphs
from fynx.ike.exchange import Catalogue
from fynx.ike.listed import Listed
from fynx.ike.policy import Candidates, HostPolicy, Network, PeerPolicy
from fynx.ike.randomness import guarded
from fynx.ike.sa import IkeSa, Successor
from fynx.ike.snapshot import gauges, snapshot
from fynx.ike.spis import Spis
from fynx.ike.states import IkeState
from fynx.ike.timers import Timer, Timers
from fynx.ike.turns import Turns
from fynx.ike.window import Arrival, HalfOpenKey
from fynx.plugin.auth import Identity
from fynx.plugin.crypto import Algorithms, Random
from fynx.plugin.dataplane import Expire
from fynx.plugin.extension import Extension, Role
from fynx.plugin.transport import Path
from fynx.wire.header import HEADER_LEN, Header, parse_header
from fynx.wire.iana import NotifyType
from fynx.wire.message import parse_payloads
from fynx.wire.payload import NotifyPayload, Payload


class Endpoint:
    """See the module. All times are the caller's monotonic seconds; ``random(n)`` must be a cryptographic source."""

    def __init__(
        self, policy: HostPolicy, algorithms: Algorithms, extensions: tuple[Extension, ...], random: Random
    ) -> None:
        self.policy, self.algorithms, self.random = policy, algorithms, guarded(random)
        self.now = 0.0
        self.workers = 0
        self.peers = Peers(policy.peers)
        self.admission = Admission(policy, self.random)
        self.catalogue = Catalogue(extensions)
        self.conversation = Conversation(self.catalogue, partial(upkeep.verified, self))
        self.timers = Timers()
        self.epitaphs = Epitaphs()
        self.sas: dict[int, IkeSa] = {}
        self.by_peer: dict[str, Listed] = {}
        self.handles: dict[int, IkeSa] = {}
        self.half_open: dict[HalfOpenKey, IkeSa] = {}
        self._calls: dict[str, list[IkeSa]] = {}
        self.spis = Spis(self.random)
        self._effects: deque[Effect] = deque()
        self._counters: Counter[str] = Counter()
        self._turns = Turns(self, self._message)
        self._serials, self._handles = count(1), count(1)

    # What the driver calls.

    def datagram(self, now: float, path: Path, data: bytes) -> None:
        """One IKE message, the non-ESP marker already removed."""
        self.now = now
        try:
            self._receive(path, data)
        except (Dropped, CryptoError) as refusal:
            self.refuse(path, refusal)

    def command(self, now: float, command: Command) -> None:
        """Raises ``StateError`` when it names a peer or a child that does not exist."""
        self.now = now
        commands.perform(self, command)

    def answer(self, now: float, ticket: int, outcome: object) -> None:
        """The outcome of an ``Ask``: a value, or an exception instance. For an SA that is gone it is undone."""
        self.now = now
        self._turns.answer(ticket, outcome)

    def tick(self, now: float) -> None:
        self.now = now
        for timer, number in self.timers.due(now):
            if timer >= Timer.CHILD_SOFT:
                lifetimes.fire_child(self, number, timer)
            elif number in self.sas:
                upkeep.fire(self, self.sas[number], timer)

    def deadline(self) -> float | None:
        return self.timers.next()

    def effects(self) -> Iterator[Effect]:
        """Drains the queue, in order; effects that come while it is drained are drained too."""
        while self._effects:
            yield self._effects.popleft()

    def path_seen(self, now: float, handle: int, path: Path) -> None:
        """The plane saw an authenticated, newest ESP packet of this child from another address (section 2.23)."""
        self.now = now
        upkeep.path_seen(self, handle, path)

    def expired(self, now: float, expire: Expire) -> None:
        self.now = now
        lifetimes.expired(self, expire)

    def activity(self, now: float, handle: int) -> None:
        """Authenticated traffic came in on this child: the peer lives."""
        sa = self.handles.get(handle)
        if sa is not None:
            sa.heard_at = now
            standby.heard(sa, handle)

    def used(self, now: float, handle: int, packets: int, octets: int) -> None:
        """What a child has carried so far, for its limits of use; called every few seconds."""
        self.now = now
        lifetimes.used(self, handle, packets, octets)

    def resolved(self, peer: str, remote: tuple[Network, ...]) -> None:
        """The addresses that a peer's DNS name has now."""
        self.peers.resolved(peer, remote)

    def snapshot(self) -> tuple[IkeSnapshot, ...]:
        return tuple(snapshot(sa) for sa in self.sas.values())

    def counters(self) -> dict[str, int]:
        """Refusals by name, and the gauges of SAs."""
        return {**self._counters, **gauges(self)}

    # What SAs and their tasks call (``sa.Services``).

    def effect(self, effect: Effect) -> None:
        self._effects.append(effect)

    def emit(self, event: Event) -> None:
        self._effects.append(Emit(event))

    def count(self, name: str) -> None:
        self._counters[name] += 1

    def next_handle(self) -> int:
        return next(self._handles)

    def candidates(self, path: Path) -> Candidates:
        return self.peers.at(path.remote)

    def may_try(self, sa: IkeSa, identity: Identity) -> bool:
        return self.admission.may_try(self.now, sa.path.remote, identity)

    def tried(self, sa: IkeSa, identity: Identity, *, proved: bool) -> None:
        self.admission.tried(self.now, sa.path.remote, identity, proved=proved)

    def siblings(self, sa: IkeSa) -> tuple[IkeSa, ...]:
        known = self.by_peer.get(sa.peer)
        return known.beside(sa) if known is not None else ()

    def authenticating(self, peer: str) -> tuple[IkeSa, ...]:
        return tuple(sa for sa in self._called(peer) if sa.state is IkeState.AUTH_SENT)

    def _called(self, peer: str) -> list[IkeSa]:
        """IKE SAs that we began with that peer and that do not stand yet."""
        calls = [sa for sa in self._calls.pop(peer, ()) if sa.serial in self.sas and not sa.established]
        if calls:
            self._calls[peer] = calls
        return calls

    def drop(self, sa: IkeSa, reason: str, *, confirmed: bool = False) -> None:
        succession.dropped(self, sa)
        self._turns.forget(sa)
        self.spis.remove(sa)
        upkeep.buried(self, sa, reason, confirmed=confirmed)
        self._called(sa.peer)

    def supersede(self, sa: IkeSa) -> None:
        reauth.supersede(self, sa)

    def retire(self, child: ChildSa, *, confirmed: bool, linger: bool) -> None:
        lifetimes.retire(self, child, confirmed=confirmed, linger=linger)

    def put_off(self, timer: Timer, number: int) -> None:
        lifetimes.again_soon(self, (timer, number))

    def fresh_spi(self, *, initiator: bool) -> bytes:
        return self.spis.fresh(initiator=initiator)

    def inherit(self, old: IkeSa, spi_i: bytes, spi_r: bytes, *, initiator: bool) -> IkeSa:
        role: Role = "initiator" if initiator else "responder"
        sa = IkeSa(next(self._serials), role, self, old.path, spi_i, spi_r, old.policies, self.now)
        self.spis.put(sa)
        self.sas[sa.serial] = sa
        return sa

    def rekeyed(self, old: IkeSa, successor: Successor) -> None:
        succession.rekeyed(self, old, successor)

    def not_rekeyed(self, old: IkeSa) -> bool:
        return succession.not_rekeyed(self, old)

    def chosen(self, new: IkeSa) -> None:
        succession.chosen(self, new)

    def offered(self, old: IkeSa, new: IkeSa) -> None:
        succession.offered(self, old, new)

    # SAs.

    def new_initiator(self, policy: PeerPolicy, path: Path, wanted: tuple[str, ...]) -> IkeSa:
        spi_i = self.spis.fresh(initiator=True)
        sa = IkeSa(next(self._serials), "initiator", self, path, spi_i, NO_SPI, policy.alone, self.now, wanted=wanted)
        self.spis.put(sa)
        self.sas[sa.serial] = sa
        self._calls[sa.peer] = [*self._called(sa.peer), sa]
        self.emit(HandshakeStarted(sa.peer, sa.role, str(path)))
        return sa

    def _new_responder(self, header: Header, path: Path, key: HalfOpenKey) -> IkeSa:
        spi_r = self.spis.fresh(initiator=False)
        policies = self.candidates(path)
        sa = IkeSa(next(self._serials), "responder", self, path, header.spi_i, spi_r, policies, self.now)
        sa.init.half_open = key
        self.spis.put(sa)
        self.sas[sa.serial] = self.half_open[key] = sa
        self.admission.opened(path.remote)
        self.emit(HandshakeStarted(sa.peer, sa.role, str(path)))
        return sa

    def pump(self, sa: IkeSa) -> None:
        """Starts the exchange that waits, when the window is free and the SA may carry it (section 2.3)."""
        if sa.working or sa.deferred or not sa.queue or sa.serial not in self.sas:
            return
        number, options = twins.first(sa)
        if not number or not (number in (INIT, AUTH) or sa.established or "closing" in options):
            return
        if not parallel.may_start(sa, number, options):
            return
        sa.queue.popleft()
        self._turns.start(sa, self.conversation.open(sa, number, dict(options)), partial(self._opened, sa))

    def _receive(self, path: Path, data: bytes) -> None:
        header = parse_header(data)
        if header.major != 2:
            replies.wrong_version(self, header, path)
        if header.spi_i == NO_SPI:
            raise Dropped(Drop.ZERO_SPI, "initiator SPI 0")
        if header.exchange not in self.catalogue.exchanges:
            raise Dropped(Drop.EXCHANGE, f"exchange type {header.exchange}")
        if header.exchange == INIT and not header.response:
            self._first_message(header, path, data)
            return
        sa = self.spis.find(header)
        if sa is None:
            replies.stranger(self, header, path, data)
        else:
            self._message(sa, header, path, data)

    def _message(self, sa: IkeSa, header: Header, path: Path, data: bytes) -> None:
        if header.response:
            self._response(sa, header, path, data)
        else:
            self._request(sa, header, path, data)

    def _first_message(self, header: Header, path: Path, data: bytes) -> None:
        first_header(header)
        if self.spis.began(header.spi_i):
            raise Dropped(Drop.REFLECTION, "our own first message came back")
        key = HalfOpenKey.of(header.spi_i, path, data)
        known = self.half_open.get(key)
        if known is not None:
            self._repeat_init(known, path)
            return
        self._admit(header, path, data, key)

    def _repeat_init(self, sa: IkeSa, path: Path) -> None:
        if not sa.init.response:
            raise Dropped(Drop.BUSY, "the first message is being worked on")
        self.count("retransmitted_responses")
        self.effect(Transmit(path, sa.init.response))

    def _admit(self, header: Header, path: Path, data: bytes, key: HalfOpenKey) -> None:
        if not self.candidates(path):
            raise Dropped(Drop.NO_PEER, f"no peer is configured for {path.remote}")
        self.admission.check(self.now, path)
        try:
            payloads = parse_payloads(header.next_payload, data[HEADER_LEN:])
        except PeerFault as fault:
            if fault.notify == NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD:
                replies.in_clear(self, header, path, NotifyPayload(fault.notify, fault.data))
            raise Dropped(Drop.SYNTAX, fault.why) from None
        cookie = self.admission.cookie(self.now, header.spi_i, path, payloads)
        if cookie is not None:
            self.count("cookies_asked")
            replies.in_clear(self, header, path, NotifyPayload(NotifyType.COOKIE, cookie), limited=False)
            return
        self._begin(header, path, data, key, payloads)

    def _begin(self, header: Header, path: Path, data: bytes, key: HalfOpenKey, payloads: tuple[Payload, ...]) -> None:
        sa = self._new_responder(header, path, key)
        self.timers.set((Timer.HALF_OPEN, sa.serial), self.now + self.admission.patience_s())

        def finished(error: FynxError | None) -> None:
            if error is None:
                upkeep.settle(self, sa)
                return
            if isinstance(error, PeerFault) and error.notify not in SILENT:
                replies.in_clear(self, header, path, NotifyPayload(error.notify, error.data), limited=False)
            else:
                self.refuse(path, error)
            self.drop(sa, str(error))

        self._turns.start(sa, self.conversation.answer_init(sa, payloads, data), finished)

    def _response(self, sa: IkeSa, header: Header, path: Path, data: bytes) -> None:
        if not sa.window.answers(header.message_id, header.exchange) or sa.initiator is header.initiator:
            raise Dropped(Drop.UNEXPECTED_RESPONSE, f"no request {header.message_id} is waiting")
        if sa.working:
            self._turns.wait(sa, header, path, data)
            return
        if header.exchange != INIT and not outer_payloads(header, data):
            raise Dropped(Drop.NOT_PROTECTED, "an empty message in clear")
        if upkeep.hint(self, sa, header, data):
            return
        if header.exchange == INIT:
            sa.path = replace(sa.path, local=sa.path.local or path.local)
        self._turns.start(sa, self.conversation.complete(sa, header, data, path), partial(self._completed, sa, path))

    def _request(self, sa: IkeSa, header: Header, path: Path, data: bytes) -> None:
        arrival = sa.window.arrival(header.message_id)
        if arrival is Arrival.REPEAT and sa.window.repeats(header.message_id, header.exchange):
            # also the IKE_AUTH that established it
            self.conversation.repeat(sa, header, data, path)
            self.count("retransmitted_responses")
            return
        spec = self.catalogue.exchanges[header.exchange]
        stands = sa.established or sa.state is IkeState.DELETING
        if not (stands if not spec.before_auth else not stands and not sa.initiator):
            raise Dropped(Drop.EXCHANGE, f"{spec.name} does not fit state {sa.state.value}")
        if arrival in (Arrival.OUTSIDE, Arrival.REPEAT):
            raise Dropped(Drop.WINDOW, f"message id {header.message_id}, expected {sa.window.expected}")
        if arrival is Arrival.BUSY:
            raise Dropped(Drop.BUSY, "the request is being worked on")
        if not (sa.requests.take(self.now) if stands else sa.forged.has(self.now)):
            raise Dropped(Drop.RATE_LIMITED, "the peer asks too much, or what does not verify, in a short time")
        if sa.working:
            self._turns.wait(sa, header, path, data)
            return
        self._turns.start(sa, self.conversation.answer(sa, header, data, path), partial(self._answered, sa, path))

    # After the steps.

    def _opened(self, sa: IkeSa, error: FynxError | None) -> None:
        if error is not None:
            upkeep.own_failure(self, sa, error)
            return
        upkeep.arm(self, sa)
        self.pump(sa)

    def _completed(self, sa: IkeSa, path: Path, error: FynxError | None) -> None:
        if upkeep.is_incomplete(self, sa, error):
            return
        if error is not None:
            self.refuse(path, error)
            upkeep.after_refusal(self, sa)
            return
        upkeep.arm(self, sa)
        upkeep.settle(self, sa)

    def _answered(self, sa: IkeSa, path: Path, error: FynxError | None) -> None:
        if upkeep.is_incomplete(self, sa, error):
            return
        if error is not None:
            sa.window.abandon()
            if not sa.established and not _repeated(error):
                sa.forged.take(self.now)
            self.refuse(path, error)
            return
        upkeep.settle(self, sa)

    # Refusing.

    def refuse(self, path: Path, error: FynxError) -> None:
        refusal = error if isinstance(error, Dropped) else Dropped(Drop.SYNTAX, str(error))
        self.count(f"drop_{refusal.reason.value}")
        self.emit(PacketRefused("", refusal.reason.value, str(path), refusal.why))


def _repeated(error: FynxError) -> bool:
    """A fragment that a lossy network brought twice is no forgery."""
    return isinstance(error, Dropped) and error.reason is Drop.FRAGMENT_REPEATED

"""A scripted peer that knows the keys and obeys nothing: it forges, alters and repeats messages of a dialogue.

It is built on the codec and the key schedule alone, not on the Endpoint, and plays either role against a real Node.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from fynx.errors import Drop
from fynx.events import Event, PacketRefused
from fynx.ike.effects import Initiate
from fynx.ike.keymat import IkeKeys, derive_child, derive_ike, psk_auth, signed_octets
from fynx.ike.natd import natd_notifies
from fynx.ike.negotiate import Choice, choose_ike, offer_ike
from fynx.ike.policy import HostPolicy
from fynx.ike.protect import IkeSuite, Protector
from fynx.ike.selectors import to_wire
from fynx.plugin import ChildKeys, Identity, Offer, Path, Selector
from fynx.sim.world import World
from fynx.wire.encap import MARKER
from fynx.wire.header import HEADER_LEN, Header, parse_header
from fynx.wire.iana import ExchangeType, NotifyType
from fynx.wire.message import encode_message, parse_payloads
from fynx.wire.payload import (
    AuthPayload,
    IdPayload,
    KePayload,
    NoncePayload,
    NotifyPayload,
    Payload,
    SaPayload,
    TsPayload,
)
from fynx.wire.proposal import Proposal
from tests.sim.rig import (
    ALICE,
    BOB,
    ESP,
    IKE,
    LAN_A,
    LAN_B,
    SECRET,
    host,
    identity,
    peer_of_alice,
    peer_of_bob,
    policy,
)
from tests.unit.ike.algorithms import ALGORITHMS, GCM_128, NO_ESN

INIT, AUTH = ExchangeType.IKE_SA_INIT, ExchangeType.IKE_AUTH
CREATE, INFO = ExchangeType.CREATE_CHILD_SA, ExchangeType.INFORMATIONAL
NO_SPI = bytes(8)
SPI = b"\x0a\x0b\x0c\x0d"
"""The ESP SPI of the script."""

Clear = tuple[int, bytes]
NONE: Clear = (0, b"")
Part = tuple[int, bytes, int]
"""A payload by hand: type, body, octet of the critical bit."""


def chain(parts: Sequence[Part]) -> tuple[int, bytes]:
    """First type and octets of a chain of payloads, whatever they hold."""
    data = b""
    following = 0
    for kind, body, critical in reversed(parts):
        data = bytes((following, critical)) + (4 + len(body)).to_bytes(2, "big") + body + data
        following = kind
    return following, data


def part(payload: Payload, critical: int = 0) -> Part:
    return int(payload.kind), payload.body, critical


def parts(payloads: Sequence[Payload]) -> list[Part]:
    return [part(payload) for payload in payloads]


class Script:
    """One peer. ``initiator``: it began the IKE SA. Sends from and to ``port`` (with marker where that is not 500)."""

    def __init__(self, world: World, address: str, target: str, *, initiator: bool) -> None:
        self.world, self.target, self.initiator, self.port = world, target, initiator, 500
        self.address = self.inside = address  # ``inside``: its own, where it is seen at another, behind a NAT
        self.secret = SECRET
        self.own_id = identity("alice.example.org" if initiator else "bob.example.org")
        self.peer_id = identity("bob.example.org" if initiator else "alice.example.org")
        self.spi_i = b"scripted" if initiator else NO_SPI
        self.spi_r = NO_SPI if initiator else b"answered"
        self.ni = b"i" * 32 if initiator else b""
        self.nr = b"" if initiator else b"r" * 32
        self.own_init = self.peer_init = b""
        self.offer: Offer | None = None
        self.method = 31
        self.suite: IkeSuite | None = None
        self.keys: IkeKeys | None = None
        self._protector: Protector | None = None
        self.next_id = 0
        self.inbox: list[bytes] = []
        self.heard: tuple[Payload, ...] = ()
        """Of the initiator's first message."""
        self.shared = b""
        """g^ir."""
        self.extra: tuple[Payload, ...] = ()
        """What else goes into the message of IKE_SA_INIT."""
        world.attach(address, self)

    # The network.

    def arrive(self, path: Path, data: bytes) -> None:
        self.inbox.append(data.removeprefix(MARKER) if path.local_port != 500 else data)

    def send(self, data: bytes, *, source: str = "", port: int = 0, wait: bool = True) -> None:
        """Puts octets before the node; ``wait`` until its answer is here."""
        port = port or self.port
        wire = (MARKER if port != 500 else b"") + data
        self.world.inject((source or self.address, port), (self.target, port), wire)
        if wait:
            self.world.run(0.1)

    def received(self) -> list[bytes]:
        """What came since the last call."""
        found, self.inbox = self.inbox, []
        return found

    def one(self) -> bytes:
        (data,) = self.received()
        return data

    # Messages.

    def header(self, exchange: int, message_id: int, *, response: bool = False) -> Header:
        return Header(self.spi_i, self.spi_r, 0, exchange, self.initiator, response, message_id, 0)

    def clear(
        self, exchange: int, payloads: Sequence[Payload], message_id: int = 0, *, response: bool = False
    ) -> bytes:
        return encode_message(self.header(exchange, message_id, response=response), payloads)

    def clear_raw(
        self, exchange: int, first: int, data: bytes, message_id: int = 0, *, response: bool = False
    ) -> bytes:
        head = self.header(exchange, message_id, response=response)
        return head.encode_as(first, HEADER_LEN + len(data)) + data

    def sealed(self, exchange: int, payloads: Sequence[Payload], message_id: int, *, response: bool = False) -> bytes:
        return self.protector.seal(self.header(exchange, message_id, response=response), tuple(payloads))

    def sealed_raw(
        self, exchange: int, first: int, data: bytes, message_id: int, *, response: bool = False, clear: Clear = NONE
    ) -> bytes:
        """``clear``: first type and octets of a chain in clear before SK."""
        header = self.header(exchange, message_id, response=response)
        return self.protector.seal_raw(header, first, data, clear[1], clear[0])

    def opened(self, message: bytes) -> tuple[Payload, ...]:
        header = parse_header(message)
        first, inner = self.protector.open(message, parse_payloads(header.next_payload, message[HEADER_LEN:]))
        return parse_payloads(first, inner, protected=True)

    @property
    def protector(self) -> Protector:
        assert self._protector is not None, "no keys yet"
        return self._protector

    # IKE_SA_INIT.

    def init_payloads(self, proposals: tuple[Proposal, ...] = IKE) -> list[Payload]:
        """SA, KE, nonce, and the two NAT detections."""
        random = self.world._random.randbytes
        if self.offer is None:
            self.offer = ALGORITHMS.key_exchanges[self.method].start(random)
        path = Path(self.inside, self.port, self.target, self.port)
        nonce = self.ni if self.initiator else self.nr
        return [
            SaPayload(offer_ike(proposals)),
            KePayload(self.method, self.offer.public),
            NoncePayload(nonce),
            *natd_notifies(self.spi_i, self.spi_r, path),
            *self.extra,
        ]

    def begin(self, payloads: Sequence[Payload] | None = None) -> bytes:
        """Sends the first message; returns it."""
        self.own_init = self.clear(INIT, self.init_payloads() if payloads is None else payloads)
        self.send(self.own_init)
        return self.own_init

    def learn(self, response: bytes) -> None:
        """As initiator: takes the responder's answer and derives the keys."""
        self.peer_init = response
        header = parse_header(response)
        payloads = parse_payloads(header.next_payload, response[HEADER_LEN:])
        self.spi_r = header.spi_r
        answer = next(one for one in payloads if isinstance(one, SaPayload))
        ke = next(one for one in payloads if isinstance(one, KePayload))
        self.nr = next(one for one in payloads if isinstance(one, NoncePayload)).data
        assert self.offer is not None
        self._derive(answer.proposals, self.offer.finish(ke.data))
        self.next_id = 1
        self.port = self.port if self.inside == self.address else 4500

    def hear(self, request: bytes, allowed: tuple[Proposal, ...] = IKE) -> list[Payload]:
        """As responder: takes the initiator's request, derives the keys; returns the payloads to answer with."""
        self.peer_init = request
        header = parse_header(request)
        payloads = self.heard = clear_payloads(request)
        self.spi_i = header.spi_i
        offered = next(one for one in payloads if isinstance(one, SaPayload))
        ke = next(one for one in payloads if isinstance(one, KePayload))
        self.ni = next(one for one in payloads if isinstance(one, NoncePayload)).data
        choice = choose_ike(offered.proposals, allowed, ALGORITHMS)
        assert isinstance(choice, Choice)
        public, secret = ALGORITHMS.key_exchanges[ke.method].answer(ke.data, self.world._random.randbytes)
        self._derive((choice.proposal,), secret)
        answer = self.init_payloads()
        answer[:2] = [SaPayload((choice.proposal,)), KePayload(ke.method, public)]
        return answer

    def respond_init(self, payloads: Sequence[Payload]) -> bytes:
        self.own_init = self.clear(INIT, payloads, response=True)
        self.send(self.own_init)
        return self.own_init

    def _derive(self, proposals: tuple[Proposal, ...], secret: bytes) -> None:
        choice = choose_ike(tuple(replace(one, number=1) for one in proposals), proposals, ALGORITHMS)
        assert isinstance(choice, Choice)
        self.suite = choice.suite
        self.shared = secret
        self.keys = derive_ike(self.suite, self.ni, self.nr, self.spi_i, self.spi_r, secret)
        self._protector = Protector(
            self.suite, self.keys, initiator=self.initiator, random=self.world._random.randbytes
        )

    # IKE_AUTH.

    def auth_payloads(
        self,
        *,
        who: Identity | None = None,
        asked: Identity | None = None,
        esp_offer: tuple[Proposal, ...] | None = None,
        tsi: tuple[Selector, ...] = (LAN_A,),
        tsr: tuple[Selector, ...] = (LAN_B,),
    ) -> list[Payload]:
        """IDi or IDr, AUTH, and the first child; ``asked`` is the IDr of a request, none where None."""
        who = who or self.own_id
        proposals = esp_offer if esp_offer is not None else (replace(ESP[0], spi=SPI, transforms=(GCM_128, NO_ESN)),)
        found: list[Payload] = [IdPayload(self.initiator, who.id_type, who.data)]
        if asked is not None:
            found.append(IdPayload(False, asked.id_type, asked.data))
        return [*found, self.auth(who), SaPayload(proposals), self.ts(tsi, True), self.ts(tsr, False)]

    def ts(self, selectors: tuple[Selector, ...], initiator: bool) -> TsPayload:
        return TsPayload(initiator, tuple(to_wire(one) for one in selectors))

    def auth(
        self,
        who: Identity,
        *,
        sk_p: bytes | None = None,
        message: bytes | None = None,
        nonce: bytes | None = None,
        secret: bytes | None = None,
        body: bytes | None = None,
    ) -> AuthPayload:
        """AUTH with a pre-shared key; each part may be a wrong one (RFC 7296 section 2.15)."""
        assert self.suite is not None
        assert self.keys is not None
        right_key = bytes(self.keys.sk_pi if self.initiator else self.keys.sk_pr)
        right_nonce = self.nr if self.initiator else self.ni
        octets = signed_octets(
            self.suite.prf,
            right_key if sk_p is None else sk_p,
            self.own_init if message is None else message,
            right_nonce if nonce is None else nonce,
            IdPayload(True, who.id_type, who.data).body if body is None else body,
        )
        return AuthPayload(2, psk_auth(self.suite.prf, self.secret if secret is None else secret, octets))

    # Requests of an SA that stands.

    def request(self, exchange: int, payloads: Sequence[Payload]) -> tuple[Payload, ...]:
        """Sends the next request; returns what the node answered."""
        self.send(self.sealed(exchange, payloads, self.next_id))
        self.next_id += 1
        return self.opened(self.one())

    def request_raw(self, exchange: int, first: int, data: bytes) -> tuple[Payload, ...]:
        self.send(self.sealed_raw(exchange, first, data, self.next_id))
        self.next_id += 1
        return self.opened(self.one())

    def child_keys(self, ni: bytes = b"", nr: bytes = b"") -> tuple[ChildKeys, ChildKeys]:
        """(initiator to responder, back) of a child with AES-GCM-128; the first one's nonces where none are given."""
        assert self.suite is not None
        assert self.keys is not None
        return derive_child(self.suite.prf, self.keys.sk_d, ni or self.ni, nr or self.nr, 16, 4, 0)


class Bench:
    """One real Node and one Script against it."""

    def __init__(self, role: str, node_policy: HostPolicy | None = None, seed: int = 1, **changes: object) -> None:
        """``role`` is that of the node: it initiates as Alice, or responds as Bob."""
        self.world = World(seed)
        if role == "initiator":
            found = node_policy or policy(peer_of_alice())
            self.node = self.world.add(host("alice", ALICE, found, **changes))
            self.script = Script(self.world, BOB, ALICE, initiator=False)
        else:
            found = node_policy or policy(peer_of_bob())
            self.node = self.world.add(host("bob", BOB, found, **changes))
            self.script = Script(self.world, ALICE, BOB, initiator=True)

    def started(self) -> Script:
        """The node sent, or answered, IKE_SA_INIT, and the script has keys; as initiator it waits for the answer."""
        if self.script.initiator:
            self.script.begin()
            self.script.learn(self.script.one())
        else:
            self.node.command(Initiate("bob", Path(ALICE, 500, BOB, 500)))
            self.world.run(0.1)
        return self.script

    def authenticating(self) -> Script:
        """As ``started``; a node that initiates has also sent its IKE_AUTH request, which is in the inbox."""
        script = self.started()
        if not script.initiator:
            script.respond_init(script.hear(script.one()))
        return script

    def established(self) -> Script:
        """The IKE SA stands, with one child."""
        script = self.authenticating()
        if script.initiator:
            assert any(isinstance(one, AuthPayload) for one in script.request(AUTH, script.auth_payloads()))
        else:
            script.one()
            script.send(script.sealed(AUTH, script.auth_payloads(), 1, response=True))
        assert self.state() == "established", self.world.trace
        return script

    # What the node thinks.

    def state(self) -> str:
        """Of its only IKE SA; "" where it has none."""
        found = self.node.endpoint.snapshot()
        return found[0].state if found else ""

    def events(self, kind: type[Event]) -> list[Event]:
        return self.node.events_of(kind)

    @contextmanager
    def silent(self, reason: Drop | None = None) -> Iterator[None]:
        """What happens inside is refused, ``reason`` is counted, nothing is sent and no state changes (G2)."""
        before, seen, sent = self.picture(), len(self.node.events), len(self.node.sent)
        yield
        refusals = [event for event in self.node.events[seen:] if isinstance(event, PacketRefused)]
        assert refusals, "nothing was refused"
        if reason is not None:
            assert {event.reason for event in refusals} == {reason.value}
        assert len(self.node.sent) == sent, "something was sent"
        assert self.picture() == before

    def picture(self) -> tuple[object, ...]:
        """All that an unauthenticated message must not change."""
        endpoint = self.node.endpoint
        windows = [(sa.window.next_request, sa.window.expected, sa.path) for sa in endpoint.sas.values()]
        return endpoint.snapshot(), windows, list(self.node.plane.children), endpoint.admission.half_open


ROLES = ("initiator", "responder")


def notifies(payloads: Sequence[Payload]) -> list[NotifyType]:
    return [NotifyType(one.type) for one in payloads if isinstance(one, NotifyPayload)]


def errors(payloads: Sequence[Payload]) -> list[NotifyType]:
    return [NotifyType(one.type) for one in payloads if isinstance(one, NotifyPayload) and one.is_error]


def clear_payloads(message: bytes) -> tuple[Payload, ...]:
    return parse_payloads(parse_header(message).next_payload, message[HEADER_LEN:])


def child_request(script: Script) -> list[Payload]:
    """SA, Ni, TSi, TSr of CREATE_CHILD_SA, as the peer of the node would send it."""
    found = script.auth_payloads()
    sa = next(one for one in found if isinstance(one, SaPayload))
    offered = SaPayload((replace(sa.proposals[0], spi=b"\x11\x12\x13\x14"),))
    selectors = [one.selectors for one in found if isinstance(one, TsPayload)]
    mine, theirs = selectors if script.initiator else selectors[::-1]
    return [offered, NoncePayload(b"m" * 32), TsPayload(True, mine), TsPayload(False, theirs)]

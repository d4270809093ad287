"""One request and its response, as initiator and as responder, over the tasks of the exchange (RFC 7296 sections 1,
2.1, 2.21).

Everything here is a generator: it yields work and receives outcomes, so that an SA can wait while others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from fynx.errors import Drop, Dropped, FynxError, PeerFault
from fynx.ike.exchange import Catalogue, Exchange, Restart, run
from fynx.ike.fitting import Message, follow, protected, send, shrunk
from fynx.ike.fragments import Fragment, FragmentStore, SetKey, Whole
from fynx.ike.sa import Failure, IkeSa
from fynx.ike.states import IkeEvent
from fynx.ike.window import digest
from fynx.plugin.extension import Incoming, Outgoing, Running
from fynx.plugin.transport import Path
from fynx.wire.header import HEADER_LEN, Header
from fynx.wire.iana import ExchangeType, NotifyType
from fynx.wire.message import encode_message, parse_payloads, refuse_critical
from fynx.wire.payload import FragmentPayload, NotifyPayload, Payload, UnknownPayload

NO_SPI = bytes(8)
INIT, AUTH = ExchangeType.IKE_SA_INIT, ExchangeType.IKE_AUTH
PATIENT_REPEATS = 2
"""How often a response is repeated as it was, before it goes out in smaller fragments (RFC 7383 section 2.4)."""
FATAL = (NotifyType.INVALID_SYNTAX, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, NotifyType.AUTHENTICATION_FAILED)
SILENT = (NotifyType.INVALID_SYNTAX, NotifyType.AUTHENTICATION_FAILED)
"""Faults of a first message that are dropped: nobody has proved anything yet (section 2.21.1)."""


class Conversation:
    """Builds, sends, reads and answers messages of IKE SAs; knows the catalogue of exchanges and nothing of other
    SAs."""

    def __init__(self, catalogue: Catalogue, verified: Callable[[IkeSa, Path, int], None]) -> None:
        self.catalogue = catalogue
        self._verified = verified
        self.fragments = FragmentStore()

    # As initiator of an exchange.

    def open(self, sa: IkeSa, number: int, options: dict[str, object]) -> Running:
        """Builds the request of a new exchange and sends it."""
        exchange = self.catalogue.begin(sa, number, options)
        if not sa.exchanges:
            sa.deleted_early.clear()
        request = yield from self._request(sa, exchange)
        sa.exchanges[sa.window.sent(number, request)] = exchange
        send(sa, sa.path, request)

    def _request(self, sa: IkeSa, exchange: Exchange) -> Generator[Any, Any, Message]:
        if exchange.number == INIT:
            sa.advance(IkeEvent.SEND_INIT)
        elif exchange.number == AUTH:
            sa.advance(IkeEvent.SEND_AUTH)
        out = Outgoing(exchange.number, response=False)
        yield from run(sa, exchange, "build", out)
        number = 0 if exchange.number == INIT else sa.window.next_request
        request = encode(sa, number, out, sa.path)
        if exchange.number == INIT:
            (sa.init.request,) = request.datagrams
        return request

    def complete(self, sa: IkeSa, header: Header, data: bytes, path: Path) -> Running:
        """Reads the response to the request in flight. A refusal of what came in clear leaves the request waiting."""
        if header.exchange == INIT:
            yield from self._complete_init(sa, header, data)
            return
        opened = self.opened(sa, header, data)
        self._verified(sa, path, -1)
        sa.window.completed(header.message_id)
        exchange = sa.exchanges.pop(header.message_id)
        try:
            payloads = decode(opened.first, opened.chain)
            message = Incoming(header.exchange, header.message_id, True, payloads, protected=True)
            yield from run(sa, exchange, "process", message)
        except PeerFault as fault:
            self._response_fault(sa, header, fault)
        except Dropped as refusal:  # it verified: this is the peer's answer, and there will be no other
            self._response_fault(sa, header, PeerFault(NotifyType.INVALID_SYNTAX, refusal.why))

    def _complete_init(self, sa: IkeSa, header: Header, data: bytes) -> Running:
        exchange = sa.exchanges[header.message_id]
        spi_before = sa.spi_r
        try:
            payloads = parse_payloads(header.next_payload, data[HEADER_LEN:])
            message = Incoming(INIT, 0, True, payloads, protected=False)
            sa.spi_r = header.spi_r
            yield from run(sa, exchange, "process", message)
        except Restart:
            sa.spi_r = spi_before
            yield from self._restart(sa, exchange)
            return
        except PeerFault as fault:
            sa.spi_r = spi_before
            raise Dropped(Drop.SYNTAX, fault.why) from None
        except FynxError:
            sa.spi_r = spi_before
            raise
        if sa.spi_r == NO_SPI:
            raise Dropped(Drop.ZERO_SPI, "a responder has an SPI")
        sa.init.response = data
        sa.advance(IkeEvent.RECEIVE_INIT)
        sa.window.completed(header.message_id)
        del sa.exchanges[header.message_id]

    def _restart(self, sa: IkeSa, exchange: Exchange) -> Running:
        fresh = self.catalogue.begin(sa, INIT, exchange.options)
        request = yield from self._request(sa, fresh)
        sa.exchanges[0] = fresh
        sa.window.restarted(request)
        send(sa, sa.path, request)

    def _response_fault(self, sa: IkeSa, header: Header, fault: PeerFault) -> None:
        """A response that we cannot accept: the SA ends, and the peer is told where it should know (section 2.21.2)."""
        if sa.failure is None:
            sa.failure = Failure("INVALID_SYNTAX", fault.why)
        if header.exchange == AUTH and not sa.closing and fault.notify == NotifyType.AUTHENTICATION_FAILED:
            sa.queue.clear()
            sa.start(ExchangeType.INFORMATIONAL, notify=fault.notify, closing=fault.why)
        elif header.exchange == AUTH or fault.notify in FATAL:
            sa.closing = sa.closing or fault.why

    # As responder.

    def answer_init(self, sa: IkeSa, payloads: tuple[Payload, ...], data: bytes) -> Running:
        """IKE_SA_INIT as responder. Raises ``PeerFault`` for what the endpoint answers without state, ``Dropped``
        else."""
        message = Incoming(INIT, 0, False, payloads, protected=False)
        exchange = self.catalogue.begin(sa, INIT, {})
        out = Outgoing(INIT, response=True)
        yield from run(sa, exchange, "process", message)
        yield from run(sa, exchange, "build", out)
        sa.advance(IkeEvent.ANSWER_INIT)
        response = encode(sa, 0, out, sa.path)
        sa.init.request, (sa.init.response,) = data, response.datagrams
        sa.window.responded(response)
        send(sa, sa.path, response)

    def answer(self, sa: IkeSa, header: Header, data: bytes, path: Path) -> Running:
        """A protected request: opened, run through its tasks, answered on the path that it came by (section 2.11)."""
        opened = self.opened(sa, header, data)
        sa.window.serving(header.message_id, opened.digest)
        out = Outgoing(header.exchange, response=True)
        exchange = self.catalogue.begin(sa, header.exchange, {})
        try:
            self._verified(sa, path, header.message_id)
            follow(sa, path, opened.largest)
            _refuse_critical(opened)
            payloads = decode(opened.first, opened.chain)
            message = Incoming(header.exchange, header.message_id, False, payloads, protected=True)
            yield from run(sa, exchange, "process", message)
            yield from run(sa, exchange, "build", out)
        except PeerFault as fault:
            out.payloads[:] = [NotifyPayload(fault.notify, fault.data)]
            if fault.notify in FATAL or header.exchange == AUTH:
                sa.failure = sa.failure or Failure("INVALID_SYNTAX", fault.why)
                sa.closing = fault.why
        response = encode(sa, header.message_id, out, path)
        sa.window.responded(response)
        send(sa, path, response)

    def repeat(self, sa: IkeSa, header: Header, data: bytes, path: Path) -> None:
        """Answers again what was answered, on its first fragment only (RFC 7383 section 2.6.1).

        The same octets again prove themselves; others that claim the id have to verify. Who asks again and again may
        not get large datagrams: then it gets smaller ones. Raises ``Dropped``.
        """
        window = sa.window
        if not window.is_same_request(header.message_id, data):
            self._unsealed(sa, header, data, again=True)
        last = window.cached(header.message_id)
        if path.remote != sa.path.remote and len(last.response.datagrams) > 1:
            raise Dropped(Drop.FRAGMENT, "a long response does not go to an address that proved nothing")
        last.asked_again += 1
        if last.asked_again >= PATIENT_REPEATS:
            last.response = shrunk(sa, last.response, path) or last.response
        send(sa, path, last.response)

    def opened(self, sa: IkeSa, header: Header, data: bytes) -> Whole:
        """A message that verifies, put together where it came in fragments. Raises ``Incomplete`` when fragments of it
        are missing, ``Dropped`` for what does not verify."""
        key = SetKey(sa.serial, header.response, header.message_id, header.exchange)
        found = self._unsealed(sa, header, data)
        whole = self.fragments.keep(key, found, sa.services.now) if isinstance(found, Fragment) else found
        self.fragments.passed(key)
        return whole

    def _unsealed(self, sa: IkeSa, header: Header, data: bytes, *, again: bool = False) -> Whole | Fragment:
        """One datagram, verified. ``again``: its message was answered already."""
        if sa.protector is None:
            raise Dropped(Drop.NO_KEYS, "an encrypted message before there are keys")
        outer = outer_payloads(header, data)
        skf = outer[-1] if outer else None
        if not isinstance(skf, FragmentPayload):
            return Whole(*sa.protector.open(data, outer), digest(data), critical=critical_type(outer))
        if not sa.fragmenting.negotiated:
            raise Dropped(Drop.FRAGMENT, "fragments were not agreed on")
        if again and skf.number != 1:
            raise Dropped(Drop.FRAGMENT_REPEATED, "its message was answered already")
        self.fragments.check(SetKey(sa.serial, header.response, header.message_id, header.exchange), skf)
        chunk = sa.protector.open_fragment(data, skf)
        return Fragment(skf, chunk, critical_type(outer), digest(data), len(data))


def outer_payloads(header: Header, data: bytes) -> tuple[Payload, ...]:
    """What stands in clear; a fault there is nobody's yet, so it is dropped and not answered."""
    try:
        return parse_payloads(header.next_payload, data[HEADER_LEN:])
    except PeerFault as fault:
        raise Dropped(Drop.SYNTAX, fault.why) from None


def critical_type(outer: tuple[Payload, ...]) -> int:
    """The type of the first payload in clear that is unknown and critical, or 0."""
    return next((one.type for one in outer if isinstance(one, UnknownPayload) and one.critical), 0)


def _refuse_critical(message: Whole) -> None:
    """Once the message verified (sections 2.5 and 3.14)."""
    if message.critical:
        refuse_critical((UnknownPayload(message.critical, True, b""),))


def decode(first: int, chain: bytes) -> tuple[Payload, ...]:
    return parse_payloads(first, chain, protected=True)


def encode(sa: IkeSa, message_id: int, out: Outgoing, path: Path) -> Message:
    """The message on the wire: in clear for IKE_SA_INIT, else inside an Encrypted payload, or several."""
    header = Header(
        spi_i=sa.spi_i,
        spi_r=sa.spi_r,
        next_payload=0,
        exchange=out.exchange,
        initiator=sa.initiator,
        response=out.response,
        message_id=message_id,
        length=0,
    )
    if out.exchange == INIT:
        return Message((encode_message(header, tuple(out.payloads)),))
    return protected(sa, header, tuple(out.payloads), path)

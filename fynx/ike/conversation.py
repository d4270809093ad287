"""One request and its response, as initiator and as responder, over the tasks of the exchange (RFC 7296 sections 1,
2.1, 2.21).

Everything here is a generator: it yields work and receives outcomes, so that an SA can wait while others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from fynx.errors import Drop, Dropped, FynxError, PeerFault
from fynx.ike.effects import Transmit
from fynx.ike.exchange import Catalogue, Exchange, Restart, run
from fynx.ike.sa import Failure, IkeSa
from fynx.ike.states import IkeEvent
from fynx.plugin.extension import Incoming, Outgoing, Running
from fynx.plugin.transport import Path
from fynx.wire.header import HEADER_LEN, Header
from fynx.wire.iana import ExchangeType, NotifyType
from fynx.wire.message import encode_message, parse_payloads, refuse_critical
from fynx.wire.payload import NotifyPayload, Payload

NO_SPI = bytes(8)
INIT, AUTH = ExchangeType.IKE_SA_INIT, ExchangeType.IKE_AUTH
FATAL = (NotifyType.INVALID_SYNTAX, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, NotifyType.AUTHENTICATION_FAILED)
SILENT = (NotifyType.INVALID_SYNTAX, NotifyType.AUTHENTICATION_FAILED)
"""Faults of a first message that are dropped: nobody has proved anything yet (section 2.21.1)."""


class Conversation:
    """Builds, sends, reads and answers messages of IKE SAs; knows the catalogue of exchanges and nothing of other
    SAs."""

    def __init__(self, catalogue: Catalogue, verified: Callable[[IkeSa, Path, bool], None]) -> None:
        self.catalogue = catalogue
        self._verified = verified

    # As initiator of an exchange.

    def open(self, sa: IkeSa, number: int, options: dict[str, object]) -> Running:
        """Builds the request of a new exchange and sends it."""
        exchange = self.catalogue.begin(sa, number, options)
        sa.deleted_early.clear()
        data = yield from self._request(sa, exchange)
        sa.exchange = exchange
        sa.window.sent(number, data)
        sa.services.effect(Transmit(sa.path, data))

    def _request(self, sa: IkeSa, exchange: Exchange) -> Generator[Any, Any, bytes]:
        if exchange.number == INIT:
            sa.advance(IkeEvent.SEND_INIT)
        elif exchange.number == AUTH:
            sa.advance(IkeEvent.SEND_AUTH)
        out = Outgoing(exchange.number, response=False)
        yield from run(sa, exchange, "build", lambda task: task.build(out))
        data = encode(sa, sa.window.next_request, out)
        if exchange.number == INIT:
            sa.init.request = data
        return data

    def complete(self, sa: IkeSa, header: Header, data: bytes, path: Path) -> Running:
        """Reads the response to the request in flight. A refusal of what came in clear leaves the request waiting."""
        assert sa.exchange is not None
        if header.exchange == INIT:
            yield from self._complete_init(sa, header, data)
            return
        payloads = self.opened(sa, header, data)
        self._verified(sa, path, True)
        exchange = sa.exchange
        sa.window.completed()
        sa.exchange = None
        try:
            message = Incoming(header.exchange, header.message_id, True, decode(*payloads), protected=True)
            yield from run(sa, exchange, "process", lambda task: task.process(message))
        except PeerFault as fault:
            self._response_fault(sa, header, fault)
        except Dropped as refusal:  # it verified: this is the peer's answer, and there will be no other
            self._response_fault(sa, header, PeerFault(NotifyType.INVALID_SYNTAX, refusal.why))

    def _complete_init(self, sa: IkeSa, header: Header, data: bytes) -> Running:
        exchange = sa.exchange
        assert exchange is not None
        spi_before = sa.spi_r
        try:
            payloads = parse_payloads(header.next_payload, data[HEADER_LEN:])
            message = Incoming(INIT, 0, True, payloads, protected=False)
            sa.spi_r = header.spi_r
            yield from run(sa, exchange, "process", lambda task: task.process(message))
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
        sa.window.completed()
        sa.exchange = None

    def _restart(self, sa: IkeSa, exchange: Exchange) -> Running:
        fresh = self.catalogue.begin(sa, INIT, exchange.options)
        data = yield from self._request(sa, fresh)
        sa.exchange = fresh
        sa.window.restarted(data)
        sa.services.effect(Transmit(sa.path, data))

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
        yield from run(sa, exchange, "process", lambda task: task.process(message))
        yield from run(sa, exchange, "build", lambda task: task.build(out))
        sa.advance(IkeEvent.ANSWER_INIT)
        response = encode(sa, 0, out)
        sa.init.request, sa.init.response = data, response
        sa.window.responded(response)
        sa.services.effect(Transmit(sa.path, response))

    def answer(self, sa: IkeSa, header: Header, data: bytes, path: Path) -> Running:
        """A protected request: opened, run through its tasks, answered on the path that it came by (section 2.11)."""
        out = Outgoing(header.exchange, response=True)
        exchange = self.catalogue.begin(sa, header.exchange, {})
        try:
            opened = self.opened(sa, header, data)
            self._verified(sa, path, True)
            refuse_critical(outer_payloads(header, data))
            payloads = decode(*opened)
            message = Incoming(header.exchange, header.message_id, False, payloads, protected=True)
            yield from run(sa, exchange, "process", lambda task: task.process(message))
            yield from run(sa, exchange, "build", lambda task: task.build(out))
        except PeerFault as fault:
            out.payloads[:] = [NotifyPayload(fault.notify, fault.data)]
            if fault.notify in FATAL or header.exchange == AUTH:
                sa.failure = sa.failure or Failure("INVALID_SYNTAX", fault.why)
                sa.closing = fault.why
        response = encode(sa, header.message_id, out)
        sa.window.responded(response)
        sa.services.effect(Transmit(path, response))

    def opened(self, sa: IkeSa, header: Header, data: bytes) -> tuple[int, bytes]:
        """(first inner type, inner chain); raises ``Dropped`` for whatever does not verify."""
        if sa.protector is None:
            raise Dropped(Drop.NO_KEYS, "an encrypted message before there are keys")
        return sa.protector.open(data, outer_payloads(header, data))


def outer_payloads(header: Header, data: bytes) -> tuple[Payload, ...]:
    """What stands in clear; a fault there is nobody's yet, so it is dropped and not answered."""
    try:
        return parse_payloads(header.next_payload, data[HEADER_LEN:])
    except PeerFault as fault:
        raise Dropped(Drop.SYNTAX, fault.why) from None


def decode(first: int, chain: bytes) -> tuple[Payload, ...]:
    return parse_payloads(first, chain, protected=True)


def encode(sa: IkeSa, message_id: int, out: Outgoing) -> bytes:
    """The message on the wire: in clear for IKE_SA_INIT, else inside an Encrypted payload."""
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
        return encode_message(header, tuple(out.payloads))
    assert sa.protector is not None
    return sa.protector.seal(header, tuple(out.payloads))

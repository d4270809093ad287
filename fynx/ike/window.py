"""Message ids, requests in flight and the response cache of one IKE SA (RFC 7296 sections 2.1 to 2.3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

from fynx.ike.fitting import Message
from fynx.plugin.transport import Path
from fynx.record import record

EXCHANGE_AT = 18
"""Octet of the header with the exchange type."""
LARGEST = 8
"""Requests that we ever keep state for, in either direction, whatever a peer offers."""


class Arrival(Enum):
    """What a request's message id means."""

    NEW = "new"
    REPEAT = "repeat"
    BUSY = "busy"
    OUTSIDE = "outside"


@dataclass(slots=True)
class InFlight:
    """Our request that waits for its response; retransmitted bit by bit the same, unless in smaller fragments."""

    message_id: int
    exchange: int
    message: Message
    sends: int = 1
    due: float | None = None
    """When it goes out again."""


@dataclass(slots=True)
class Answered:
    """A response that may be asked for again, and the digest of the datagram that its request is known by."""

    request: bytes
    response: Message
    asked_again: int = 0


def digest(data: bytes) -> bytes:
    return sha256(data).digest()


class Window:
    """Knows which ids are next on both sides. ``next_request`` and ``expected`` start at 0 with the SA.

    ``size`` is what we promised the peer, ``peer_size`` what it promised us: 1 until it is told otherwise, and for the
    new SA after a rekey.
    """

    def __init__(self) -> None:
        self.size = self.peer_size = 1
        self.told = False
        """The peer has heard of ``size``."""
        self.next_request = 0
        self.expected = 0
        """The first id of the peer that was not answered yet."""
        self.flights: dict[int, InFlight] = {}
        self._answered: dict[int, Answered] = {}
        self._serving: tuple[int, bytes] | None = None

    # Our requests.

    @property
    def open(self) -> bool:
        """A request X goes out when all up to X - N are answered (section 2.3)."""
        return not self.flights or self.next_request - min(self.flights) < self.peer_size

    @property
    def in_flight(self) -> InFlight | None:
        """The oldest."""
        return next(iter(self.flights.values()), None)

    def offered(self, size: int) -> None:
        """What the peer says it keeps state for. It can only grow: what a smaller number means is not defined."""
        self.peer_size = max(self.peer_size, min(size, LARGEST))

    def sent(self, exchange: int, message: Message) -> int:
        number = self.next_request
        self.flights[number] = InFlight(number, exchange, message)
        self.next_request += 1
        return number

    def restarted(self, message: Message) -> None:
        """IKE_SA_INIT goes out again with a cookie or another group: same id, other octets (section 2.6)."""
        ((number, flight),) = self.flights.items()
        self.flights[number] = InFlight(number, flight.exchange, message)

    def answers(self, message_id: int, exchange: int) -> bool:
        flight = self.flights.get(message_id)
        return flight is not None and flight.exchange == exchange

    def completed(self, message_id: int) -> None:
        del self.flights[message_id]

    # The peer's requests.

    def arrival(self, message_id: int) -> Arrival:
        if message_id in self._answered:
            return Arrival.REPEAT
        if self._serving is not None and message_id == self._serving[0]:
            return Arrival.BUSY
        return Arrival.NEW if self.expected <= message_id < self.expected + self.size else Arrival.OUTSIDE

    def serving(self, message_id: int, request: bytes) -> None:
        """``request``: the digest of the datagram that it is known by, fragment 1 where it came in several."""
        self._serving = message_id, request

    def repeats(self, message_id: int, exchange: int) -> bool:
        """That request was of this exchange type, which its response carries too (section 3.1)."""
        return self.cached(message_id).response.datagrams[0][EXCHANGE_AT] == exchange

    def is_same_request(self, message_id: int, request: bytes) -> bool:
        return digest(request) == self._answered[message_id].request

    def responded(self, response: Message) -> None:
        """To the request that was served, or, in the clear, to the first one. Keeps as many as were promised: a peer
        that sent X has the answers to all up to X - N."""
        number, request = self._serving or (self.expected, b"")
        self._answered[number] = Answered(request, response)
        self._serving = None
        newest = max(self._answered)
        while self.expected in self._answered:
            self.expected += 1
        for old in [one for one in self._answered if one <= newest - self.size]:
            del self._answered[old]

    def abandon(self) -> None:
        """The request turned out to be no request (nothing was answered): its id stays free."""
        self._serving = None

    def cached(self, message_id: int) -> Answered:
        return self._answered[message_id]

    @property
    def last_answered(self) -> tuple[bytes, Message] | None:
        """Digest of the protected request answered last, and its response."""
        last = next(reversed(self._answered.values()), None)
        return (last.request, last.response) if last is not None and last.request else None


@record
class HalfOpenKey:
    """Recognises a repeated IKE_SA_INIT request: initiator SPI, source, and the octets themselves (section 2.1)."""

    spi_i: bytes
    remote: str
    remote_port: int
    digest: bytes

    @classmethod
    def of(cls, spi_i: bytes, path: Path, data: bytes) -> HalfOpenKey:
        return cls(spi_i, path.remote, path.remote_port, digest(data))

"""Message ids, the request in flight and the response cache of one IKE SA (RFC 7296 sections 2.1 to 2.3), window
size 1."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

from fynx.ike.fitting import Message
from fynx.plugin.transport import Path

EXCHANGE_AT = 18
"""Octet of the header with the exchange type."""


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


def digest(data: bytes) -> bytes:
    return sha256(data).digest()


class Window:
    """Knows which ids are next on both sides. ``requested`` and ``expected`` start at 0 with the SA."""

    def __init__(self) -> None:
        self.next_request = 0
        self.expected = 0
        self.in_flight: InFlight | None = None
        self._serving: int | None = None
        self._last_digest = b""
        self._last_response: Message | None = None
        self.asked_again = 0
        """How often the peer repeated the request of the last response."""

    # Our requests.

    def sent(self, exchange: int, message: Message) -> InFlight:
        self.in_flight = InFlight(self.next_request, exchange, message)
        return self.in_flight

    def restarted(self, message: Message) -> None:
        """IKE_SA_INIT goes out again with a cookie or another group: same id, other octets (section 2.6)."""
        assert self.in_flight is not None
        self.in_flight = InFlight(self.in_flight.message_id, self.in_flight.exchange, message)

    def answers(self, message_id: int, exchange: int) -> bool:
        flight = self.in_flight
        return flight is not None and flight.message_id == message_id and flight.exchange == exchange

    def completed(self) -> None:
        self.in_flight = None
        self.next_request += 1

    # The peer's requests.

    def arrival(self, message_id: int) -> Arrival:
        if message_id == self.expected:
            return Arrival.BUSY if self._serving == message_id else Arrival.NEW
        if message_id == self.expected - 1 and self._last_response is not None:
            return Arrival.REPEAT
        return Arrival.OUTSIDE

    def serving(self, message_id: int, request: bytes) -> None:
        """``request``: the digest of the datagram that it is known by, fragment 1 where it came in several."""
        self._serving = message_id
        self._last_digest = request

    def repeats(self, exchange: int) -> bool:
        """The request answered last was of this exchange type, which its response carries too (section 3.1)."""
        return self.cached.datagrams[0][EXCHANGE_AT] == exchange

    def is_same_request(self, request: bytes) -> bool:
        return digest(request) == self._last_digest

    def responded(self, response: Message) -> None:
        self._last_response = response
        self.asked_again = 0
        self._serving = None
        self.expected += 1

    def abandon(self) -> None:
        """The request turned out to be no request (nothing was answered): its id stays free."""
        self._serving = None

    @property
    def last_answered(self) -> tuple[bytes, Message] | None:
        """Digest of the protected request answered last, and its response."""
        return (
            (self._last_digest, self._last_response) if self._last_response is not None and self._last_digest else None
        )

    @property
    def cached(self) -> Message:
        assert self._last_response is not None
        return self._last_response

    @cached.setter
    def cached(self, response: Message) -> None:
        self._last_response = response


@dataclass(frozen=True, slots=True)
class HalfOpenKey:
    """Recognises a repeated IKE_SA_INIT request: initiator SPI, source, and the octets themselves (section 2.1)."""

    spi_i: bytes
    remote: str
    remote_port: int
    digest: bytes

    @classmethod
    def of(cls, spi_i: bytes, path: Path, data: bytes) -> HalfOpenKey:
        return cls(spi_i, path.remote, path.remote_port, digest(data))

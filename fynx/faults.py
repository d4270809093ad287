"""Every error of the library by name, each with its code (error reference, 1001 … 9001), text and context."""

from __future__ import annotations

import copy
from typing import ClassVar, Self

from fynx.errors import AuthFailed, FynxError, StateError
from fynx.errors import CryptoError as _CryptoError


class Fault(FynxError):
    """Base of the errors below. ``number`` is the registered code, or None for errors that have none."""

    number: ClassVar[int | None] = None
    remedy = "the log of both sides says what came before"
    intro: ClassVar[str] = ""
    """What stands before the reason in the text."""

    def __init__(self, reason: str = "", *, remedy: str = "") -> None:
        self.reason, self.remedy = reason, remedy or self.remedy
        super().__init__(reason)

    def __str__(self) -> str:
        return f"{self.intro}: {self.reason}" if self.reason else self.intro

    def __reduce__(self) -> tuple[object, ...]:
        """Copies and pickles whatever a subclass takes to be made."""
        return _again, (type(self), self.args, self.__dict__)

    def __init_subclass__(cls) -> None:
        if cls.number is not None:
            cls.code = cls.number

    def with_context(self, text: str) -> Self:
        """The same error with ``text`` and a colon before its reason; nests outermost first."""
        made = copy.copy(self)
        made.reason = f"{text}: {self.reason}"
        made.args = (made.reason,)
        made.__cause__, made.__traceback__ = self.__cause__, self.__traceback__
        return made


def _again(kind: type[Fault], args: tuple[object, ...], state: dict[str, object]) -> Fault:
    made = kind.__new__(kind, *args)
    made.args = args
    made.__dict__.update(state)
    return made


class InvalidMessage(Fault):
    number, intro = 1001, "Invalid IKE message"


class InvalidPayload(Fault):
    number, intro = 1002, "Invalid payload"


class InvalidParameter(Fault):
    """A value given by the caller cannot be used."""

    number, intro = 1005, "Invalid parameter"


class InvalidProposal(Fault):
    number, intro = 1005, "Invalid proposal"


class NoProposalChosen(Fault):
    number, intro = 1004, "No proposal chosen"
    remedy = "write the same proposals on both sides; the log lists what each side offered"


class AuthenticationFailed(AuthFailed, Fault):
    """The peer's proof of identity does not hold, or ours not for the peer (RFC 7296 section 2.15)."""

    number, intro = 2001, "Authentication failed"


class CryptoError(_CryptoError, Fault):
    number, intro = 2002, "Cryptographic error"


class SaNotFound(Fault):
    number, intro = 3003, "SA not found"
    remedy = "child_spis() lists those that stand now"


class InvalidState(StateError, Fault):
    """The operation does not fit the state: not connected, connected already, shut down."""

    number, intro = 3001, "Invalid state"


class MissingPayload(Fault):
    intro = "Missing payload"


class Io(Fault):
    """The network or the system refused."""

    number, intro = 5001, "I/O error"
    remedy = "fynx doctor looks at this machine"


class NetworkTimeout(Io):
    """Nobody answered in time."""

    number, intro = 5002, "Network timeout"
    remedy = "is the peer on, and do UDP 500 and 4500 pass? tcpdump -ni any udp port 500 or udp port 4500 tells"


class Internal(Fault):
    number, intro = 9001, "Internal error"


class Structured(Fault):
    """Errors made of values, which context leaves unchanged."""

    def __str__(self) -> str:
        return self.reason

    def with_context(self, text: str) -> Self:  # noqa: ARG002  see the class
        return self


class UnsupportedVersion(Structured):
    number = 1003

    def __init__(self, version: int) -> None:
        self.version = version
        super().__init__(f"Unsupported IKE version: 0x{version:02x}")


class UnsupportedExchangeType(Structured):
    number = 1005

    def __init__(self, exchange: int) -> None:
        self.exchange = exchange
        super().__init__(f"Unsupported exchange type: {exchange}")


class ReplayDetected(Structured):
    number = 4001
    remedy = "a few come of reordering and are harmless; with many, a larger window"

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence
        super().__init__(f"Replay attack detected (sequence: {sequence})")


class Mismatch(Structured):
    """Two numbers that should be equal."""

    what: ClassVar[str] = ""

    def __init__(self, expected: int, actual: int) -> None:
        self.expected, self.actual = expected, actual
        super().__init__(f"{self.what}: expected {expected}, got {actual}")


class InvalidLength(Mismatch):
    what = "Invalid length"


class InvalidMessageId(Mismatch):
    what = "Invalid message ID"

    @property
    def received(self) -> int:
        return self.actual


class InvalidKeyLength(Mismatch):
    number, what = 2003, "Invalid key length"


class InvalidIvLength(Mismatch):
    what = "Invalid IV length"


class BufferTooShort(Structured):
    def __init__(self, required: int, available: int) -> None:
        self.required, self.available = required, available
        super().__init__(f"Buffer too short: required {required}, available {available}")


class MessageTooLarge(Structured):
    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(f"Message too large: {size} octets")


class InvalidSpi(Structured):
    def __init__(self, spi: int = 0) -> None:
        self.spi = spi
        super().__init__(f"Invalid SPI: 0x{spi:08x}")


class InvalidSequence(Structured):
    def __init__(self, sequence: int = 0) -> None:
        self.sequence = sequence
        super().__init__(f"Invalid sequence number: {sequence}")


class InvalidExchangeType(Structured):
    def __init__(self, exchange: int = 0) -> None:
        self.exchange = exchange
        super().__init__(f"Invalid exchange type: {exchange}")


class InvalidStateTransition(Structured):
    number = 3002
    remedy = "one IpsecClient is one connection: make another one"

    def __init__(self, before: str, after: str) -> None:
        self.before, self.after = before, after
        super().__init__(f"Invalid state transition: {before} -> {after}")


VARIANTS: tuple[type[Fault], ...] = (
    *(InvalidMessage, InvalidPayload, InvalidParameter, UnsupportedVersion, UnsupportedExchangeType),
    *(NoProposalChosen, InvalidProposal, AuthenticationFailed, SaNotFound, CryptoError, ReplayDetected),
    *(InvalidLength, BufferTooShort, MessageTooLarge, InvalidSpi, InvalidSequence, InvalidState),
    *(InvalidStateTransition, MissingPayload, InvalidExchangeType, InvalidMessageId, InvalidKeyLength),
    *(InvalidIvLength, Io, Internal),
)
"""The 25 of the error reference; ``NetworkTimeout`` is an ``Io`` with a code of its own."""

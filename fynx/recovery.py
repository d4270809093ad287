"""What to do about an error, as data: codes, categories, recovery actions and the policy of repeating."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType

from fynx import faults
from fynx.errors import FynxError
from fynx.faults import Fault


class ErrorCode(IntEnum):
    """The 15 codes. ``str`` is what people see: ``FYNX-1001``."""

    INVALID_MESSAGE = 1001
    INVALID_PAYLOAD = 1002
    UNSUPPORTED_VERSION = 1003
    NO_PROPOSAL_CHOSEN = 1004
    INVALID_SYNTAX = 1005
    AUTHENTICATION_FAILED = 2001
    CRYPTO_ERROR = 2002
    INVALID_KEY_LENGTH = 2003
    INVALID_STATE = 3001
    INVALID_STATE_TRANSITION = 3002
    SA_NOT_FOUND = 3003
    REPLAY_DETECTED = 4001
    NETWORK_ERROR = 5001
    NETWORK_TIMEOUT = 5002
    INTERNAL_ERROR = 9001

    def __str__(self) -> str:
        return f"FYNX-{self.value}"

    @property
    def category(self) -> str:
        return CATEGORIES[self.value // 1000]


CATEGORIES: Mapping[int, str] = MappingProxyType(
    {1: "Protocol", 2: "Crypto", 3: "State", 4: "Security", 5: "Network", 9: "Internal"}
)


def code_of(error: FynxError) -> ErrorCode | None:
    """The registered code, or None for errors that have none."""
    number = error.number if isinstance(error, Fault) else error.code
    return ErrorCode(number) if number is not None else None


def is_retryable(error: BaseException) -> bool:
    """Trying again may help. An AEAD failure is counted and dropped, and reaches no caller as ``CryptoError``."""
    return isinstance(error, faults.Io | faults.CryptoError)


def is_fatal(error: BaseException) -> bool:
    return isinstance(error, faults.AuthenticationFailed | faults.InvalidState | faults.InvalidStateTransition)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and after how many seconds: ``base_delay_s`` times ``multiplier`` to the n-th, capped."""

    max_attempts: int = 3
    base_delay_s: float = 1.0
    multiplier: float = 2.0
    max_delay_s: float = 60.0

    @classmethod
    def no_retry(cls) -> RetryPolicy:
        return cls(0, 0.0)

    def should_retry(self, attempt: int) -> bool:
        """``attempt`` counts from 0."""
        return attempt < self.max_attempts

    def delay(self, attempt: int) -> float:
        if not self.base_delay_s:
            return 0.0
        try:
            return min(self.base_delay_s * self.multiplier**attempt, self.max_delay_s)
        except OverflowError:
            return self.max_delay_s


@dataclass(frozen=True, slots=True)
class RecoveryAction:
    """Base of the six actions."""


@dataclass(frozen=True, slots=True)
class Retry(RecoveryAction):
    max_attempts: int
    base_delay_s: float


@dataclass(frozen=True, slots=True)
class NotifyPeer(RecoveryAction):
    notify: int
    """Notify Message Type (RFC 7296 section 3.10.1)."""


@dataclass(frozen=True, slots=True)
class DeleteSa(RecoveryAction):
    """The SA is unusable."""


@dataclass(frozen=True, slots=True)
class Reset(RecoveryAction):
    """Start the exchange anew."""


@dataclass(frozen=True, slots=True)
class Ignore(RecoveryAction):
    """Drop the packet and go on."""


@dataclass(frozen=True, slots=True)
class Fail(RecoveryAction):
    """Tell the caller."""


INVALID_SYNTAX, NO_PROPOSAL_CHOSEN = 7, 14
ACTIONS: Mapping[type[Fault], RecoveryAction] = MappingProxyType(
    {
        faults.InvalidMessage: NotifyPeer(INVALID_SYNTAX),
        faults.InvalidPayload: NotifyPeer(INVALID_SYNTAX),
        faults.InvalidParameter: NotifyPeer(INVALID_SYNTAX),
        faults.UnsupportedVersion: NotifyPeer(INVALID_SYNTAX),
        faults.UnsupportedExchangeType: NotifyPeer(INVALID_SYNTAX),
        faults.NoProposalChosen: NotifyPeer(NO_PROPOSAL_CHOSEN),
        faults.AuthenticationFailed: DeleteSa(),
        faults.InvalidState: DeleteSa(),
        faults.InvalidStateTransition: DeleteSa(),
        faults.ReplayDetected: Ignore(),
        faults.SaNotFound: Ignore(),
    }
)
"""Error -> what to do. ``Io`` and ``CryptoError`` are repeated as the retry policy says."""


@dataclass(frozen=True, slots=True)
class ErrorHandler:
    """Chooses the action for an error."""

    default: RecoveryAction = field(default_factory=Fail)
    retry: RetryPolicy = RetryPolicy()

    def action(self, error: BaseException) -> RecoveryAction:
        if is_retryable(error):
            return Retry(self.retry.max_attempts, self.retry.base_delay_s)
        return next((ACTIONS[each] for each in type(error).__mro__ if each in ACTIONS), self.default)

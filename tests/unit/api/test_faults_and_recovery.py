"""Codes, categories, texts, context, retry and recovery (checklist 1.17, 1.24)."""

from __future__ import annotations

import pytest

from fynx import errors, faults, recovery
from fynx.cli.failure import say
from fynx.errors import FynxError
from fynx.recovery import ErrorCode, ErrorHandler, RetryPolicy, code_of, is_fatal, is_retryable
from fynx.run.failures import HostError, HostTimeout

CODES = {
    faults.InvalidMessage: 1001,
    faults.InvalidPayload: 1002,
    faults.UnsupportedVersion: 1003,
    faults.NoProposalChosen: 1004,
    faults.InvalidParameter: 1005,
    faults.UnsupportedExchangeType: 1005,
    faults.InvalidProposal: 1005,
    faults.AuthenticationFailed: 2001,
    faults.CryptoError: 2002,
    faults.InvalidKeyLength: 2003,
    faults.InvalidState: 3001,
    faults.InvalidStateTransition: 3002,
    faults.SaNotFound: 3003,
    faults.ReplayDetected: 4001,
    faults.Io: 5001,
    faults.Internal: 9001,
}
NAMES = {
    *("InvalidMessage", "InvalidPayload", "InvalidParameter", "UnsupportedVersion", "UnsupportedExchangeType"),
    *("NoProposalChosen", "InvalidProposal", "AuthenticationFailed", "SaNotFound", "CryptoError", "ReplayDetected"),
    *("InvalidLength", "BufferTooShort", "MessageTooLarge", "InvalidSpi", "InvalidSequence", "InvalidState"),
    *("InvalidStateTransition", "MissingPayload", "InvalidExchangeType", "InvalidMessageId", "InvalidKeyLength"),
    *("InvalidIvLength", "Io", "Internal"),
}
ARGUMENTS: dict[type[faults.Fault], tuple[object, ...]] = {
    faults.InvalidLength: (10, 5),
    faults.InvalidMessageId: (1, 2),
    faults.InvalidKeyLength: (16, 8),
    faults.InvalidIvLength: (8, 7),
    faults.BufferTooShort: (28, 5),
    faults.InvalidStateTransition: ("idle", "established"),
}


def make(kind: type[faults.Fault]) -> faults.Fault:
    if kind in ARGUMENTS:
        return kind(*ARGUMENTS[kind])  # type: ignore[arg-type]
    return kind(7) if issubclass(kind, faults.Structured) else kind("why")  # type: ignore[arg-type]


def test_there_are_25_variants_and_15_codes_in_six_categories() -> None:
    assert sorted(kind.__name__ for kind in faults.VARIANTS) == sorted(NAMES)
    assert len(NAMES) == 25
    assert {code.value: code.category for code in ErrorCode} == {
        **dict.fromkeys(range(1001, 1006), "Protocol"),
        **dict.fromkeys(range(2001, 2004), "Crypto"),
        **dict.fromkeys(range(3001, 3004), "State"),
        4001: "Security",
        **dict.fromkeys(range(5001, 5003), "Network"),
        9001: "Internal",
    }
    assert str(ErrorCode.INVALID_MESSAGE) == "FYNX-1001"


@pytest.mark.parametrize("kind", faults.VARIANTS)
def test_each_variant_has_its_code_or_none(kind: type[faults.Fault]) -> None:
    error = make(kind)
    assert isinstance(error, FynxError)
    assert code_of(error) == CODES.get(kind)


def test_a_network_timeout_is_io_with_a_code_of_its_own() -> None:
    assert code_of(faults.NetworkTimeout("late")) is ErrorCode.NETWORK_TIMEOUT
    assert issubclass(faults.NetworkTimeout, faults.Io)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (faults.InvalidMessage("x"), "Invalid IKE message: x"),
        (faults.UnsupportedVersion(0x10), "Unsupported IKE version: 0x10"),
        (faults.InvalidLength(10, 5), "Invalid length: expected 10, got 5"),
        (faults.CryptoError("x"), "Cryptographic error: x"),
        (faults.ReplayDetected(7), "Replay attack detected (sequence: 7)"),
        (faults.InvalidState("x"), "Invalid state: x"),
        (faults.BufferTooShort(28, 5), "Buffer too short: required 28, available 5"),
    ],
)
def test_texts(error: faults.Fault, text: str) -> None:
    assert str(error) == text


def test_context_nests_outermost_first_and_leaves_structured_errors_alone() -> None:
    error = faults.Io("refused").with_context("inner").with_context("outer")
    assert str(error) == "I/O error: outer: inner: refused"
    structured = faults.InvalidLength(1, 2)
    assert structured.with_context("x") is structured


def test_retryable_and_fatal() -> None:
    retryable = {kind for kind in faults.VARIANTS if is_retryable(make(kind))}
    fatal = {kind for kind in faults.VARIANTS if is_fatal(make(kind))}
    assert retryable == {faults.Io, faults.CryptoError}
    assert fatal == {faults.AuthenticationFailed, faults.InvalidState, faults.InvalidStateTransition}


@pytest.mark.parametrize("kind", faults.VARIANTS)
def test_the_handler_follows_the_table(kind: type[faults.Fault]) -> None:
    syntax = {"InvalidMessage", "InvalidPayload", "InvalidParameter", "UnsupportedVersion", "UnsupportedExchangeType"}
    wanted: recovery.RecoveryAction = recovery.Fail()
    if kind in (faults.Io, faults.CryptoError):
        wanted = recovery.Retry(3, 1.0)
    elif kind.__name__ in syntax:
        wanted = recovery.NotifyPeer(7)
    elif kind is faults.NoProposalChosen:
        wanted = recovery.NotifyPeer(14)
    elif is_fatal(make(kind)):
        wanted = recovery.DeleteSa()
    elif kind in (faults.ReplayDetected, faults.SaNotFound):
        wanted = recovery.Ignore()
    assert ErrorHandler().action(make(kind)) == wanted


def test_the_default_action_and_the_policy_can_be_set() -> None:
    handler = ErrorHandler(default=recovery.Reset(), retry=RetryPolicy(9, 0.5))
    assert handler.action(faults.InvalidSpi(1)) == recovery.Reset()
    assert handler.action(faults.Io("x")) == recovery.Retry(9, 0.5)


def test_retry_policy() -> None:
    policy = RetryPolicy()
    assert [policy.should_retry(number) for number in range(4)] == [True, True, True, False]
    assert [policy.delay(number) for number in (0, 1, 2, 6, 5000)] == [1.0, 2.0, 4.0, 60.0, 60.0]
    none = RetryPolicy.no_retry()
    assert not none.should_retry(0)
    assert none.delay(3) == 0.0


ERRORS = [
    *(make(kind) for kind in faults.VARIANTS),
    *(kind("why") for kind in (FynxError, errors.StateError, errors.CryptoError, errors.AuthFailed)),
    *(HostError("why"), HostTimeout("why"), faults.NetworkTimeout("why"), errors.PluginError("acme", "why")),
    *(errors.PeerFault(7, "why"), errors.Dropped(errors.Drop.SHORT)),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_whatever_people_see_has_a_code_a_reason_and_a_next_step(
    error: FynxError, capsys: pytest.CaptureFixture[str]
) -> None:
    say(error)
    said = capsys.readouterr().err
    assert said.startswith(f"FYNX-{error.code}: {error}\n    try: ")
    assert len(said.partition("try: ")[2].strip()) > 10


def test_an_error_that_knows_better_says_its_own_next_step() -> None:
    assert faults.Io("why", remedy="apt install").remedy == "apt install"
    assert HostError("why", 1, "sudo fynx").remedy == "sudo fynx"
    assert "fynx plugins test acme" in errors.PluginError("acme", "why").remedy

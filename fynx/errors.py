"""Every failure Fynx can name: peer's fault, configuration's fault, our bug, and silent refusals.

Codes are those of the error reference in the documentation (1001 … 9001), shown to people as ``FYNX-1001``.
"""

from __future__ import annotations

from enum import Enum


class FynxError(Exception):
    """Base of all errors raised by Fynx. ``code`` is the number shown as ``FYNX-nnnn``."""

    code: int = 9001
    remedy: str = "fynx doctor looks at this machine; the log of the host says what came before"
    """What to try next; an error that knows better says so itself."""

    @property
    def label(self) -> str:
        return f"FYNX-{self.code}"


class ConfigError(FynxError):
    """The configuration cannot be used. Carries every problem found, each with place, reason and remedy."""

    code: int = 1005

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class Problem:
    """One configuration problem: ``file:line:col``, the YAML path, what is wrong, what to write instead."""

    __slots__ = ("column", "file", "line", "path", "remedy", "what")

    def __init__(
        self, what: str, *, path: str = "", remedy: str = "", file: str = "", line: int = 0, column: int = 0
    ) -> None:
        self.what, self.path, self.remedy = what, path, remedy
        self.file, self.line, self.column = file, line, column

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: " if self.file else ""
        path = f"{self.path}: " if self.path else ""
        return f"{place}{path}{self.what}" + (f"\n    try: {self.remedy}" if self.remedy else "")


class PluginError(FynxError):
    """A plugin broke its contract. ``plugin`` and ``distribution`` name the culprit."""

    code: int = 9001
    remedy = "fynx plugins test NAME finds what is wrong; without it: take it off the list"

    def __init__(self, plugin: str, why: str, *, distribution: str = "", path: str = "") -> None:
        self.plugin, self.why, self.distribution, self.path = plugin, why, distribution, path
        origin = f" (distribution {distribution})" if distribution else ""
        where = f"{path}: " if path else ""
        self.remedy = type(self).remedy.replace("NAME", plugin)
        super().__init__(f"{where}plugin {plugin!r}{origin}: {why}")


class PeerFault(FynxError):
    """The peer sent something we refuse *and answer*: ``notify`` is the Notify Message Type to send.

    ``data`` is the notification data (for example the group wanted, with INVALID_KE_PAYLOAD).
    """

    code: int = 1001
    remedy = "the log of the peer says what it sent, a capture shows it"

    def __init__(self, notify: int, why: str, data: bytes = b"") -> None:
        self.notify, self.why, self.data = int(notify), why, data
        super().__init__(why)


class Dropped(FynxError):
    """The input is refused *silently*: counted under ``reason``, never answered."""

    code: int = 1001
    remedy = "nothing is to be done for safety; the counters of fynx status --json tell how often"

    def __init__(self, reason: Drop, why: str = "") -> None:
        self.reason, self.why = reason, why
        super().__init__(f"{reason.value}: {why}" if why else reason.value)


class AuthFailed(FynxError):
    """The peer's proof of identity does not hold (RFC 7296 section 2.15)."""

    code: int = 2001
    remedy = "compare the secret and both identities on both sides"


class CryptoError(FynxError):
    """An algorithm refused its input (bad tag, bad public value, bad length)."""

    code: int = 2002
    remedy = "fynx algorithms lists what is there; write the same words on both sides"


class StateError(FynxError):
    """The operation does not fit the state of the security association."""

    code: int = 3001
    remedy = "fynx status names what stands now"

    def __init__(self, why: str = "", remedy: str = "") -> None:
        self.remedy = remedy or type(self).remedy
        super().__init__(why)


class Drop(Enum):
    """Names of the silent refusals of the IKE side. Each is a counter, and each has a test."""

    SHORT = "short"
    LENGTH = "length"
    VERSION = "version"
    FLAGS = "flags"
    EXCHANGE = "exchange"
    ZERO_SPI = "zero_spi"
    UNKNOWN_SPI = "unknown_spi"
    MESSAGE_ID = "message_id"
    WINDOW = "window"
    SYNTAX = "syntax"
    INTEGRITY = "integrity"
    NOT_PROTECTED = "not_protected"
    NO_KEYS = "no_keys"
    REFLECTION = "reflection"
    UNEXPECTED_RESPONSE = "unexpected_response"
    FORGED_ERROR = "forged_error"
    BUSY = "busy"
    HALF_OPEN_LIMIT = "half_open_limit"
    RATE_LIMITED = "rate_limited"
    NO_PEER = "no_peer"
    TOO_LARGE = "too_large"
    ADMISSION = "admission"
    FRAGMENT = "fragment"
    FRAGMENT_REPEATED = "fragment_repeated"

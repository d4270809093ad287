"""Row L6 over the whole suite: no secret that a test made is in what that test logged, printed or reported, nor in its
errors, events, counters and statuses."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any

import pytest

from fynx.errors import FynxError
from fynx.ike.endpoint import Endpoint
from fynx.ike.keymat import IkeKeys
from fynx.plugin import Secret
from fynx.run.host import Host

SHORTEST = 16
"""Octets; a shorter secret could be in any text by chance, or is a word that the test prints itself."""
MOST = 4000
"""Secrets looked for per test: the first, and those are of every kind."""
MOST_SHOWN = 300
"""Errors, events and statuses looked through per test, those that differ."""


class Canary(logging.Handler):
    """A plugin of pytest: notes every secret that is made, and looks for it where it must not be."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.made: dict[bytes, None] = {}
        self.said: list[str] = []
        self.shown: dict[str, None] = {}
        self.looked = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(logging.Formatter().format(record))
        self.said.append(str(record.__dict__.get("fields", "")) + str(record.__dict__.get("event", "")))

    def pytest_sessionstart(self) -> None:
        _watch(Secret, lambda octets: self.note(octets))
        _watch(IkeKeys, lambda *keys: [self.note(key) for key in keys])
        _watch(FynxError, lambda *arguments: self.show(str(arguments)))
        for kind, method in ((Endpoint, "emit"), (Host, "happened"), (Host, "status"), (Host, "counters")):
            _listen(kind, method, self.show)
        logging.getLogger("fynx").addHandler(self)

    def pytest_sessionfinish(self) -> None:
        logging.getLogger("fynx").removeHandler(self)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
        report: pytest.TestReport = yield
        if call.when != "call":
            return report
        text = "\n".join(
            [*self.said, *self.shown, *(content for _name, content in report.sections), report.longreprtext]
        )
        found = leaks(self.made, text)
        self.looked += len(self.made)
        self.made.clear()
        self.said.clear()
        self.shown.clear()
        if found:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: {len(found)} secrets in its logs, output, errors or events (row L6)"
        return report

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.write_line(
            f"canary: looked for {self.looked} secrets in logs, output, reports, errors and events"
        )

    def note(self, octets: bytes) -> None:
        if len(octets) >= SHORTEST and any(octets) and len(self.made) < MOST:
            self.made[bytes(octets)] = None

    def show(self, *things: object) -> None:
        if len(self.shown) < MOST_SHOWN:
            self.shown[repr(things)] = None


def leaks(secrets: Iterable[bytes], text: str) -> list[str]:
    return [form for secret in secrets for form in forms(secret) if form in text] if text.strip() else []


def forms(secret: bytes) -> tuple[str, ...]:
    """As it might be shown: text, hexadecimal, base64, the repr of bytes."""
    raw = repr(secret)[2:-1]
    return raw, secret.hex(), base64.b64encode(secret).decode()


def _watch(kind: type, note: Callable[..., object]) -> None:
    first = kind.__init__  # type: ignore[misc]

    def made(self: object, *given: Any) -> None:
        note(*given)
        first(self, *given)

    kind.__init__ = made  # type: ignore[misc]


def _listen(kind: type, method: str, show: Callable[..., None]) -> None:
    """To what a method is given and gives."""
    first = getattr(kind, method)

    @wraps(first)
    def heard(self: object, *given: object) -> object:
        found = first(self, *given)
        show(*given, found)
        return found

    setattr(kind, method, heard)

"""The canary of the suite can fail (row L6)."""

from __future__ import annotations

import logging
import secrets
from contextlib import suppress

import pytest

from fynx.faults import InvalidParameter
from fynx.plugin import Secret
from tests.canary import Canary, forms, leaks
from tests.unit.run.pair import pair, run


def test_every_secret_that_a_test_makes_is_noted(request: pytest.FixtureRequest) -> None:
    canary = request.config.pluginmanager.get_plugin("fynx-canary")
    assert isinstance(canary, Canary)
    octets = secrets.token_bytes(32)
    Secret(octets)
    assert octets in canary.made


@pytest.mark.parametrize("form", [0, 1, 2])
def test_a_secret_in_a_log_record_is_found(form: int) -> None:
    canary, octets = Canary(), secrets.token_bytes(32)
    canary.note(octets)
    shown = "here: %s" % forms(octets)[form]  # noqa: UP031  as a record would
    canary.emit(logging.LogRecord("fynx.run", logging.WARNING, "", 0, shown, None, None))
    assert leaks(canary.made, "\n".join(canary.said)) == [forms(octets)[form]]


def test_a_secret_in_a_field_of_a_record_is_found() -> None:
    canary, octets = Canary(), secrets.token_bytes(32)
    canary.note(octets)
    record = logging.LogRecord("fynx.run", logging.WARNING, "", 0, "nothing", None, None)
    record.__dict__["fields"] = {"reason": octets.hex()}
    canary.emit(record)
    assert leaks(canary.made, "\n".join(canary.said)) == [octets.hex()]


def test_what_errors_events_counters_and_statuses_of_a_test_hold_is_looked_through(
    request: pytest.FixtureRequest,
) -> None:
    canary = request.config.pluginmanager.get_plugin("fynx-canary")
    assert isinstance(canary, Canary)

    async def story() -> None:
        async with pair() as both:
            await both.left.up("right", timeout_s=5)
            both.left.status()

    run(story)
    with suppress(InvalidParameter):
        raise InvalidParameter("a value of this test")
    shown = "\n".join(canary.shown)
    for text in ("a value of this test", "IkeUp(peer='right'", "'established_s'", "'counters': {"):
        assert text in shown, text

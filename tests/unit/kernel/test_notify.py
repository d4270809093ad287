"""Listeners: one by one, guarded, timed, counted; authorisation fails closed (row L13)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from fynx.events import Event, NatDetected, PluginFailed
from fynx.kernel import notify as module
from fynx.kernel.notify import Listener, Notify
from fynx.plugin.auth import AuthorizeRequest
from fynx.plugin.keylog import IkeKeyRecord

EVENT = NatDetected("hq", local=True, remote=False)
REQUEST = AuthorizeRequest("hq", "192.0.2.1", "hq.example.net", ("psk",))


def listener(call: Callable[..., object], name: str = "acme") -> Listener:
    return Listener(name, f"{name}-dist 1.0", call)


class Clock:
    """Time that listeners move on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def take(self, seconds: float) -> Callable[[object], None]:
        def call(_: object) -> None:
            self.now += seconds

        return call


def fail(_: object) -> None:
    raise RuntimeError("kaput\nforged line")


def test_every_listener_hears_the_event_in_order() -> None:
    heard: list[tuple[str, Event]] = []
    calls = [listener(lambda event, n=name: heard.append((n, event)), name) for name in "ab"]
    Notify(calls).event(EVENT)
    assert heard == [("a", EVENT), ("b", EVENT)]


def test_a_raising_listener_is_named_and_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Event] = []
    notify = Notify([listener(heard.append, "before"), listener(fail, "bad"), listener(heard.append, "after")])
    notify.event(EVENT)
    assert heard.count(EVENT) == 2
    assert "plugin bad (bad-dist 1.0): fynx_event raised RuntimeError: kaput forged line" in caplog.text
    assert notify.counters()["bad.fynx_event.failed"] == 1


def test_the_others_hear_that_a_plugin_failed() -> None:
    heard: list[Event] = []
    Notify([listener(fail, "bad"), listener(heard.append, "good")]).event(EVENT)
    assert heard == [PluginFailed("hq", "bad", "fynx_event", "RuntimeError: kaput forged line"), EVENT]


def test_two_failing_listeners_do_not_echo_for_ever() -> None:
    notify = Notify([listener(fail, "bad"), listener(fail, "worse")])
    notify.event(EVENT)
    assert notify.counters() == {
        "bad.fynx_event.calls": 2,
        "bad.fynx_event.failed": 2,
        "worse.fynx_event.calls": 2,
        "worse.fynx_event.failed": 2,
    }


def test_a_listener_that_leaves_the_program_does_not_stop_it() -> None:
    def leave(_: object) -> None:
        raise SystemExit(0)

    heard: list[Event] = []
    Notify([listener(leave, "bad"), listener(heard.append, "good")]).event(EVENT)
    assert EVENT in heard


@pytest.mark.parametrize(("took", "named"), [(0.049, False), (0.051, True), (10.0, True)])
def test_a_slow_listener_is_named_in_the_log(caplog: pytest.LogCaptureFixture, took: float, named: bool) -> None:
    clock = Clock()
    notify = Notify([listener(clock.take(took), "snail")], clock=clock)
    notify.event(EVENT)
    assert (f"plugin snail (snail-dist 1.0): fynx_event took {took * 1000:.0f} ms" in caplog.text) is named
    assert notify.counters().get("snail.fynx_event.slow", 0) == int(named)


def test_a_storm_of_failures_is_counted_and_does_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    notify = Notify([listener(fail, "bad")])
    for _ in range(1000):
        notify.event(EVENT)
    assert notify.counters()["bad.fynx_event.failed"] == 1000
    assert len(caplog.records) == 10


def test_key_records_reach_the_listeners_and_never_the_log(caplog: pytest.LogCaptureFixture) -> None:
    canary = bytes(range(32))
    record = IkeKeyRecord(b"\1" * 8, b"\2" * 8, canary, canary, b"", b"", 20, 256, 0)
    heard: list[object] = []

    def leak(given: IkeKeyRecord, _path: str) -> None:
        raise RuntimeError(given.sk_ei.hex())

    with caplog.at_level(logging.DEBUG):
        notify = Notify(keylogs=[listener(leak, "bad"), listener(lambda *given: heard.append(given), "good")])
        notify.keylog(record, "keys.txt")
    assert heard == [(record, "keys.txt")]
    assert "plugin bad (bad-dist 1.0): fynx_keylog raised RuntimeError" in caplog.text
    assert canary.hex() not in caplog.text
    assert all(one.exc_info is None for one in caplog.records)


# --- authorisation ---


def raises(_: object) -> bool:
    raise ValueError("no database")


def leaves(_: object) -> bool:
    raise SystemExit(0)


ANSWERS: list[tuple[Callable[[AuthorizeRequest], object], bool]] = [
    (lambda _: True, True),
    (lambda _: None, True),
    (lambda _: False, False),
    (lambda _: 1, False),
    (lambda _: 0, False),
    (lambda _: "yes", False),
    (raises, False),
    (leaves, False),
]


@pytest.mark.parametrize(("call", "answer"), ANSWERS)
def test_only_true_and_no_opinion_let_a_peer_in(call: Callable[[AuthorizeRequest], object], answer: bool) -> None:
    assert Notify(authorizers=[listener(call)]).authorize(REQUEST) is answer


def test_without_listeners_a_peer_is_let_in() -> None:
    assert Notify().authorize(REQUEST) is True


def test_one_no_among_many_is_a_no_and_all_are_asked() -> None:
    asked: list[AuthorizeRequest] = []

    def yes(request: AuthorizeRequest) -> bool:
        asked.append(request)
        return True

    calls = [listener(lambda _: False, "no"), listener(yes, "yes")]
    assert Notify(authorizers=calls).authorize(REQUEST) is False
    assert asked == [REQUEST]


def test_the_question_is_asked_on_another_thread() -> None:
    threads: list[threading.Thread] = []

    def note(_: object) -> bool:
        threads.append(threading.current_thread())
        return True

    assert Notify(authorizers=[listener(note)]).authorize(REQUEST)
    assert threads != [threading.current_thread()]


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Hung plugins wait here until the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_a_plugin_that_does_not_answer_in_time_means_no(
    gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    notify = Notify(authorizers=[listener(lambda _: gate.wait(30), "hung")], authorize_s=0.01)
    assert notify.authorize(REQUEST) is False
    assert "plugin hung (hung-dist 1.0): fynx_authorize did not answer in time: the peer is refused" in caplog.text
    assert notify.counters()["hung.fynx_authorize.timeout"] == 1


def test_a_plugin_that_raises_is_named(caplog: pytest.LogCaptureFixture) -> None:
    assert Notify(authorizers=[listener(raises, "bad")]).authorize(REQUEST) is False
    assert "fynx_authorize raised ValueError: no database: the peer is refused" in caplog.text


def test_hung_threads_are_bounded_and_the_answer_is_then_no_at_once(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HUNG_LIMIT", 3)
    notify = Notify(authorizers=[listener(lambda _: gate.wait(30), "hung")], authorize_s=0.001)
    answers = [notify.authorize(REQUEST) for _ in range(6)]
    assert answers == [False] * 6
    assert len([one for one in threading.enumerate() if one.name == "authorize-hung"]) == 3
    assert notify.counters()["hung.fynx_authorize.refused"] == 3

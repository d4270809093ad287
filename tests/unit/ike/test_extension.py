"""A third party adds an exchange type and a task to IKE_AUTH, from a distribution of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fynx.events import ChildUp, IkeUp, PluginFailed
from fynx.ike.effects import CheckLiveness, StartExchange
from tests.unit.ike.pair import PLUGINS, Pair

PLUGIN = '''
from dataclasses import dataclass

from fynx.events import Event
from fynx.plugin import ExchangeSpec, Extension, Incoming, Outgoing, SaView, TaskSpec, hookimpl
from fynx.wire.payload import NotifyPayload

FYNX_API = 1
GREETING, ASK_TIME, TIME = 40961, 241, 40962


@dataclass(frozen=True, slots=True)
class Greeted(Event):
    text: str


class Greet:
    """Adds N(GREETING) to both messages of IKE_AUTH."""

    def __init__(self, view: SaView) -> None:
        self.view = view

    def build(self, out: Outgoing) -> None:
        out.add(NotifyPayload(GREETING, b"hello from the " + self.view.role.encode()))

    def process(self, message: Incoming) -> None:
        for payload in message.payloads:
            if isinstance(payload, NotifyPayload) and payload.type == GREETING:
                self.view.notes["greeting"] = payload.data
                self.view.emit(Greeted(self.view.peer, payload.data.decode()))


class AskTime:
    """An exchange of its own: an empty request, answered by N(TIME)."""

    def __init__(self, view: SaView) -> None:
        self.view = view

    def build(self, out: Outgoing) -> None:
        if out.response:
            out.add(NotifyPayload(TIME, b"half past nine"))

    def process(self, message: Incoming) -> None:
        if message.response:
            for payload in message.payloads:
                self.view.emit(Greeted(self.view.peer, payload.data.decode()))


class Broken:
    def __init__(self, view: SaView) -> None:
        pass

    def build(self, out: Outgoing) -> None:
        raise ZeroDivisionError("a plugin's own bug")

    def process(self, message: Incoming) -> None:
        raise ZeroDivisionError("a plugin's own bug")


@hookimpl
def fynx_extensions() -> list[Extension]:
    greet = TaskSpec("greet", 35, 350, lambda view, _: Greet(view))
    broken = TaskSpec("broken", 35, 360, lambda view, _: Broken(view))
    ask = TaskSpec("ask_time", ASK_TIME, 500, lambda view, _: AskTime(view))
    return [Extension("greeting", (ExchangeSpec(ASK_TIME, "ASK_TIME"),), (greet, broken, ask))]
'''
ASK_TIME = 241


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[str]:
    """The extension as an installed distribution: a module and its entry point."""
    (tmp_path / "fynx_greeting.py").write_text(PLUGIN)
    info = tmp_path / "fynx_greeting-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fynx-greeting\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[fynx]\ngreeting = fynx_greeting\n")
    sys.path.insert(0, str(tmp_path))
    yield "greeting"
    sys.path.remove(str(tmp_path))
    sys.modules.pop("fynx_greeting", None)


@pytest.fixture
def pair(plugin: str) -> Pair:
    return Pair(plugins=(*PLUGINS, plugin))


def texts(events: list[object]) -> list[str]:
    return [event.text for event in events if type(event).__name__ == "Greeted"]  # type: ignore[attr-defined]


def test_a_plugins_task_takes_part_in_IKE_AUTH_on_both_sides(pair: Pair) -> None:
    pair.up()
    assert texts(pair.right.events) == ["hello from the initiator"]
    assert texts(pair.left.events) == ["hello from the responder"]


def test_a_plugins_own_exchange_type_runs_on_an_established_SA(pair: Pair) -> None:
    # HDR(ASK_TIME), SK {}  -->  <--  HDR(ASK_TIME), SK {N(TIME)}
    pair.up()
    pair.left.endpoint.command(1.0, StartExchange("right", ASK_TIME))
    pair.settle()
    assert texts(pair.left.events)[-1] == "half past nine"


def test_a_raising_task_is_named_and_the_tunnel_comes_up_all_the_same(pair: Pair) -> None:
    pair.up()
    for side in (pair.left, pair.right):
        failed = [event for event in side.events if isinstance(event, PluginFailed)]
        assert {event.plugin for event in failed} == {"greeting"}
        assert all(event.error == "ZeroDivisionError" for event in failed)
        assert any(isinstance(event, IkeUp) for event in side.events)
        assert any(isinstance(event, ChildUp) for event in side.events)


def test_without_the_plugin_its_exchange_type_is_refused_and_the_SA_lives(plugin: str) -> None:
    pair = Pair(plugins=(*PLUGINS, plugin))
    plain = Pair()
    pair.right = plain.right
    pair.up()
    pair.left.endpoint.command(1.0, StartExchange("right", ASK_TIME))
    pair.settle()
    assert pair.right.endpoint.counters()["drop_exchange"] == 1
    assert pair.right.endpoint.snapshot()[0].state == "established"


def test_both_sides_hold_the_same_keys_crosswise() -> None:
    pair = Pair()
    pair.up()
    (left,), (right,) = pair.left.installed.values(), pair.right.installed.values()
    assert left.keys_out.key.reveal() == right.keys_in.key.reveal()
    assert left.keys_in.key.reveal() == right.keys_out.key.reveal()
    assert (left.spi_in, left.spi_out) == (right.spi_out, right.spi_in)
    assert left.local_ts == right.remote_ts


def test_liveness_is_an_empty_exchange_that_changes_nothing() -> None:
    pair = Pair()
    pair.up()
    before = pair.left.endpoint.snapshot()
    pair.left.endpoint.command(5.0, CheckLiveness("right"))
    pair.settle()
    assert pair.left.endpoint.snapshot() == before

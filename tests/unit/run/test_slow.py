"""D11: a method of authentication that does not return, asked a thousand times by the worker threads of a real host."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest

from fynx.errors import FynxError
from fynx.kernel.registry import PluginInfo, Registry
from fynx.plugin import AuthContext, AuthValue, Identity
from fynx.plugin.work import Sign
from fynx.run import foreign
from fynx.run.host import Host
from fynx_plugins.memory import Switchboard
from tests.unit.run.pair import on_switchboard, packet, plane, registry, run, soon

CONTEXT = AuthContext(b"octets", lambda key, data: data, Identity(2, b"x"), None)


class Slow:
    """A third party's, which waits for a server that does not answer."""

    name, method_ids = "slow", (231,)

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.asked = 0

    def sign(self, context: AuthContext) -> AuthValue:
        self.asked += 1
        self.gate.wait(60)
        return AuthValue(231, b"")

    def verify(self, context: AuthContext) -> None:
        self.sign(context)


def with_slow(method: Slow) -> Registry:
    usual = registry()
    owners = {**usual.owners, ("auth method", "slow"): "slow"}
    plugins = {**usual.plugins, "slow": PluginInfo("slow", "slow-dist", "1", "slow")}
    return replace(usual, auth_methods={**usual.auth_methods, "slow": method}, owners=owners, plugins=plugins)


def test_d11_a_thousand_calls_of_a_plugin_that_hangs_leave_other_handshakes_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They come up meanwhile; what waits is bounded, and denied when its time is over."""
    monkeypatch.setattr(foreign, "LIMIT_S", 0.5)
    method, outcomes = Slow(), list[object]()

    async def story() -> None:
        network = Switchboard()
        left = Host(on_switchboard("left", network), registry())
        right = Host(on_switchboard("right", network), with_slow(method))
        await right.start()
        await left.start()
        try:
            worker = right.driver._worker
            assert worker is not None
            for _ in range(1000):
                worker.submit(Sign("slow", CONTEXT), outcomes.append)
            assert len(outcomes) == 1000 - foreign.MOST  # refused at once
            await left.up("right")
            plane(left).send_inner([packet()])
            got: list[bytes] = []
            await soon(lambda: got.extend(plane(right).recv_inner()) or got)
            await soon(lambda: len(outcomes) == 1000)
            assert method.asked == foreign.THREADS
        finally:
            method.gate.set()
            await left.stop()
            await right.stop()

    run(story)
    assert all(isinstance(one, FynxError) for one in outcomes)


def test_d11_d8_refused_calls_are_told_once_until_one_is_taken_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(foreign, "MOST", 2)

    async def episode(asked: foreign.Foreign) -> None:
        method, outcomes = Slow(), list[object]()
        for _ in range(6):
            asked.ask("slow", "Sign", lambda: method.sign(CONTEXT), outcomes.append)
        assert [type(one) for one in outcomes] == [FynxError] * 4
        method.gate.set()
        await soon(lambda: len(outcomes) == 6)

    async def story() -> None:
        asked = foreign.Foreign(asyncio.get_running_loop(), 60)
        await episode(asked)
        await episode(asked)
        asked.close()

    run(story)
    told = [one.getMessage() for one in caplog.records]
    assert told == ["plugin slow: Sign is refused, and what follows: 2 calls wait already"] * 2

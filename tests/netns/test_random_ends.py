"""Signals at random moments of a life (row L15): nothing leaves in clear, nothing stays behind at the end."""

from __future__ import annotations

import random
import signal
import subprocess
import time

import pytest

from tests.netns.test_fail_closed import canary
from tests.netns.world import INNER, Gateway, World, until


def end_at_random(gateway: Gateway, number: signal.Signals, after_s: float) -> None:
    gateway.launch()
    time.sleep(after_s)
    assert gateway.process is not None
    if gateway.process.poll() is None:
        gateway.process.send_signal(number)
    try:
        gateway.process.wait(60)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"{number.name} after {after_s:.2f} s: still running\n{gateway.log()}") from None
    gateway.process = None


@pytest.mark.parametrize("rounds", [4, pytest.param(40, marks=pytest.mark.long)])
def test_whatever_moment_a_signal_strikes(world: World, left: Gateway, right: Gateway, rounds: int) -> None:
    left.peer["start"] = "initiate"
    world.start()
    until(left.established, "the guards are there from now on")
    left.kill()
    world.clear()
    dice = random.Random(rounds)
    with canary(world.left, INNER["right"]):
        for number in range(rounds):
            end_at_random(left, signal.SIGKILL, dice.uniform(0.1, 3.0))
            assert world.clear() == 0, number
        left.start()
        until(left.established, "the tunnel is up again")
        assert world.clear() == 0
    left.stop()
    assert world.left.owned() == {"routes": [], "rules": [], "tables": [], "devices": []}
    for _ in range(rounds):
        end_at_random(left, signal.SIGTERM, dice.uniform(0.1, 3.0))
        owned = world.left.owned()
        assert owned["devices"] == []
        assert owned["tables"] == []

"""Real devices and processes: reloads under traffic, a peer that is killed and comes back, fail closed in both."""

from __future__ import annotations

import os
import signal
import time

from tests.netns.numbered import stream
from tests.netns.world import INNER, Gateway, World, until


def spis(gateway: Gateway) -> set[str]:
    return {child["spi_in"] for peer in gateway.status()["peers"] for child in peer["children"]}


def reloaded(gateway: Gateway, code: int = 0) -> str:
    gateway.write()
    done = gateway.ask("reload", "--diff", check=False)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_a_reload_under_traffic_loses_nothing_whether_it_stays_or_is_rekeyed(
    world: World, left: Gateway, right: Gateway
) -> None:
    world.start()
    left.up()
    before = spis(left)
    with (
        stream(left, right, INNER["left"], INNER["right"]) as out,
        stream(right, left, INNER["right"], INNER["left"]) as back,
    ):
        time.sleep(0.3)
        left.peer["liveness_s"] = 45
        assert "stays" in reloaded(left)
        assert spis(left) == before
        left.child["esp"] = ["aes256gcm16"]
        assert "is rekeyed" in reloaded(left)
        until(lambda: not spis(left) & before, "the old SA is gone")
        after = spis(left)
        left.peer["liveness_s"] = "soon"
        assert "nothing was started or changed" in reloaded(left, code=5)
        assert spis(left) == after
        assert left.process is not None
        left.peer["liveness_s"] = 50
        left.write()
        os.kill(left.process.pid, signal.SIGHUP)
        until(lambda: "has the new configuration" in left.log(), "SIGHUP was heard")
        time.sleep(0.3)
    assert min(out.sent, back.sent) > 200
    assert (out.lost, out.twice, back.lost, back.twice) == (0, 0, 0, 0)
    assert world.clear() == 0


def test_what_a_reload_adds_is_closed_at_once_and_what_it_removes_is_open(
    world: World, left: Gateway, right: Gateway
) -> None:
    world.start()
    left.up()
    other = "10.3.0.1"
    left.peer["children"]["more"] = {"local": list(left.child["local"]), "remote": ["10.3.0.0/16"], "start": "none"}
    reloaded(left)
    assert world.left.silent(other)
    assert world.clear() == 0
    del left.peer["children"]["more"]
    reloaded(left)
    assert world.left.ping(INNER["right"])
    assert world.clear() == 0
    assert world.left.silent(other)
    assert world.clear() > 0, "nothing protects it any more, and the administrator said so"


def test_a_peer_that_was_killed_and_comes_back_is_known_by_its_token(
    world: World, left: Gateway, right: Gateway
) -> None:
    left.peer |= {
        "liveness_s": 1,
        "start": "initiate",
        "on_dead": "restart",
        "retransmission": {"base_s": 2, "tries": 9},
    }
    world.start()
    until(left.established, "the tunnel is up")
    before = spis(left)
    right.kill()
    right.start()
    until(lambda: spis(left) and not spis(left) & before, "a new tunnel")
    left.logs("proved that it lost the IKE SA")
    until(lambda: world.left.ping(INNER["right"], wait_s=1), "traffic flows")
    assert world.clear() == 0


def test_a_dead_peer_with_trap_comes_back_with_the_next_packet(world: World, left: Gateway, right: Gateway) -> None:
    right.site["host"]["crash_detection"] = False
    left.peer |= {"liveness_s": 1, "start": "trap", "on_dead": "trap"}
    world.start()
    until(lambda: world.left.ping(INNER["right"], wait_s=1), "the first packet brings it up")
    right.kill()
    until(lambda: not left.established(), "the left side notices")
    right.start()
    time.sleep(1)
    assert not left.established()
    until(lambda: world.left.ping(INNER["right"], wait_s=1), "traffic brings it back")
    assert world.clear() == 0

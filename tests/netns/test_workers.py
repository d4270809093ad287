"""Workers of the data plane between two gateways: as many as there are processors, seen and restarted one by one."""

from __future__ import annotations

import json
import os

import pytest

from fynx_plugins.tun.queues import multiqueue, workers_of
from tests.netns.numbered import stream
from tests.netns.world import INNER, Gateway, World, until


def begin(world: World, workers: object) -> None:
    for gateway in world.gateways.values():
        gateway.site["host"]["plane"]["tun"].update(workers=workers)
    world.start()
    world.gateways["left"].up()
    for gateway in world.gateways.values():
        until(gateway.established, f"a tunnel at {gateway.side}: {gateway.log()}")


def restarts(gateway: Gateway) -> int:
    return sum(each["restarts"] for each in gateway.status()["plane"]["workers"])


@pytest.mark.parametrize(
    ("wanted", "processors", "multiqueue", "made"),
    [("auto", 4, True, 4), ("auto", 64, True, 15), ("auto", 4, False, 1), (3, 1, True, 3)],
)
def test_auto_is_a_worker_for_each_processor_within_bounds(
    wanted: object, processors: int, multiqueue: bool, made: int
) -> None:
    assert workers_of(wanted, processors=processors, multiqueue=multiqueue) == made  # type: ignore[arg-type]


def test_auto_serves_a_queue_for_each_processor_and_tells_of_each_thread(world: World, left: Gateway) -> None:
    begin(world, "auto")
    assert left.place.ping(INNER["right"], source=INNER["left"], count=3)
    plane = left.status()["plane"]
    assert plane["queues"] == workers_of("auto", processors=len(os.sched_getaffinity(0)), multiqueue=multiqueue())
    senders = [each for each in plane["workers"] if each["direction"] == "out" and each["worker"]]
    assert [each["queue"] for each in senders] == list(range(plane["queues"]))
    assert {each["state"] for each in plane["workers"] if each["worker"]} == {"running"}
    assert sum(each["counters"].get("packets_out", 0) for each in senders) == plane["counters"]["packets_out"] >= 3
    assert sum(each["wakeups"] for each in plane["workers"]) == plane["counters"]["wakeups"] >= 3
    shown = json.loads(left.ask("workers", "--json").stdout)
    assert shown["schema"] == "fynx.workers/1"
    assert [each["worker"] for each in shown["workers"]] == [each["worker"] for each in plane["workers"]]
    assert "1 out" in left.ask("workers").stdout


def test_a_worker_is_restarted_while_packets_pass_and_none_is_lost(world: World, left: Gateway, right: Gateway) -> None:
    begin(world, 2)
    with stream(left, right, INNER["left"], INNER["right"]) as passed:
        for turn in range(8):
            for gateway in (left, right):
                gateway.ask("workers", "restart", str(1 + turn % 2))
    assert passed.sent > 1000
    assert (passed.lost, passed.twice) == (0, 0)
    assert restarts(left) >= 12, "a sender each time, and the receivers that there are"


def test_a_worker_that_there_is_not_cannot_be_restarted(world: World, left: Gateway) -> None:
    begin(world, 1)
    refused = left.ask("workers", "restart", "2", check=False)
    assert refused.returncode == 1
    assert "no worker has this number" in refused.stderr
    assert restarts(left) == 0

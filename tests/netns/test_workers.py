"""Workers of the data plane between two gateways: as many as there are processors, seen and restarted one by one."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from fynx_plugins.tun.queues import multiqueue, workers_of
from tests.netns.numbered import stream
from tests.netns.test_offloads import carry
from tests.netns.world import INNER, OUTER6, Gateway, World, until

pytestmark = pytest.mark.sanitized


def begin(world: World, workers: object) -> None:
    for gateway in world.gateways.values():
        gateway.site["host"]["plane"]["tun"].update(workers=workers)
    world.start()
    world.gateways["left"].up()
    for gateway in world.gateways.values():
        until(gateway.established, f"a tunnel at {gateway.side}: {gateway.log()}")


def per_worker(world: World, workers: int = 2, *, six: bool = False) -> None:
    for gateway in world.gateways.values():
        gateway.child["per_worker"] = True
        if six:
            gateway.peer["remote"]["address"] = OUTER6[gateway.other]
    begin(world, workers)
    for gateway in world.gateways.values():
        until(lambda gateway=gateway: len(bound(gateway)) == workers + 1, f"one for each worker: {gateway.log()}")


def bound(gateway: Gateway) -> dict[int, dict[str, Any]]:
    """The Child SAs by their workers."""
    children = [child for peer in gateway.status()["peers"] for child in peer["children"] if child["state"] == "active"]
    return {child["resource"]: child for child in children}


def more(gateway: Gateway, packets: int) -> None:
    """Waits until so many more have come in."""
    before = gateway.status()["plane"]["counters"]["packets_in"]
    until(lambda: gateway.status()["plane"]["counters"]["packets_in"] >= before + packets, "packets come in")


def restarts(gateway: Gateway) -> int:
    return sum(each["restarts"] for each in gateway.status()["plane"]["workers"])


def adds_up(plane: dict[str, Any]) -> bool:
    """A thread may count between the look at it and the look at all of them."""
    sent = sum(each["counters"].get("packets_out", 0) for each in senders(plane))
    wakeups = sum(each["wakeups"] for each in plane["workers"])
    return (sent, wakeups) == (plane["counters"]["packets_out"], plane["counters"]["wakeups"])


def senders(plane: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in plane["workers"] if each["direction"] == "out" and each["worker"]]


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
    until(lambda: adds_up(left.status()["plane"]), "the sums of the workers are those of the plane")
    plane = left.status()["plane"]
    assert plane["queues"] == workers_of("auto", processors=len(os.sched_getaffinity(0)), multiqueue=multiqueue())
    assert [each["queue"] for each in senders(plane)] == list(range(plane["queues"]))
    assert {each["state"] for each in plane["workers"] if each["worker"]} == {"running"}
    assert plane["counters"]["packets_out"] >= 3
    assert plane["counters"]["wakeups"] >= 3
    shown = json.loads(left.ask("workers", "--json").stdout)
    assert shown["schema"] == "fynx.workers/1"
    assert [each["worker"] for each in shown["workers"]] == [each["worker"] for each in plane["workers"]]
    assert "1 out" in left.ask("workers").stdout


def test_a_worker_is_restarted_while_packets_pass_and_none_is_lost(world: World, left: Gateway, right: Gateway) -> None:
    begin(world, 2)
    with stream(left, right, INNER["left"], INNER["right"]) as passed:
        for turn in range(8):
            for gateway in (left, right):
                gateway.order("restart_worker", number=1 + turn % 2)
                more(right, 50)
    assert passed.sent > 16 * 50
    assert (passed.lost, passed.twice) == (0, 0)
    assert restarts(left) >= 12, "a sender each time, and the receivers that there are"


def test_a_worker_that_there_is_not_cannot_be_restarted(world: World, left: Gateway) -> None:
    begin(world, 1)
    refused = left.ask("workers", "restart", "2", check=False)
    assert refused.returncode == 1
    assert "no worker has this number" in refused.stderr
    assert restarts(left) == 0


@pytest.mark.parametrize(("workers", "six"), [(2, False), (4, True)])
def test_each_worker_sends_on_its_own_child_sa(
    world: World, left: Gateway, right: Gateway, workers: int, six: bool
) -> None:
    per_worker(world, workers, six=six)
    each_worker = range(1, workers + 1)
    with stream(left, right, INNER["left"], INNER["right"]) as passed:
        until(lambda: all(bound(left)[worker]["packets_out"] > 100 for worker in each_worker), "all workers send")
    assert (passed.lost, passed.twice) == (0, 0)
    ours, theirs = bound(left), bound(right)
    assert {one["spi_out"]: one["packets_out"] for one in ours.values()} == {
        one["spi_in"]: one["packets_in"] for one in theirs.values()
    }
    sent = {each["worker"]: each["counters"]["packets_out"] for each in senders(left.status()["plane"])}
    assert sent == {worker: ours[worker]["packets_out"] for worker in each_worker}
    assert ours[0]["packets_out"] == 0, "the first one is for those that have none"
    receivers = [each for each in right.status()["plane"]["workers"] if each["direction"] == "in"]
    assert min(each["counters"].get("packets_in", 0) for each in receivers if each["worker"]) > 100, "by SPI"
    assert "net (worker 2)" in left.ask("status").stdout


def test_they_are_rekeyed_and_taken_down_while_packets_pass(world: World, left: Gateway, right: Gateway) -> None:
    per_worker(world)
    before = {one["spi_out"] for one in bound(left).values()}
    with stream(left, right, INNER["left"], INNER["right"]) as passed:
        left.order("rekey", peer="right", child="net")
        until(
            lambda: len(bound(left)) == 3 and not before & {one["spi_out"] for one in bound(left).values()}, "new SAs"
        )
        right.order("rekey", peer="left")
        left.ask("workers", "restart", "1")
    assert (passed.lost, passed.twice) == (0, 0)
    left.order("down", peer="right", child="net")
    for gateway in (left, right):
        until(lambda gateway=gateway: not bound(gateway), "all of them are gone")


def sender(gateway: Gateway) -> dict[str, Any]:
    found = (each for each in gateway.status()["plane"]["workers"] if each["direction"] == "out" and each["worker"])
    return next(found)


def test_echoes_leave_without_waking_the_sender_and_a_stream_brings_it_back(
    world: World, left: Gateway, right: Gateway
) -> None:
    """ADR 0014: of little that is sent, the thread that receives reads it too; of much, the sender's own."""
    begin(world, 1)
    assert world.left.ping(INNER["right"], source=INNER["left"], count=3)
    until(lambda: sender(right)["counters"].get("handovers", 0) > 0, "the receiver reads the queue")
    before = sender(right)
    assert world.left.ping(INNER["right"], source=INNER["left"], count=20)
    after = sender(right)
    assert after["counters"]["packets_out"] >= before["counters"]["packets_out"] + 20
    assert after["wakeups"] <= before["wakeups"] + 10, "twenty echoes woke it"
    handovers = after["counters"]["handovers"]
    carry(right, left, INNER["left"], "tcp", 20_000_000)
    until(lambda: sender(right)["counters"]["handovers"] > handovers, "it went to the sender and back")

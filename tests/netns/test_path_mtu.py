"""A path that takes less than the tunnel's device lets through: the inner side is told, or its packets are cut."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.netns.test_offloads import begin, carry
from tests.netns.world import INNER, INNER6, Gateway, World, until

NARROW = 1400
LARGEST = 1338
"""Inner: 1400 without IPv4 and UDP (28), SPI and number (8), IV (8), ICV (16), in words that end in the trailer (2)."""


@pytest.fixture(params=[{}, {"vnet": "off", "gso": "off", "gro": "off"}], ids=["offloads", "plain"])
def narrow(request: pytest.FixtureRequest, world: World) -> World:
    """The link behind the router is narrower: only ICMP from there tells the gateway."""
    world.world.ip(f"link set eth1 mtu {NARROW}")
    world.right.ip(f"link set eth0 mtu {NARROW}")
    begin(world, {"left": request.param, "right": request.param})
    return world


def ping(gateway: Gateway, to: str, *, source: str, size: int, cut: str) -> str:
    line = ["ping", "-n", "-c", "1", "-W", "1", "-M", cut, "-s", str(size), "-I", source, to]
    return gateway.place.inside(*line, check=False)


@pytest.mark.parametrize(
    ("address", "source", "head"), [(INNER["right"], INNER["left"], 28), (INNER6["right"], INNER6["left"], 48)]
)
def test_a_packet_that_must_not_be_cut_is_answered_with_the_size_that_fits(
    narrow: World, left: Gateway, address: str, source: str, head: int
) -> None:
    told: Callable[[], bool] = lambda: bool(  # noqa: E731
        re.search(rf"mtu[ =:]+{LARGEST}\b", ping(left, address, source=source, size=1390 - head, cut="do"))
    )
    until(told, "the host hears what fits")
    assert ", 0% packet loss" in ping(left, address, source=source, size=LARGEST - head, cut="do")
    counters = left.status()["plane"]["counters"]
    assert counters["too_big_told"] >= 1
    assert counters["drop_path_mtu"] >= 1


def test_what_may_be_cut_passes_cut(narrow: World, left: Gateway) -> None:
    source = INNER["left"]
    until(lambda: "1 received" in ping(left, INNER["right"], source=source, size=1360, cut="dont"), "a ping passes")
    ping(left, INNER["right"], source=source, size=1360, cut="do")
    until(
        lambda: (
            "1 received" in ping(left, INNER["right"], source=source, size=1362, cut="dont")
            and left.status()["plane"]["counters"]["fragmented"]
        ),
        "a packet is cut before it is sealed",
    )
    for size in (1311, 1362, 8192, 65507):
        assert "1 received" in ping(left, INNER["right"], source=source, size=size, cut="dont"), size
    assert left.status()["plane"]["counters"]["drop_send_size"] == 0


def test_tcp_finds_its_way_through_a_narrow_path(narrow: World, left: Gateway, right: Gateway) -> None:
    carry(left, right, INNER["right"], "tcp", 2_000_000)
    carry(left, right, INNER6["right"], "tcp", 2_000_000)
    carry(right, left, INNER["left"], "tcp", 2_000_000)

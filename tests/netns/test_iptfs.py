"""Two gateways whose inner packets share ESP payloads (RFC 9347): equal data, pings of all sizes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.netns.test_offloads import begin, carry
from tests.netns.world import INNER, INNER6, Gateway, World

pytestmark = pytest.mark.sanitized


def aggregated(gateway: Gateway) -> list[bool]:
    return [child["iptfs"] for peer in gateway.status()["peers"] for child in peer["children"]]


@pytest.mark.parametrize(
    ("iptfs", "plane"),
    [
        ({}, {}),
        ({"packet_size": 300}, {"vnet": "off", "gso": "off", "gro": "off"}),
        ({"pad": True}, {}),
        ({"fragment": False}, {}),
    ],
    ids=["path", "300", "pad", "whole"],
)
def test_tcp_udp_and_pings_of_all_sizes_arrive_whole(
    world: World, left: Gateway, right: Gateway, iptfs: dict[str, Any], plane: dict[str, str]
) -> None:
    for gateway in world.gateways.values():
        gateway.child["iptfs"] = dict(iptfs)
    begin(world, {"left": plane, "right": plane})
    assert aggregated(left) == aggregated(right) == [True]
    carry(left, right, INNER["right"], "tcp", 2_000_000)
    carry(right, left, INNER6["left"], "tcp", 2_000_000)
    carry(left, right, INNER["right"], "udp64", 60_000)
    for size in (0, 1, 36, 254, 255, 256, 1000, 1362, 1363, 1400, 9000, 65507):
        assert left.place.ping(INNER["right"], source=INNER["left"], size=size), size
    for size in (0, 100, 1200, 1400, 20_000):
        assert right.place.ping(INNER6["left"], source=INNER6["right"], size=size), size
    counters = right.status()["plane"]["counters"]
    assert counters["aggregates_in"] > 0
    assert counters["aggregates_out"] > 0
    lost = {name: counters[name] for name in counters if name.startswith("drop_aggfrag")}
    assert not any(lost.values()), lost
    assert world.clear() == 0


def test_small_packets_share_payloads(world: World, left: Gateway, right: Gateway) -> None:
    for gateway in world.gateways.values():
        gateway.child["iptfs"] = {}
    begin(world, {"left": {}, "right": {}})
    carry(left, right, INNER["right"], "udp64", 192_000)
    counters = left.status()["plane"]["counters"]
    assert counters["packets_out"] > 3 * counters["aggregates_out"], "about 14 of 92 octets fit one payload"


def test_a_peer_without_it_gets_plain_esp(world: World, left: Gateway, right: Gateway) -> None:
    left.child["iptfs"] = {}
    begin(world, {"left": {}, "right": {}})
    assert aggregated(left) == aggregated(right) == [False]
    assert left.place.ping(INNER["right"], source=INNER["left"])

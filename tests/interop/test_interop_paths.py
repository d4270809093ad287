"""Ways between the ends: NAT before one or both, IPv4 and IPv6 outside and inside in every mix, and large transfers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from lab import traffic
from lab.capture import Capture
from lab.pair import ROLES, Pair
from lab.plan import Plan
from lab.topology import inner, inner6

MIXES = {
    "6in4": (False, 6),
    "4in6": (True, 4),
    "6in6": (True, 6),
}
INNER = {4: (f"{inner(0)}/32", f"{inner(1)}/32"), 6: (f"{inner6(0)}/128", f"{inner6(1)}/128")}


def _translated(capture: Capture) -> bool:
    """Both directions carried ESP in UDP between the routers' outside addresses, the answer to a translated port."""
    ways = {(one.source, one.destination, one.destination_port) for one in capture.datagrams() if one.esp}
    forth = {port for source, _, port in ways if source == "192.0.2.1"}
    back = {port for source, _, port in ways if source == "192.0.2.2"}
    return forth == {4500} and len(back) == 1 and len(ways) == 2


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("topology", ["left_behind_nat", "both_behind_nat"])
def test_tunnel_through_nat_carries_traffic_both_ways(pair: Callable[..., Pair], role: str, topology: str) -> None:
    both = pair(*ROLES[role], topology=topology)
    with both.capture() as capture:
        both.left.up(both.plan)
        both.both_have()
        assert both.ping() == 3
        assert both.ping(back=True) == 3
    assert _translated(capture)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("mix", MIXES)
def test_each_mix_of_address_families_carries_traffic(pair: Callable[..., Pair], role: str, mix: str) -> None:
    outer6, version = MIXES[mix]
    left, right = INNER[version]
    plan = replace(Plan(), ipv6=outer6).with_networks((left,), (right,))
    both = pair(*ROLES[role], plans=[plan])
    with both.capture() as capture:
        both.left.up(plan)
        both.both_have()
        assert both.ping() == 3
        assert both.ping(back=True) == 3
    assert len(capture.esp()) == 12
    assert {":" in datagram.source for datagram in capture.datagrams() if datagram.esp} == {outer6}


@pytest.mark.parametrize("role", ROLES)
def test_both_families_share_one_child(pair: Callable[..., Pair], role: str) -> None:
    plan = Plan().with_networks(*(tuple(INNER[version][side] for version in (4, 6)) for side in (0, 1)))
    both = pair(*ROLES[role], plans=[plan])
    both.left.up(plan)
    both.both_have()
    hosts = both.topology
    assert traffic.ping(hosts.left.namespace, inner(0), inner(1)) == 3
    assert traffic.ping(hosts.left.namespace, inner6(0), inner6(1)) == 3
    assert traffic.ping(hosts.right.namespace, inner6(1), inner6(0)) == 3


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("outer6", [False, True], ids=["outer4", "outer6"])
def test_tcp_arrives_whole_both_ways(pair: Callable[..., Pair], role: str, outer6: bool) -> None:
    plan = replace(Plan(), ipv6=outer6)
    both = pair(*ROLES[role], plans=[plan])
    both.left.up(plan)
    both.both_have()
    left, right = both.topology.left.namespace, both.topology.right.namespace
    for sender, source, receiver, target in ((left, inner(0), right, inner(1)), (right, inner(1), left, inner(0))):
        sent, arrived = traffic.transfer(sender, source, receiver, target, size=2 << 20)
        assert arrived == sent


def test_an_echo_of_each_size_returns(pair: Callable[..., Pair]) -> None:
    both = pair("fynx", "strongswan")
    both.left.up(both.plan)
    both.both_have()
    sizes = (1, 1200, 1300, *range(1340, 1412), 1472, 4000, 20000)
    assert [size for size in sizes if both.ping(size=size, count=1) != 1] == []
    assert [size for size in sizes if both.ping(size=size, count=1, back=True) != 1] == []

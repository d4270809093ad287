"""The TUN plane's decisions, without a kernel: routes, rules, firewall text, sizes."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest

from fynx.plugin import Policy, Selector
from fynx_plugins.tun import firewall
from fynx_plugins.tun.bypass import bypass_rules
from fynx_plugins.tun.config import TunConfig, inner_mtu, table_of
from fynx_plugins.tun.cover import Cover
from fynx_plugins.tun.plan import Pair, Route, Rule, Wanted, routes, rules
from fynx_plugins.tun.prefixes import Network, networks


def net(text: str) -> Network:
    return ipaddress.ip_network(text)


def selector(text: str, protocol: int = 0, ports: tuple[int, int] = (0, 65535)) -> Selector:
    network = net(text)
    return Selector(network[0].packed, network[-1].packed, protocol, *ports)


def pair(local: str, remote: str) -> Pair:
    return Pair((net(local),), (net(remote),))


def test_a_range_that_is_no_prefix_becomes_the_prefixes_that_cover_it_exactly() -> None:
    odd = Selector(bytes([10, 0, 0, 1]), bytes([10, 0, 0, 6]))
    found = networks([odd])
    assert sum(network.num_addresses for network in found) == 6
    assert str(found[0]) == "10.0.0.1/32"


def test_a_protected_prefix_gets_a_route_into_the_device_and_a_guard_of_its_own() -> None:
    wanted = Wanted(
        pairs={1: pair("10.1.0.0/16", "10.2.0.0/16")},
        guards={("hq", "net"): (net("10.2.0.0/16"),)},
        addresses=(ipaddress.ip_address("192.0.2.1"), ipaddress.ip_address("10.1.0.1")),
    )
    assert routes(wanted) == {
        Route("device", net("10.2.0.0/16"), "10.1.0.1"),
        Route("unreachable", net("10.2.0.0/16")),
    }
    assert rules(wanted) == {Rule("table", 4)}


def test_without_the_device_the_guards_alone_remain_and_without_guards_nothing() -> None:
    wanted = Wanted(pairs={1: pair("10.1.0.0/16", "::/0")}, guards={("hq", "net"): (net("10.2.0.0/16"),)}, device=False)
    assert routes(wanted) == {Route("unreachable", net("10.2.0.0/16"))}
    wanted.guards.clear()
    assert routes(wanted) == frozenset()
    assert rules(wanted) == frozenset()


def test_peers_and_own_networks_inside_a_wide_selector_go_back_to_the_main_table() -> None:
    """Row L19: the tunnel's own endpoint never goes into the tunnel."""
    wanted = Wanted(
        pairs={1: pair("10.1.0.0/16", "0.0.0.0/0")}, peers=frozenset({ipaddress.ip_address("198.51.100.1")})
    )
    throws = {str(route.network) for route in routes(wanted) if route.kind == "throw"}
    assert throws == {"10.1.0.0/16", "198.51.100.1/32"}


def test_link_local_ipv6_stays_outside_a_tunnel_that_takes_everything() -> None:
    wanted = Wanted(pairs={1: pair("fd00:1::/64", "::/0")})
    assert Route("throw", net("fe80::/10")) in routes(wanted)


def test_a_peer_that_is_itself_protected_stays_protected() -> None:
    wanted = Wanted(
        pairs={1: pair("192.0.2.1/32", "198.51.100.1/32")}, peers=frozenset({ipaddress.ip_address("198.51.100.1")})
    )
    assert {route.kind for route in routes(wanted)} == {"device"}


def test_a_network_that_is_both_ours_and_protected_stays_protected() -> None:
    wanted = Wanted(pairs={1: pair("10.0.0.0/8", "10.0.0.0/8")})
    assert {route.kind for route in routes(wanted)} == {"device"}


def test_bypasses_become_rules_with_ports_for_the_families_in_use() -> None:
    static = Policy("bypass", (selector("0.0.0.0/0"),), (selector("192.0.2.10/32", 6, (22, 22)),), 10)
    wanted = Wanted(pairs={1: pair("10.1.0.0/16", "0.0.0.0/0")}, bypasses=bypass_rules((static,)))
    assert Rule("bypass", 4, None, net("192.0.2.10/32"), 6, None, (22, 22)) in rules(wanted)
    wanted.pairs = {1: pair("fd00:1::/64", "fd00:2::/64")}
    assert {rule.version for rule in rules(wanted)} == {6}


def test_the_default_mtu_holds_every_suite_in_an_outer_path_of_1500() -> None:
    """Outer IPv6, UDP, ESP, the largest IV and ICV, and padding to the cipher's block."""
    mtu = inner_mtu()
    assert mtu == 1390
    for iv, icv, block in ((8, 16, 4), (16, 16, 16), (16, 24, 16), (16, 32, 16)):
        padded = -(-(mtu + 2) // block) * block
        assert 40 + 8 + 8 + iv + padded + icv <= 1500


def test_mtu_never_falls_below_what_ipv6_needs() -> None:
    assert inner_mtu(1300) == 1280


@pytest.mark.parametrize(
    "wrong",
    [
        {"device": "a/b"},
        {"device": "x" * 16},
        {"device": ""},
        {"mtu": 500},
        {"mtu": 70000},
        {"table": 254},
        {"workers": 16},
    ],
)
def test_sections_that_cannot_work_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        replace(TunConfig(), **wrong)


def test_table_and_mark_are_stable_and_keep_off_the_systems_numbers() -> None:
    assert table_of(TunConfig(), "left") == table_of(TunConfig(), "left")
    assert 20000 <= table_of(TunConfig(), "left") < 30000
    assert table_of(TunConfig(table=777), "left") == 777


@pytest.mark.parametrize(
    ("near", "far", "covered"),
    [
        ("10.1.0.0/16", "198.18.0.7/32", True),
        ("10.1.0.0/16", "198.18.0.0/24", True),
        ("10.2.0.0/16", "198.18.0.7/32", False),
        ("10.0.0.0/8", "198.18.0.7/32", False),
        ("10.1.0.0/16", "198.19.0.7/32", False),
        ("fd00:1::/64", "fd00:2::7/128", True),
        ("fd00:1::/64", "198.18.0.7/32", True),
    ],
)
def test_a_child_within_what_a_policy_protects_changes_no_rule_of_the_firewall(
    near: str, far: str, covered: bool
) -> None:
    """Of two families nothing is said."""
    cover = Cover([pair("10.1.0.0/16", "198.18.0.0/24"), pair("fd00:1::/64", "fd00:2::/64")])
    assert (pair(near, far) in cover) is covered


def test_a_child_whose_neighbours_lie_in_the_peers_network_has_rules_of_its_own() -> None:
    assert pair("10.1.0.0/16", "10.0.0.0/8") not in Cover([pair("0.0.0.0/0", "10.0.0.0/8")])


def fence(*pairs: Pair, static: tuple[Policy, ...] = ()) -> firewall.Fence:
    return firewall.Fence("fynx0", 20001, (500, 4500), static, pairs)


def test_nothing_to_enforce_removes_the_table() -> None:
    assert firewall.ruleset("left", fence()).splitlines() == [
        "table inet fynx_left {}",
        "delete table inet fynx_left",
    ]


def test_clear_packets_between_protected_addresses_are_dropped_after_our_own_ports_were_let_in() -> None:
    text = firewall.ruleset("left", fence(pair("10.1.0.0/16", "10.2.0.0/16")))
    lines = [line.strip() for line in text.splitlines()]
    drop = lines.index("ip saddr 10.2.0.0/16 ip daddr 10.1.0.0/16 counter drop")
    assert lines.index("udp dport { 500, 4500 } accept") < drop


def test_neighbours_keep_talking_when_the_remote_selector_covers_them() -> None:
    text = firewall.ruleset("left", fence(pair("10.1.0.0/16", "0.0.0.0/0")))
    accept, drop = "ip saddr 10.1.0.0/16 ip daddr 10.1.0.0/16 accept", "ip daddr 10.1.0.0/16 counter drop"
    assert text.index(accept) < text.index(drop)


def test_a_discard_policy_holds_in_both_directions() -> None:
    static = Policy("discard", (selector("0.0.0.0/0"),), (selector("203.0.113.0/24", 17, (53, 53)),), 10)
    text = firewall.ruleset("left", fence(static=(static,)))
    assert "ip saddr { 203.0.113.0/24 } ip daddr { 0.0.0.0/0 } meta l4proto 17 th sport 53-53 counter drop" in text
    assert text.count("th dport 53-53 counter drop") == 2


def test_names_of_hosts_become_names_that_nft_takes() -> None:
    assert firewall.table_name("site-1.example") == "fynx_site_1_example"

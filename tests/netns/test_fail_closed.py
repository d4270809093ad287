"""Nothing protected leaves in clear: before the tunnel, while it is down, at crash, next start and stop (row E25)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.netns.world import INNER, INNER6, NETWORK6, OUTER, Gateway, Place, World, until


@contextmanager
def canary(place: Place, address: str) -> Iterator[None]:
    """Pings all the time, a hundred times a second."""
    pinging = subprocess.Popen(
        ["ip", "netns", "exec", place.name, "ping", "-n", "-q", "-i", "0.01", "-W", "1", address],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        pinging.terminate()
        pinging.wait()


def test_without_fynx_the_canary_is_seen_in_clear(world: World) -> None:
    """The control: all the tests below would see a leak."""
    assert world.left.silent(INNER["right"])
    assert world.clear() > 0


def test_a_tunnel_carries_traffic_both_ways_and_nothing_in_clear(world: World, left: Gateway, right: Gateway) -> None:
    world.start()
    left.up()
    assert world.left.ping(INNER["right"], count=3)
    assert world.right.ping(INNER["left"], count=3)
    assert world.clear() == 0


def test_packets_of_every_size_pass_up_to_64_kib(world: World, left: Gateway, right: Gateway) -> None:
    world.start()
    left.up()
    for size in (0, 1, 56, 1000, 1362, 1363, 1472, 9000, 65000):
        assert world.left.ping(INNER["right"], size=size), size
    assert world.clear() == 0


def test_protected_traffic_stays_in_while_the_peer_does_not_answer(world: World, left: Gateway) -> None:
    left.peer["start"] = "initiate"
    left.start()
    with canary(world.left, INNER["right"]):
        until(lambda: "failed" in left.log(), "an attempt has failed")
    assert world.clear() == 0


def test_protected_traffic_stays_in_when_no_one_asked_for_the_tunnel_yet(world: World, left: Gateway) -> None:
    left.start()
    assert world.left.silent(INNER["right"])
    assert world.clear() == 0
    assert "kept from leaving in clear: 10.2.0.0/16" in left.ask("status").stdout


def test_a_crash_and_the_next_start_let_nothing_out(world: World, left: Gateway, right: Gateway) -> None:
    left.peer["start"] = "initiate"
    world.start()
    until(left.established, "the tunnel is up")
    with canary(world.left, INNER["right"]):
        left.kill()
        assert world.left.silent(INNER["right"])
        left.start()
        until(left.established, "the tunnel is up again")
        until(lambda: world.left.ping(INNER["right"], wait_s=1), "traffic flows again")
    assert world.clear() == 0


def test_after_a_crash_only_guards_are_left_and_a_clean_stop_removes_them(
    world: World, left: Gateway, right: Gateway
) -> None:
    world.start()
    left.up()
    left.kill()
    owned = world.left.owned()
    assert [line.split(" table")[0] for line in owned["routes"]] == ["unreachable 10.2.0.0/16"]
    assert owned["devices"] == []
    left.start()
    left.up()
    left.stop()
    assert world.left.owned() == {"routes": [], "rules": [], "tables": [], "devices": []}
    assert list((left.folder / "run").glob("left.*")) == []


def test_a_guard_that_the_configuration_no_longer_wants_goes_at_the_next_start(
    world: World, left: Gateway, right: Gateway
) -> None:
    world.start()
    left.up()
    left.kill()
    left.child["remote"] = ["10.3.0.0/16"]
    left.start()
    routes = " ".join(world.left.owned()["routes"])
    assert "10.3.0.0/16" in routes
    assert "10.2.0.0/16" not in routes


def test_sigterm_says_goodbye_and_leaves_nothing(world: World, left: Gateway, right: Gateway) -> None:
    """Row L15."""
    world.start()
    left.up()
    left.stop()
    assert world.left.owned() == {"routes": [], "rules": [], "tables": [], "devices": []}
    until(lambda: "the peer deleted the IKE SA" in right.log(), "right heard the DELETE")


def test_a_stop_that_the_peer_does_not_confirm_keeps_the_guard(world: World, left: Gateway, right: Gateway) -> None:
    """And does not wait for it: the first retransmission is a minute away (row L15)."""
    left.peer["retransmission"] = {"base_s": 60}
    world.start()
    left.up()
    right.kill()
    with canary(world.left, INNER["right"]):
        left.stop()
        assert "nothing leaves for 10.2.0.0/16, until the next start or: ip route flush table" in left.log()
        assert world.left.silent(INNER["right"])
    assert world.clear() == 0
    assert len(world.left.owned()["routes"]) == 1
    assert world.left.owned()["tables"] == []


def test_leave_open_removes_the_guard_whatever_the_peer_says(world: World, left: Gateway, right: Gateway) -> None:
    right.start()
    left.start("--leave-open")
    left.up()
    right.kill()
    left.stop()
    assert world.left.owned() == {"routes": [], "rules": [], "tables": [], "devices": []}


def test_down_opens_when_the_peer_confirms_and_up_closes_again(world: World, left: Gateway, right: Gateway) -> None:
    world.start()
    left.up()
    left.ask("down", "right")
    assert world.left.owned()["routes"] == []
    left.up()
    assert world.left.ping(INNER["right"])
    assert len(world.left.owned()["routes"]) == 2


def test_down_without_the_peers_word_ends_with_7_and_stays_closed(world: World, left: Gateway, right: Gateway) -> None:
    world.start()
    left.up()
    right.kill()
    assert left.ask("down", "right", check=False).returncode == 7
    assert world.left.silent(INNER["right"])
    assert world.clear() == 0
    assert left.ask("down", "right", "--leave-open").returncode == 0
    assert world.left.owned()["routes"] == []


def test_a_peer_that_deletes_does_not_open_our_guard(world: World, left: Gateway, right: Gateway) -> None:
    world.start()
    left.up()
    right.stop()
    until(lambda: "the peer deleted" in left.log(), "left heard the DELETE")
    assert world.left.silent(INNER["right"])
    left.kill()
    assert world.left.silent(INNER["right"])
    assert world.clear() == 0


def test_kill_switch_false_gives_up_the_guards(world: World, left: Gateway, right: Gateway) -> None:
    left.site["kill_switch"] = False
    world.start()
    left.up()
    assert not any("unreachable" in line for line in world.left.owned()["routes"])


@pytest.mark.parametrize("protocol", ["IPv4", "IPv6"])
def test_everything_through_the_tunnel_while_our_own_datagrams_stay_outside(
    world: World, left: Gateway, right: Gateway, protocol: str
) -> None:
    """Rows E25 and L19: 0.0.0.0/0 and ::/0, with the tunnel's endpoint inside the selectors."""
    everything = {"IPv4": ["0.0.0.0/0"], "IPv6": ["::/0"]}[protocol]
    near = {"IPv4": ["10.1.0.0/16"], "IPv6": [NETWORK6["left"]]}[protocol]
    target = {"IPv4": INNER, "IPv6": INNER6}[protocol]["right"]
    left.child.update(local=near, remote=everything)
    right.child.update(local=everything, remote=near)
    world.start()
    assert "via 192.0.2.254 dev eth0" in world.left.show("route", "get", OUTER["right"])
    left.up()
    assert world.left.ping(target, count=3)
    with canary(world.left, target):
        left.kill()
        assert world.left.silent(target)
        left.start()
        left.up()
        until(lambda: world.left.ping(target, wait_s=1), "traffic flows again")
    assert world.clear() == 0
    left.stop()
    assert world.left.owned() == {"routes": [], "rules": [], "tables": [], "devices": []}


def test_a_more_specific_route_of_someone_else_does_not_divert_protected_traffic(
    world: World, left: Gateway, right: Gateway
) -> None:
    """Row L19: a hostile DHCP server hands out routes (TunnelVision)."""
    world.start()
    left.up()
    world.left.ip("route add 10.2.0.1/32 via 192.0.2.254")
    assert world.left.ping(INNER["right"], count=3)
    assert world.clear() == 0


def test_bypass_leaves_and_discard_does_not(world: World, left: Gateway, right: Gateway) -> None:
    left.site["policies"] = [
        {"action": "bypass", "remote": ["10.2.9.0/24"], "priority": 10},
        {"action": "discard", "remote": ["203.0.113.0/24"], "priority": 20},
    ]
    world.start()
    left.up()
    world.left.ping("10.2.9.9", wait_s=1)
    assert world.clear() > 0
    sent = "import socket; socket.socket(2, 2).sendto(b'x', ('203.0.113.5', 9))"
    refused = subprocess.run(
        ["ip", "netns", "exec", world.left.name, "python3", "-c", sent], capture_output=True, text=True, check=False
    )
    assert "PermissionError" in refused.stderr


ORDERED = {
    "a bypass after the child changes nothing": ([("bypass", "10.2.0.0/16", 2000)], True, False),
    "a discard after the child changes nothing": ([("discard", "10.2.0.0/16", 2000)], True, False),
    "a discard before the child stops it": ([("discard", "10.2.0.1/32", 10)], False, False),
    "a bypass before a discard": ([("discard", "10.2.0.0/16", 20), ("bypass", "10.2.9.0/24", 10)], False, True),
    "a discard before a bypass": ([("bypass", "10.2.9.0/24", 20), ("discard", "10.2.0.0/16", 10)], False, False),
}


@pytest.mark.parametrize("name", ORDERED)
def test_policies_are_looked_at_in_the_order_of_their_priorities(
    world: World, left: Gateway, right: Gateway, name: str
) -> None:
    """RFC 4301 section 4.4.1; a child stands at 1000. To 10.2.0.1 through the tunnel, to 10.2.9.9 in clear, or not."""
    policies, protected, clear = ORDERED[name]
    left.site["policies"] = [{"action": action, "remote": [to], "priority": n} for action, to, n in policies]
    world.start()
    left.up()
    assert world.left.ping(INNER["right"]) is protected
    assert world.clear() == 0
    world.left.ping("10.2.9.9", source=INNER["left"], wait_s=1)
    assert bool(world.clear()) is clear


def test_clear_packets_from_outside_with_protected_addresses_are_dropped(
    world: World, left: Gateway, right: Gateway
) -> None:
    """Row E24. The world claims to be a host behind the other gateway."""
    world.world.ip("addr add 10.2.0.7/32 dev lo", "route add 10.1.0.0/16 via 192.0.2.1")
    assert world.world.ping(INNER["left"]), "the control: without Fynx it gets through"
    world.start()
    assert world.world.silent(INNER["left"], source="10.2.0.7"), "while the SA is down"
    left.up()
    assert world.world.silent(INNER["left"], source="10.2.0.7"), "and while it is up"
    assert world.left.ping(INNER["right"])
    counted = world.left.inside("nft", "list", "table", "inet", "fynx_left")
    assert "counter packets 0 " not in counted


def test_traffic_itself_brings_a_trap_up(world: World, left: Gateway, right: Gateway) -> None:
    left.peer["start"] = "trap"
    world.start()
    assert not left.established()
    world.left.ping(INNER["right"], wait_s=1)
    until(left.established, "traffic brought the tunnel up")
    assert world.left.ping(INNER["right"])
    assert world.clear() == 0


def test_outer_ipv6_carries_inner_ipv4_and_ipv6(world: World, left: Gateway, right: Gateway) -> None:
    for gateway, other in ((left, "right"), (right, "left")):
        number = {"left": "1", "right": "2"}[other]
        gateway.peer["remote"]["address"] = f"2001:db8:{number}::1"
        gateway.child["local"].append(NETWORK6[gateway.side])
        gateway.child["remote"].append(NETWORK6[other])
    world.start()
    left.up()
    assert world.left.ping(INNER["right"], count=2)
    assert world.left.ping(INNER6["right"], count=2)
    assert world.clear() == 0


def test_our_own_networks_inside_a_wider_remote_selector_stay_reachable(
    world: World, left: Gateway, right: Gateway
) -> None:
    world.left.ip(
        "link add lan0 type veth peer name lan1",
        "link set lan0 up",
        "link set lan1 up",
        "addr add 10.1.77.254/24 dev lan0",
    )
    left.child["remote"], right.child["local"] = ["10.0.0.0/8"], ["10.0.0.0/8"]
    world.start()
    left.up()
    assert world.left.ping(INNER["right"])
    assert "lan0" in world.left.show("route", "get", "10.1.77.1")


def test_two_hosts_cannot_have_the_same_name_or_the_same_ports(world: World, left: Gateway, right: Gateway) -> None:
    """Row L16."""
    left.start()
    before = world.left.owned()
    again = left.again()
    assert again.returncode == 3
    assert "running already" in again.stderr
    twin = Gateway(world.left, "left", left.folder)
    twin.site["name"] = "twin"
    twin.file = left.folder / "twin.yaml"
    with pytest.raises(AssertionError, match="ended with 3"):
        twin.start()
    assert "500" in twin.log()
    assert world.left.owned() == before


def test_a_change_of_table_after_a_crash_leaves_nothing_in_the_old_one(
    world: World, left: Gateway, right: Gateway
) -> None:
    world.start()
    left.up()
    left.kill()
    left.site["host"]["plane"]["tun"] = {"table": 777}
    left.start()
    owned = world.left.owned()
    assert all(" table 777 " in line for line in owned["routes"])
    assert len(owned["rules"]) == 1
    assert "lookup 777" in owned["rules"][0]


def test_an_inner_address_that_appears_later_becomes_the_source(world: World, left: Gateway, right: Gateway) -> None:
    world.left.ip("addr del 10.1.0.1/32 dev lo")
    world.start()
    world.left.ip("addr add 10.1.0.1/32 dev lo")
    left.up()
    assert world.left.ping(INNER["right"])

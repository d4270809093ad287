"""Leased addresses stay closed: nothing for them, or for what their owner protects, leaves in clear (row E25)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.netns.test_fail_closed import canary
from tests.netns.world import INNER, INNER6, NETWORK, NETWORK6, OUTER, OUTER6, Gateway, World, until

POOL, POOL6 = "10.9.0.0/24", "fd00:9::/64"
LEASED, LEASED6 = "10.9.0.1", "fd00:9::1"
NEVER = "10.9.0.200"
"""An address of the pool that nobody has."""
ABSENT, ABSENT6 = "10.2.9.9", "fd00:2::99"


@pytest.fixture(autouse=True)
def roles(left: Gateway, right: Gateway) -> None:
    """Left asks right for addresses of both families."""
    left.peer["request"] = ["ipv4", "ipv6"]
    left.child.update(local=["dynamic"], remote=[NETWORK["right"], NETWORK6["right"]])
    right.site["host"]["pools"] = {"office": {"addresses": [POOL, POOL6]}}
    right.peer["remote"]["address"] = "any"
    right.peer["pool"] = "office"
    right.child.update(local=[NETWORK["right"], NETWORK6["right"]], remote=["dynamic"])


def closed(world: World) -> None:
    """Both gateways run; what was sent before they did is not counted, nor does it wait for the router's address: a
    packet that does would go out in clear after the guards have closed."""
    for place, router in ((world.left, "2001:db8:1::fe"), (world.right, "2001:db8:2::fe")):
        until(lambda place=place, router=router: place.ping(router, wait_s=1), f"{router} answers")
    world.start()
    world.clear()


@pytest.fixture
def gateway_sends(world: World) -> Iterator[None]:
    """To addresses of the pool, all the time."""
    with canary(world.right, LEASED), canary(world.right, LEASED6), canary(world.right, NEVER):
        yield


@pytest.fixture
def client_sends(world: World) -> Iterator[None]:
    """To what the gateway protects; nobody answers."""
    with canary(world.left, ABSENT), canary(world.left, ABSENT6):
        yield


def test_without_fynx_packets_for_the_pool_are_seen_in_clear(world: World) -> None:
    """The control: all the tests below would see a leak."""
    assert world.right.silent(LEASED)
    assert world.clear() > 0
    assert world.right.silent(LEASED6)
    assert world.clear() > 0


def test_a_pool_is_closed_before_anybody_came_and_while_a_tunnel_carries_its_addresses(
    world: World, left: Gateway, right: Gateway
) -> None:
    closed(world)
    assert world.right.silent(LEASED, LEASED6, NEVER)
    assert world.clear() == 0, "before the tunnel"
    left.up()
    assert all(world.right.ping(each) for each in (LEASED, LEASED6))
    assert all(world.left.ping(each) for each in (INNER["right"], INNER6["right"]))
    assert world.right.silent(NEVER)
    assert world.clear() == 0, "while it is up"


def test_a_clear_packet_from_the_pool_is_dropped_and_no_lease_changes_a_rule(
    world: World, left: Gateway, right: Gateway
) -> None:
    """RFC 4301 section 5.2. The number of the table tells that nft made it once."""
    world.world.ip(f"addr add {NEVER}/32 dev lo", "route add 10.2.0.0/16 via 198.51.100.1")
    assert world.world.ping(INNER["right"], source=NEVER), "the control: without Fynx it gets through"
    world.start()
    made = world.right.inside("nft", "-a", "list", "tables")
    assert world.world.silent(INNER["right"], source=NEVER)
    left.up()
    assert world.left.ping(INNER["right"])
    left.ask("down", "right")
    assert world.right.inside("nft", "-a", "list", "tables") == made


@pytest.mark.usefixtures("gateway_sends")
def test_a_client_that_says_goodbye_leaves_the_gateway_closed(world: World, left: Gateway, right: Gateway) -> None:
    closed(world)
    left.up()
    left.ask("down", "right")
    until(lambda: "the peer deleted" in right.log(), "right heard the DELETE")
    assert world.right.silent(LEASED, LEASED6)
    assert world.clear() == 0


@pytest.mark.usefixtures("client_sends")
def test_a_gateway_that_says_goodbye_leaves_the_client_closed(world: World, left: Gateway, right: Gateway) -> None:
    """The leased addresses are gone from the client, its route to what the tunnel protected is not."""
    closed(world)
    left.up()
    right.ask("down", "left")
    until(lambda: "the peer deleted" in left.log(), "left heard the DELETE")
    until(lambda: LEASED not in world.left.show("addr"), "the address is gone")
    assert world.left.silent(ABSENT, ABSENT6)
    assert world.clear() == 0


@pytest.mark.usefixtures("gateway_sends", "client_sends")
def test_a_client_that_dies_leaves_both_ends_closed(world: World, left: Gateway, right: Gateway) -> None:
    right.peer["liveness_s"] = 1
    closed(world)
    left.up()
    left.kill()
    until(lambda: not right.established(), "right found it dead")
    assert world.right.silent(LEASED, LEASED6)
    assert world.left.silent(ABSENT, ABSENT6)
    assert world.clear() == 0


@pytest.mark.usefixtures("gateway_sends", "client_sends")
def test_a_gateway_that_dies_and_starts_again_lets_nothing_out(world: World, left: Gateway, right: Gateway) -> None:
    left.peer.update(start="initiate", liveness_s=1)
    closed(world)
    until(left.established, "the tunnel is up")
    right.kill()
    assert world.right.silent(LEASED)
    right.start()
    until(lambda: right.established() and world.right.ping(LEASED, wait_s=1), "traffic flows again")
    assert world.clear() == 0


def test_down_opens_a_pool_when_its_clients_confirm_and_the_next_client_closes_it(
    world: World, left: Gateway, right: Gateway
) -> None:
    left.peer["on_close"] = "none"
    closed(world)
    left.up()
    right.ask("down", "left")
    assert world.right.owned()["routes"] == []
    left.up()
    assert f"unreachable {POOL}" in " ".join(world.right.owned()["routes"])
    left.kill()
    assert right.ask("down", "left", check=False).returncode == 7
    assert world.right.silent(LEASED)
    assert world.clear() == 0


@pytest.mark.parametrize("outside", [OUTER, OUTER6], ids=["IPv4", "IPv6"])
def test_a_client_whose_tunnel_takes_everything_still_reaches_its_gateway(
    world: World, left: Gateway, right: Gateway, outside: dict[str, str]
) -> None:
    """While everything is closed its own messages pass, by way of a router."""
    left.peer["remote"]["address"] = outside["right"]
    left.child["remote"] = right.child["local"] = ["0.0.0.0/0", "::/0"]
    closed(world)
    assert world.left.silent(INNER["right"], INNER6["right"])
    left.up()
    right.kill()
    assert world.left.silent(INNER["right"], INNER6["right"])
    right.start()
    left.ask("down", "right", check=False)
    left.up()
    assert all(world.left.ping(each) for each in (INNER["right"], INNER6["right"]))
    assert world.clear() == 0

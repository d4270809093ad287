"""What is kept closed for children whose addresses are leased."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any, cast

import pytest

from fynx.config import Child, Choice, Remote
from fynx.config.model import Config, Pool
from fynx.ike.policy import HostPolicy
from fynx.plugin import Plane, Policy, Selector
from fynx.run.guards import Guards
from fynx.run.policy import host_policy
from fynx.run.standing import Standing
from fynx_plugins.memory import MemoryConfig
from tests.unit.run.pair import config, psk, registry

POOLS = {"office": Pool(addresses=("198.18.0.0/24", "fd00:77::/64"), fixed={"one.test": ("198.18.5.9",)})}
POOL = ["198.18.0.0-198.18.0.255", "fd00:77::-fd00:77::ffff:ffff:ffff:ffff", "198.18.5.9-198.18.5.9"]
GATEWAY = Child(local=("10.1.0.0/16",), remote=("dynamic",))
WHOLE = Selector(bytes((10, 1, 0, 0)), bytes((10, 1, 255, 255)))
ROAMING = Child(local=("10.1.0.0/16",), remote=("0.0.0.0/0",))
ANYONE = Remote(address=("any",), id="right.test", auth=psk())
BROUGHT = ("right", "net c6120909-c6120909")
"""The guard of 198.18.9.9, which some client brought."""


@dataclass
class Told:
    """A plane that only listens."""

    protected: list[Policy] = field(default_factory=list)
    closed: dict[tuple[str, str], Sequence[Selector]] = field(default_factory=dict)

    def policies(self, policies: Sequence[Policy]) -> None:
        self.protected = list(policies)

    def keep_closed(self, peer: str, child: str, remote: Sequence[Selector], *, closed: bool) -> None:
        if closed:
            self.closed[peer, child] = remote
        else:
            self.closed.pop((peer, child), None)


def guards(child: Child, **peer: Any) -> tuple[Guards, Told]:
    made = config("left", Choice("memory", MemoryConfig(address="192.0.2.1")), children={"net": child}, **peer)
    made = replace(made, host=replace(made.host, pools=POOLS))
    plane = Told()
    policy = host_policy(made, registry(), resolve={})
    return Guards(made, policy, cast("Plane", plane), lambda _peer, _handle: True), plane


def begun(child: Child, **peer: Any) -> Told:
    made, plane = guards(child, **peer)
    made.begin(())
    return plane


def leased(handle: int, address: str) -> Standing:
    """A Child SA of somebody who has this address of the pool."""
    whole = Selector(ip_address(address).packed, ip_address(address).packed)
    return Standing(handle, "right", "net", 1, 2, (whole,))


def test_before_a_lease_what_would_leave_is_stopped_and_nothing_that_comes() -> None:
    plane = begun(Child(local=("dynamic",), remote=("10.2.0.0/16",)), request=("ipv4",))
    assert [one.start for one in plane.closed["right", "net"]] == [bytes((10, 2, 0, 0))]
    assert plane.protected == []


def test_a_trap_sees_packets_of_any_source() -> None:
    plane = begun(Child(local=("dynamic",), remote=("10.2.0.0/16",), start="trap"), request=("ipv4",))
    ((local,),) = [one.local for one in plane.protected]
    assert (local.start, local.end) == (bytes(4), b"\xff" * 4)


@pytest.mark.parametrize("local", ["10.1.0.0/16", "0.0.0.0/0"])
def test_a_gateway_closes_its_whole_pool_before_anybody_has_an_address_of_it(local: str) -> None:
    """The fixed address outside the networks too; what comes in clear from one of them is no client's."""
    plane = begun(Child(local=(local,), remote=("dynamic",)), pool="office")
    assert [written(one) for one in plane.closed["right", "net"]] == POOL
    assert [[written(one) for one in policy.remote] for policy in plane.protected] == [POOL]


def test_a_network_beside_leased_addresses_is_closed_and_protected() -> None:
    plane = begun(Child(local=("10.1.0.0/16",), remote=("dynamic", "10.3.0.0/16")), pool="office")
    both = ["10.3.0.0-10.3.255.255", *POOL]
    assert [written(one) for one in plane.closed["right", "net"]] == both
    assert [[written(one) for one in policy.remote] for policy in plane.protected] == [both]


def test_a_pool_that_is_there_after_a_restart_only_closes_nothing() -> None:
    plane = begun(Child(local=("10.1.0.0/16",), remote=("dynamic",)), pool="tomorrow")
    assert plane.closed == {}


def test_the_pool_stays_closed_when_somebody_ends_his_tunnel() -> None:
    made, plane = guards(GATEWAY, pool="office")
    made.begin(())
    made.installed(leased(1, "198.18.0.1"))
    made.removed(leased(1, "198.18.0.1"), confirmed=True)
    assert ("right", "net") in plane.closed


@pytest.mark.parametrize("order", [(True, False), (False, True), (True, True)])
def test_down_opens_the_pool_when_everybody_who_had_an_address_confirmed(order: tuple[bool, bool]) -> None:
    made, plane = guards(GATEWAY, pool="office")
    made.begin(())
    ours = [leased(1, "198.18.0.1"), leased(2, "198.18.0.2")]
    for each in ours:
        made.installed(each)
    made.closing.add(("right", ""))
    for each, confirmed in zip(ours, order, strict=True):
        made.removed(each, confirmed=confirmed)
    assert (("right", "net") in plane.closed) is not all(order)
    assert made.is_open("right") is all(order)


def test_who_comes_after_down_closes_the_pool_again() -> None:
    made, plane = guards(GATEWAY, pool="office")
    made.begin(())
    made.open("right")
    assert plane.closed == {}
    made.installed(leased(1, "198.18.0.1"))
    assert ("right", "net") in plane.closed


def test_a_reload_without_the_connection_opens_the_pool() -> None:
    made, plane = guards(GATEWAY, pool="office")
    made.begin(())
    made.change(*without_children(made))
    assert plane.closed == {}


def test_a_kept_guard_of_one_address_gives_way_to_that_of_its_pool() -> None:
    made, plane = guards(GATEWAY, pool="office")
    kept = ("right", "net c6120001-c6120001")
    plane.closed[kept] = ()
    made.begin([kept])
    assert list(plane.closed) == [("right", "net")]


def test_a_kept_guard_of_a_brought_address_stands_until_an_administrator_opens_it() -> None:
    made, plane = guards(ROAMING, remote=ANYONE)
    plane.closed[BROUGHT] = ()
    made.begin([BROUGHT])
    assert (list(plane.closed), made.is_open("right")) == ([BROUGHT], False)
    made.open("right")
    assert (list(plane.closed), made.is_open("right")) == ([], True)


def test_what_a_client_that_died_had_is_not_called_open() -> None:
    made, plane = guards(ROAMING, remote=ANYONE)
    made.begin(())
    made.installed(leased(1, "198.18.9.9"))
    made.removed(leased(1, "198.18.9.9"), confirmed=False)
    assert (list(plane.closed), made.is_open("right")) == ([BROUGHT], False)


def test_a_reload_without_the_connection_opens_what_its_dead_clients_had() -> None:
    made, plane = guards(ROAMING, remote=ANYONE)
    made.begin(())
    made.installed(leased(1, "198.18.9.9"))
    made.removed(leased(1, "198.18.9.9"), confirmed=False)
    made.change(*without_children(made))
    assert plane.closed == {}


def test_clients_that_come_and_go_leave_nothing_in_memory() -> None:
    made, _ = guards(ROAMING, remote=ANYONE)
    made.begin(())
    for number in range(20):
        made.installed(leased(number, f"198.18.9.{number}"))
        made.removed(leased(number, f"198.18.9.{number}"), confirmed=True)
    made.installed(leased(20, "198.18.9.20"))
    made.closing.add(("right", ""))
    made.removed(leased(20, "198.18.9.20"), confirmed=False)
    assert not made._standing
    assert not made._silent


@pytest.mark.parametrize(("confirmed", "closed"), [(False, [["0.0.0.0-255.255.255.255"]]), (True, [])])
def test_a_reload_from_an_address_to_any_keeps_closed_what_an_sa_still_carries(
    confirmed: bool, closed: list[list[str]]
) -> None:
    """Else it would go in clear when that SA dies; when the peer confirms its end it opens."""
    made, plane = guards(ROAMING)
    made.begin(())
    spec = replace(leased(1, "198.18.9.9"), remote_ts=(Selector(bytes(4), b"\xff" * 4),))
    made.installed(spec)
    roaming = replace(made.config, peers={"right": replace(made.config.peers["right"], remote=ANYONE)})
    made.change(roaming, host_policy(roaming, registry(), resolve={}))
    made.removed(spec, confirmed=confirmed)
    assert [[written(one) for one in remote] for remote in plane.closed.values()] == closed


def without_children(made: Guards) -> tuple[Config, HostPolicy]:
    without = replace(made.config, peers={"right": replace(made.config.peers["right"], children={})})
    return without, host_policy(without, registry(), resolve={})


def written(selector: Selector) -> str:
    return f"{ip_address(selector.start)}-{ip_address(selector.end)}"

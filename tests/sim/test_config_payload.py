"""The Configuration payload between two Fynx hosts in the simulator (RFC 7296 section 2.19)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from fynx.events import AddressAssigned, AddressLeased, AddressRefused, ChildRefused, ChildUp, IkeDown, IkeUp
from fynx.ike.effects import Initiate, InitiateChild, Rekey, Terminate
from fynx.ike.policy import HostPolicy, PeerPolicy, PoolPolicy
from fynx.ike.virtual import DYNAMIC
from fynx.plugin import Identity, Path, Selector
from fynx.sim.node import Node
from tests.sim.rig import (
    ALICE,
    BOB,
    LAN_B,
    Pair,
    host,
    identity,
    lan,
    mirrored,
    network,
    peer_of_alice,
    peer_of_bob,
    policy,
    same_children,
)

RANGE4 = (ip_address("198.18.0.1").packed, ip_address("198.18.0.2").packed)
RANGE6 = (ip_address("fd00:1::1").packed, ip_address("fd00:1::ffff").packed)
LAN6 = network("fd00:2::/64")
OFFICE = PoolPolicy(
    "office",
    (RANGE4, RANGE6),
    dns=(ip_address("10.2.0.53").packed, ip_address("fd00:2::53").packed),
    subnets=((ip_address("10.2.0.0").packed, 16), (ip_address("fd00:2::").packed, 64)),
    domains=("corp.example.org", "lab.example.org"),
    version="Fynx test",
)
ALL_OF_IT = ("ipv4", "ipv6", "dns", "subnets", "split_dns", "version")


def client(*request: Any, **changes: Any) -> PeerPolicy:
    child = lan(local=(DYNAMIC,), remote=(LAN_B, LAN6))
    return peer_of_alice(children=(child,), request=request or ("ipv4",), **changes)


def gateway(pool: PoolPolicy = OFFICE, **changes: Any) -> HostPolicy:
    child = mirrored(lan(local=(DYNAMIC,), remote=(LAN_B, LAN6)))
    return policy(peer_of_bob(children=(child,), pool=pool.name, **changes), pools=(pool,))


def pair(*request: Any, bob: HostPolicy | None = None) -> Pair:
    return Pair(alice=policy(client(*request)), bob=bob or gateway())


def own(text: str) -> Selector:
    packed = ip_address(text).packed
    return Selector(packed, packed)


def test_client_and_gateway_agree_on_the_leased_address_as_selector() -> None:
    both = pair("ipv4")
    both.up()
    same_children(both.alice, both.bob)
    (child,) = both.alice.plane.children.values()
    assert child.spec.local_ts == (own("198.18.0.1"),)
    assert child.spec.remote_ts == (LAN_B,) or set(child.spec.remote_ts) == {LAN_B, LAN6}
    assert child.spec.virtual == (RANGE4[0],)
    (other,) = both.bob.plane.children.values()
    assert other.spec.remote_ts == (own("198.18.0.1"),)
    assert other.spec.virtual == ()


def test_both_families_at_once_with_all_that_goes_with_them() -> None:
    both = pair(*ALL_OF_IT)
    both.up()
    same_children(both.alice, both.bob)
    (child,) = both.alice.plane.children.values()
    assert child.spec.local_ts == (own("198.18.0.1"), own("fd00:1::1"))
    assert child.spec.virtual == (RANGE4[0], RANGE6[0])
    (told,) = both.alice.events_of(AddressAssigned)
    assert told == AddressAssigned(
        "bob",
        ("198.18.0.1", "fd00:1::1"),
        ("10.2.0.53", "fd00:2::53"),
        ("corp.example.org", "lab.example.org"),
        ("10.2.0.0/16", "fd00:2::/64"),
        "Fynx test",
    )
    (leased,) = both.bob.events_of(AddressLeased)
    assert leased == AddressLeased("alice", "alice.example.org", "office", ("198.18.0.1", "fd00:1::1"))
    (seen,) = both.alice.endpoint.snapshot()
    assert seen.virtual_ours
    assert seen.virtual is not None
    assert seen.virtual.show_dns() == told.dns  # type: ignore[attr-defined]


def test_only_what_was_asked_for_is_told() -> None:
    both = pair("ipv4", "dns")
    both.up()
    (told,) = both.alice.events_of(AddressAssigned)
    assert told == AddressAssigned("bob", ("198.18.0.1",), ("10.2.0.53",), (), (), "")


def test_a_fixed_address_per_identity() -> None:
    fixed = {identity("alice.example.org"): (ip_address("198.18.0.99").packed, ip_address("fd00:1::99").packed)}
    both = pair("ipv4", "ipv6", bob=gateway(replace(OFFICE, fixed=fixed)))
    both.up()
    (child,) = both.alice.plane.children.values()
    assert child.spec.local_ts == (own("198.18.0.99"), own("fd00:1::99"))


def test_the_lease_is_given_back_when_the_client_leaves_and_found_again() -> None:
    both = pair("ipv4")
    both.up()
    assert both.bob.pools.status()["office"] == {"online": 1, "kept": 0}
    both.alice.command(Terminate())
    both.settle()
    assert both.bob.pools.status()["office"] == {"online": 0, "kept": 1}
    both.initiate()
    both.settle()
    (child,) = both.alice.plane.children.values()
    assert child.spec.local_ts == (own("198.18.0.1"),)
    assert both.bob.pools.status()["office"] == {"online": 1, "kept": 0}


def test_a_client_that_starts_afresh_keeps_its_address_and_counts_once() -> None:
    both = pair("ipv4", bob=gateway(remote=(ip_network("192.0.2.0/24"),)))
    both.up()
    fresh = both.world.add(host("alice again", "192.0.2.200", policy(client("ipv4"))))
    both.alice.alive = False
    fresh.command(Initiate("bob", Path("192.0.2.200", 500, BOB, 500)))
    both.settle()
    assert len(fresh.events_of(ChildUp)) == 1
    assert both.bob.pools.status()["office"] == {"online": 1, "kept": 0}
    (child,) = fresh.plane.children.values()
    assert child.spec.virtual == (RANGE4[0],)


@pytest.mark.parametrize("side", ["alice", "bob"])
def test_the_lease_outlives_rekeys_of_both_kinds_by_either_side(side: str) -> None:
    both = pair("ipv4", "ipv6")
    both.up()
    name = {"alice": "bob", "bob": "alice"}[side]
    node: Node = getattr(both, side)
    for what in ("lan", "", "lan"):
        node.command(Rekey(name, what))
        both.settle(5.0)
    for each in (both.alice, both.bob):
        (sa,) = each.endpoint.snapshot()
        assert sa.virtual is not None
        assert [child.state for child in sa.children] == ["active"]
    (specs,) = both.alice.endpoint.snapshot()
    assert specs.children[0].local == ("198.18.0.1/32", "fd00:1::1/128")
    assert both.bob.pools.status()["office"] == {"online": 1, "kept": 0}
    both.alice.command(Terminate())
    both.settle()
    assert both.bob.pools.status()["office"] == {"online": 0, "kept": 1}


def test_both_sides_rekey_the_ike_sa_at_once_and_the_lease_goes_back_once() -> None:
    both = pair("ipv4")
    both.up()
    both.alice.command(Rekey("bob"))
    both.bob.command(Rekey("alice"))
    both.settle(120.0)
    assert both.bob.pools.status()["office"] == {"online": 1, "kept": 0}
    both.alice.command(Terminate())
    both.settle(10.0)
    assert both.bob.pools.status()["office"] == {"online": 0, "kept": 1}


def test_reauthentication_keeps_the_address_and_the_lease() -> None:
    both = Pair(alice=policy(client("ipv4", "ipv6", reauth_s=60.0)), bob=gateway())
    both.up()
    (before,) = both.alice.endpoint.snapshot()
    both.settle(150.0)
    (after,) = both.alice.endpoint.snapshot()
    assert after.spi_i != before.spi_i
    assert [child.local for child in after.children] == [("198.18.0.1/32", "fd00:1::1/128")]
    assert both.bob.pools.status()["office"] == {"online": 1, "kept": 0}


def test_a_child_made_later_uses_the_address_too() -> None:
    extra = replace(lan(local=(DYNAMIC,), remote=(network("10.3.0.0/16"),)), name="more", start="none")
    alice = client("ipv4")
    alice = replace(alice, children=(*alice.children, extra))
    bob = gateway()
    (peer,) = bob.peers
    bob = replace(bob, peers=(replace(peer, children=(*peer.children, mirrored(extra))),))
    both = Pair(alice=policy(alice), bob=bob)
    both.up()
    both.alice.command(InitiateChild("bob", "more"))
    both.settle()
    (sa,) = both.bob.endpoint.snapshot()
    assert [(child.name, child.remote) for child in sa.children] == [
        ("lan", ("198.18.0.1/32",)),
        ("more", ("198.18.0.1/32",)),
    ]


def crowd(count: int, bob: HostPolicy) -> tuple[Pair, list[Node]]:
    """Several clients of one gateway, each with an identity and an outer address of its own."""
    both = Pair(alice=policy(client("ipv4")), bob=bob)
    nodes = []
    for number in range(count):
        address, name = f"192.0.2.{100 + number}", identity(f"c{number}.example.org")
        node = both.world.add(host(f"c{number}", address, policy(client("ipv4", local_id=name))))
        node.command(Initiate("bob", Path(address, 500, BOB, 500)))
        both.settle()
        nodes.append(node)
    return both, nodes


def anyone() -> HostPolicy:
    return gateway(remote_id=None, remote=(ip_network("192.0.2.0/24"),))


def test_c20_an_empty_pool_fails_the_child_and_not_the_ike_sa() -> None:
    both, nodes = crowd(3, anyone())
    assert [len(node.plane.children) for node in nodes] == [1, 1, 0]
    late = nodes[2]
    assert len(late.events_of(IkeUp)) == 1
    (sa,) = late.endpoint.snapshot()
    assert (sa.state, sa.children) == ("established", ())
    (refused,) = late.events_of(ChildRefused)
    assert refused.notify == "INTERNAL_ADDRESS_FAILURE"  # type: ignore[attr-defined]
    assert late.events_of(AddressRefused)
    assert [event.identity for event in both.bob.events_of(AddressRefused)] == ["c2.example.org"]  # type: ignore[attr-defined]
    assert both.bob.pools.status()["office"]["online"] == 2
    late.command(Terminate())
    both.settle()
    assert both.bob.pools.status()["office"]["online"] == 2


def test_c20_an_address_that_came_back_is_there_for_the_next_attempt() -> None:
    both, nodes = crowd(3, anyone())
    nodes[0].command(Terminate())
    nodes[2].command(Terminate())
    both.settle()
    nodes[2].command(Initiate("bob", Path("192.0.2.102", 500, BOB, 500)))
    both.settle()
    (child,) = nodes[2].plane.children.values()
    assert child.spec.local_ts == (own("198.18.0.1"),)


def test_clients_of_one_gateway_have_different_addresses() -> None:
    _, nodes = crowd(2, anyone())
    found = [child.spec.virtual for node in nodes for child in node.plane.children.values()]
    assert found == [(RANGE4[0],), (RANGE4[1],)]


def test_a_client_that_does_not_ask_gets_no_child_that_needs_an_address() -> None:
    both = Pair(alice=policy(peer_of_alice()), bob=gateway())
    both.initiate()
    both.settle()
    (refused,) = both.alice.events_of(ChildRefused)
    assert refused.notify == "FAILED_CP_REQUIRED"  # type: ignore[attr-defined]
    assert [sa.state for sa in both.alice.endpoint.snapshot()] == ["established"]


def test_a_gateway_without_pools_says_nothing_and_the_client_has_no_child() -> None:
    both = Pair(alice=policy(client("ipv4")), bob=policy(peer_of_bob(children=(mirrored(lan(local=(LAN_B,))),))))
    both.initiate()
    both.settle()
    assert both.alice.events_of(ChildRefused)
    assert not both.alice.plane.children
    assert [sa.state for sa in both.alice.endpoint.snapshot()] == ["established"]


def test_the_gateway_may_not_make_a_child_for_an_address_that_it_did_not_lease() -> None:
    """The client answers as responder of IKE_AUTH: nothing was leased, so ``dynamic`` matches nothing."""
    alice = policy(client("ipv4"))
    asking = replace(lan(local=(LAN_B,), remote=(network("0.0.0.0/0"),)), name="lan")
    bob = policy(peer_of_bob(children=(asking,)))
    both = Pair(alice=alice, bob=bob)
    both.bob.command(Initiate("alice", Path(BOB, 500, ALICE, 500)))
    both.settle()
    assert both.bob.events_of(ChildRefused)
    assert not both.alice.plane.history


def test_a_lease_that_comes_when_its_sa_is_gone_goes_back() -> None:
    both = Pair(alice=policy(client("ipv4")), bob=gateway(), work_s=0.05)
    both.initiate()
    assert both.world.run(5.0, lambda: both.bob.pools.status()["office"]["online"] == 1)
    both.bob.command(Terminate())
    both.settle(3.0)
    assert both.bob.pools.status()["office"]["online"] == 0


def test_identities_of_different_types_with_the_same_text_have_leases_of_their_own() -> None:
    both = pair("ipv4")
    pools = both.bob.pools
    assert (
        pools.lease("office", Identity(2, b"a.test"), (4,)).addresses
        != pools.lease("office", Identity(11, b"a.test"), (4,)).addresses
    )


def test_who_wants_the_child_again_begins_afresh_because_only_ike_auth_leases() -> None:
    both, nodes = crowd(3, anyone())
    late = nodes[2]
    nodes[0].command(Terminate())
    both.settle()
    late.command(InitiateChild("bob", "lan"))
    both.settle()
    assert late.endpoint.snapshot() == ()
    assert late.events_of(IkeDown)
    late.command(Initiate("bob", Path("192.0.2.102", 500, BOB, 500)))
    both.settle()
    assert len(late.plane.children) == 1

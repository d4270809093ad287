"""The IKE SAs of one peer that takes anybody: those of one identity are found without looking at the others."""

from __future__ import annotations

import pytest

from fynx.ike.effects import Initiate
from fynx.ike.endpoint import Endpoint
from fynx.ike.listed import Listed
from fynx.ike.sa import IkeSa
from fynx.plugin import Identity, Path
from fynx.sim.node import Node
from fynx.sim.trace import NoTrace
from fynx.sim.world import World
from tests.sim.cheap import CHEAP
from tests.sim.rig import BOB, host, identity, lan, mirrored, network, peer_of_alice, peer_of_bob, policy
from tests.work import calls

FEW, MANY = 3, 60
CAROL, DAVE = identity("carol.example.org"), identity("dave.example.org")


def gateway(clients: int) -> Node:
    """A gateway with one peer for all, and clients that are up, each with an identity of its own."""
    world = World("road", trace=NoTrace())
    anybody = mirrored(lan(local=(network("10.0.0.0/8"),)))
    road = policy(peer_of_bob(remote=(), remote_id=None, children=(anybody,), liveness_s=None), half_open_per_source=99)
    hub = world.add(host("hub", BOB, road, algorithms=CHEAP))
    for number in range(clients):
        address, own = f"198.18.0.{number + 1}", identity(f"c{number}.example.org")
        inside = lan(local=(network(f"10.1.{number}.0/24"),))
        told = peer_of_alice(name="hub", local_id=own, children=(inside,), liveness_s=None)
        client = world.add(host(f"c{number}", address, policy(told), algorithms=CHEAP))
        client.command(Initiate("hub", Path(address, 500, BOB, 500)))
        world.run(0.2)
    assert len(hub.endpoint.by_peer["alice"]) == clients
    return hub


def work(clients: int) -> int:
    """What it takes to find those beside the first of so many."""
    endpoint = gateway(clients).endpoint
    first = next(iter(endpoint.by_peer["alice"]))
    assert endpoint.siblings(first) == ()
    return calls(lambda: endpoint.siblings(first))


def test_what_stands_with_other_identities_costs_an_ike_sa_nothing() -> None:
    assert work(FEW) == work(MANY)


@pytest.fixture
def endpoint() -> Endpoint:
    return gateway(FEW).endpoint


def made(endpoint: Endpoint, proved: Identity | None) -> IkeSa:
    sa = endpoint.new_initiator(endpoint.peers.by_name["alice"], Path(BOB, 500, "198.18.0.99", 500), ())
    sa.remote_id = proved
    return sa


def test_those_of_one_identity_are_found_in_the_order_in_which_they_came_up(endpoint: Endpoint) -> None:
    standing = Listed()
    sas = [made(endpoint, (CAROL, DAVE)[number % 2]) for number in range(6)]
    for sa in sas:
        standing.add(sa)
    assert [*standing] == sas
    assert [*reversed(standing)] == sas[::-1]
    assert standing.beside(sas[2]) == (sas[0], sas[4])
    assert standing.beside(made(endpoint, CAROL)) == (sas[0], sas[2], sas[4])
    assert standing.beside(made(endpoint, identity("nobody.example.org"))) == ()


def test_who_has_proved_no_identity_yet_has_all_beside_it(endpoint: Endpoint) -> None:
    assert len(endpoint.siblings(made(endpoint, None))) == FEW


def test_nothing_is_left_of_identities_that_went(endpoint: Endpoint) -> None:
    standing = endpoint.by_peer["alice"]
    for sa in [*standing]:
        assert sa in standing
        endpoint.drop(sa, "gone")
        assert sa not in standing
    assert not standing
    assert standing._by_identity == {}

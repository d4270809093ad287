"""Which peers an address may belong to."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from fynx.ike.admission import REMEMBERED, Peers
from tests.sim.rig import peer_of_alice

ANYONE = replace(peer_of_alice(), name="anyone", remote=())
NAMED = replace(peer_of_alice(), name="named", remote=(ip_network("192.0.2.7/32"),))


def names(peers: Peers, address: str) -> list[str]:
    return [policy.name for policy in peers.at(address)]


def test_an_address_that_was_looked_up_before_follows_the_name_that_moves() -> None:
    peers = Peers((ANYONE, NAMED))
    assert names(peers, "192.0.2.7") == ["named", "anyone"]
    assert names(peers, "192.0.2.8") == ["anyone"]
    peers.resolved("named", (ip_network("192.0.2.8/32"),))
    assert names(peers, "192.0.2.7") == ["anyone"]
    assert names(peers, "192.0.2.8") == ["named", "anyone"]


def test_what_is_remembered_of_addresses_is_bounded() -> None:
    peers = Peers((ANYONE,))
    for number in range(REMEMBERED + 10):
        peers.at(f"198.18.{number >> 8}.{number & 255}")
    assert len(peers._found) <= REMEMBERED

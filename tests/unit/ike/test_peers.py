"""Which peers an address may belong to."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from fynx.ike.admission import REMEMBERED, Peers
from fynx.ike.policy import Candidates
from fynx.plugin.auth import Identity
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


def test_addresses_that_may_belong_to_the_same_peers_share_what_is_known_of_them() -> None:
    peers = Peers((ANYONE, NAMED))
    assert peers.at("192.0.2.8") is peers.at("192.0.2.9")
    assert peers.at("192.0.2.7") is not peers.at("192.0.2.8")


def test_whoever_names_the_identity_comes_before_those_that_take_anybody() -> None:
    alice, bob, carol = (Identity(2, name) for name in (b"alice.example", b"bob.example", b"carol.example"))
    policies = [
        replace(ANYONE, name=name, local_id=ours, remote_id=theirs)
        for name, ours, theirs in (("a", bob, None), ("b", bob, alice), ("c", alice, None), ("d", bob, carol))
    ]
    found = Candidates(policies)
    assert [one.name for one in found.of(alice)] == ["b", "a"]  # "c" is alice: that would be its own reflection
    assert [one.name for one in found.of(bob)] == ["c"]
    assert [one.name for one in found.of(carol)] == ["d", "a", "c"]


def test_what_candidates_have_in_common_is_the_most_careful() -> None:
    plain = replace(ANYONE, encap="auto", fragmentation=False, fragment_size=600, childless=True)
    wide = replace(ANYONE, encap="always", fragmentation=True, fragment_size=1280, childless=False)
    mixed, alone = Candidates((plain, wide)), wide.alone
    assert (mixed.encapsulates, mixed.fragmentation, mixed.fragment_size, mixed.childless) == (False, False, 600, True)
    assert (alone.encapsulates, alone.fragmentation, alone.fragment_size, alone.childless) == (True, True, 1280, False)

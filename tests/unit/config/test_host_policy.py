"""The configuration as the protocol core is told it: ``fynx.run.policy``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import pytest

from fynx.config import Config
from fynx.errors import ConfigError
from fynx.ike.policy import ChildPolicy, HostPolicy, PeerPolicy, Retransmission
from fynx.plugin.auth import Identity
from fynx.run.policy import MOST_ADDRESSES, NOWHERE, host_policy, static_policies
from fynx.wire.iana import IdType
from tests.unit.config.support import GOOD, SECRET, changed, loaded, registry

RESOLVED = {"vpn.example.net": ("198.51.100.7", "2001:db8::7")}


def policy(text: str = GOOD, resolve: Mapping[str, tuple[str, ...]] = RESOLVED) -> HostPolicy:
    return host_policy(loaded(text), registry(), resolve=resolve)


def peer(text: str = GOOD, resolve: Mapping[str, tuple[str, ...]] = RESOLVED) -> PeerPolicy:
    (only,) = policy(text, resolve).peers
    return only


def test_a_peer_has_its_identities_proposals_and_children() -> None:
    hq = peer()
    assert hq.name == "hq"
    assert hq.local_id == Identity(IdType.ID_RFC822_ADDR, b"branch@example.net")
    assert hq.remote_id == Identity(IdType.ID_FQDN, b"hq.example.net")
    assert [len(one.transforms) for one in hq.ike] == [3, 3]
    assert [one.name for one in hq.children] == ["lan"]
    assert hq.children[0].local[0].start == bytes([10, 1, 0, 0])
    assert hq.remote_auth.method == "psk"
    secret: Any = hq.remote_auth.config
    assert secret.secret.reveal() == SECRET.encode()
    assert SECRET not in repr(hq)


def test_names_become_the_addresses_that_were_resolved() -> None:
    assert peer().remote == (IPv4Network("198.51.100.7/32"), IPv6Network("2001:db8::7/128"))


def test_a_name_without_address_lets_nobody_in() -> None:
    assert peer(resolve={}).remote == (NOWHERE,)


def test_the_addresses_of_one_name_are_bounded() -> None:
    many = tuple(f"198.51.100.{number}" for number in range(200))
    assert len(peer(resolve={"vpn.example.net": many}).remote) == MOST_ADDRESSES


def test_any_is_an_empty_list_and_waits() -> None:
    text = (
        changed("address: vpn.example.net", "address: any")
        .replace("start:  initiate", "")
        .replace(", start: initiate", "")
    )
    assert peer(text).remote == ()
    assert peer(text).children[0].start == "none"


def test_an_identity_of_any_accepts_all_and_sends_no_idr() -> None:
    road = peer(changed("id: hq.example.net", "id: any"))
    assert road.remote_id is None
    assert road.send_idr is False


@pytest.mark.parametrize(
    ("peer_says", "child_says", "expected"),
    [
        ("", "", "initiate"),
        ("start: trap", "", "trap"),
        ("start: trap", ", start: none", "none"),
        ("", ", start: trap", "trap"),
    ],
)
def test_a_child_starts_as_it_says_else_as_its_peer_says(peer_says: str, child_says: str, expected: str) -> None:
    text = changed("start:  initiate", peer_says).replace(", start: initiate", child_says)
    assert peer(text).children[0].start == expected


@pytest.mark.parametrize(
    ("transport", "own", "expected"),
    [
        ("always", "", "always"),
        ("auto", "", "auto"),
        ("auto", "encap: always", "always"),
        ("always", "encap: auto", "auto"),
    ],
)
def test_encapsulation_is_the_peers_else_the_transports(transport: str, own: str, expected: str) -> None:
    text = changed("encap: always", f"encap: {transport}").replace("start:  initiate", own)
    assert peer(text).encap == expected


def test_limits_and_times_reach_the_core() -> None:
    text = changed("plane: {inproc: {}}", "plane: inproc\n  cookie_threshold: 0\n  half_open_s: 5\n  keylog: k")
    text = text.replace(
        "start:  initiate", "liveness_s: null\n    retransmission: {base_s: 1, tries: 3}\n    unique: never"
    )
    told = policy(text)
    assert (told.cookie_threshold, told.half_open_s, told.keylog) == (0, 5.0, True)
    assert told.peers[0].liveness_s is None
    assert told.peers[0].retransmission == Retransmission(1.0, 1.8, 3, 0.1)
    assert told.peers[0].unique == "never"


def test_defaults_of_the_file_and_of_the_core_agree() -> None:
    text = changed("start:  initiate", "").replace(", start: initiate", "")
    made = peer(text)
    plain = PeerPolicy(
        made.name,
        made.remote,
        made.local_id,
        made.remote_id,
        made.local_auth,
        made.remote_auth,
        made.ike,
        made.children,
    )
    assert made == plain
    child = made.children[0]
    assert child == ChildPolicy(child.name, child.local, child.remote, child.esp)
    given = policy(text)
    assert given == HostPolicy(given.peers)


def test_static_policies_cover_all_where_nothing_is_written() -> None:
    (bypass,) = static_policies(loaded(GOOD))
    assert (bypass.action, bypass.priority) == ("bypass", 10)
    assert [len(one.start) for one in bypass.local] == [4, 16]
    assert bypass.remote[0].start == bytes([192, 0, 2, 10])


def test_a_configuration_that_was_made_by_hand_is_checked_again() -> None:
    good = loaded(GOOD)
    bad: Config = replace(good, peers={"hq": replace(good.peers["hq"], ike=("rot13",))})
    with pytest.raises(ConfigError) as caught:
        host_policy(bad, registry(), resolve={})
    (problem,) = caught.value.problems
    assert problem.path == "peers.hq.ike[0]"
    assert "unknown word 'rot13'" in problem.what
    assert "x25519" in GOOD.splitlines()[problem.line - 1]

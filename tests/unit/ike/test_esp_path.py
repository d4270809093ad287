"""In UDP or as IP protocol 50: what the core tells the plane of a Child SA's path (RFC 7296 section 2.23)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fynx.events import NatDetected
from fynx.ike.effects import Move
from fynx.ike.upkeep import path_seen
from fynx.plugin import ChildSpec, Path
from tests.unit.ike.pair import LEFT, RIGHT, Pair, Side

BARE = Path(LEFT, 0, RIGHT, 0)
IN_UDP = Path(LEFT, 4500, RIGHT, 4500)


def pair(left: str = "auto", right: str = "auto", *, raw: bool = True) -> Pair:
    made = Pair(left={"encap": left}, right={"encap": right})
    for side in (made.left, made.right):
        side.endpoint.policy = replace(side.endpoint.policy, raw_esp=raw)
    made.up()
    return made


def child(side: Side) -> ChildSpec:
    (spec,) = side.installed.values()
    return spec


def moves(side: Side, *paths: Path) -> list[Move]:
    side.effects.clear()
    for path in paths:
        path_seen(side.endpoint, child(side).handle, path)
    return [effect for effect in side.endpoint.effects() if isinstance(effect, Move)]


def test_without_a_nat_esp_has_no_ports_and_ike_stays_on_500() -> None:
    made = pair()
    assert (child(made.left).path, child(made.left).encap) == (BARE, False)
    assert (child(made.right).path.local_port, child(made.right).encap) == (0, False)
    assert not any(isinstance(event, NatDetected) for event in made.left.events + made.right.events)


@pytest.mark.parametrize(("left", "right"), [("always", "auto"), ("auto", "always"), ("always", "always")])
def test_one_side_that_forces_udp_puts_both_into_udp(left: str, right: str) -> None:
    made = pair(left, right)
    assert child(made.left).encap
    assert child(made.right).encap
    assert child(made.left).path == IN_UDP


def test_a_host_without_raw_sockets_stays_in_udp() -> None:
    made = pair(raw=False)
    assert (child(made.left).path, child(made.left).encap) == (IN_UDP, True)


def test_a_peer_that_begins_to_encapsulate_is_followed_into_udp() -> None:
    left = pair().left
    handle = child(left).handle
    assert moves(left, IN_UDP) == [Move(handle, IN_UDP, encap=True)]
    assert moves(left, BARE) == [], "plain packets on their way move nothing back"
    other = Path(LEFT, 4500, RIGHT, 61000)
    assert moves(left, other) == [Move(handle, other, encap=True)], "behind a NAT it may change its port"


def test_plain_or_foreign_packets_move_nothing() -> None:
    left = pair().left
    assert moves(left, BARE, Path(LEFT, 0, "203.0.113.9", 0), Path(LEFT, 4500, "203.0.113.9", 4500)) == []
    assert moves(pair("always").left, BARE) == []

"""Traffic selectors between two ends (RFC 7296 sections 2.9 and 3.13.1): narrowed, several, and in SAs of their own."""

from __future__ import annotations

from typing import Any

import pytest

from fynx.events import ChildDiffers, ChildRefused
from fynx.ike.effects import Initiate, InitiateChild, Rekey, TerminateChild
from fynx.plugin import Path, Selector
from fynx.wire.iana import NotifyType
from fynx.wire.payload import NotifyPayload, TsPayload
from tests.sim.forge import AUTH, CREATE, Bench, Script, child_request, errors, notifies
from tests.sim.rig import (
    ALICE,
    BOB,
    LAN_A,
    LAN_B,
    Pair,
    lan,
    mirrored,
    network,
    peer_of_alice,
    peer_of_bob,
    policy,
    same_children,
)

MORE, SINGLE = NotifyType.ADDITIONAL_TS_POSSIBLE, NotifyType.SINGLE_PAIR_REQUIRED
ECHO = (8 << 8, 8 << 8 | 255)
PING_ONLY = (8 << 8, 8 << 8)
HTTPS, RANGE = network("10.2.0.0/16", 6, (443, 443)), network("10.2.0.0/16", 17, (5000, 6000))
NARROWED = {
    "a protocol": ((LAN_B,), (network("10.2.0.0/16", 6),), (network("10.2.0.0/16", 6),)),
    "a port": ((network("10.2.0.0/16", 6),), (HTTPS,), (HTTPS,)),
    "a range of ports": (
        (network("10.2.0.0/16", 17, (5500, 7000)),),
        (RANGE,),
        (network("10.2.0.0/16", 17, (5500, 6000)),),
    ),
    "an ICMP type": (
        (network("10.2.0.0/16", 1),),
        (network("10.2.0.0/16", 1, ECHO),),
        (network("10.2.0.0/16", 1, ECHO),),
    ),
    "an ICMP type and code": (
        (network("10.2.0.0/16", 1, ECHO),),
        (network("10.2.0.0/16", 1, PING_ONLY),),
        (network("10.2.0.0/16", 1, PING_ONLY),),
    ),
    "several at once": ((LAN_B,), (HTTPS, RANGE), (HTTPS, RANGE)),
    "some of several": ((HTTPS, RANGE), (network("10.2.5.0/24", 17),), (network("10.2.5.0/24", 17, (5000, 6000)),)),
}


def both_ends(asks: Any, takes: Any) -> Pair:
    return Pair(
        alice=policy(peer_of_alice(children=(lan(remote=asks),))),
        bob=policy(peer_of_bob(children=(mirrored(lan(remote=takes)),))),
    )


@pytest.mark.parametrize("name", NARROWED)
def test_both_ends_hold_what_both_want(name: str) -> None:
    """SA, TSi, TSr = asked --> <-- SA, TSi, TSr = the part that policy takes"""
    asks, takes, wanted = NARROWED[name]
    both = both_ends(asks, takes)
    both.up()
    same_children(both.alice, both.bob)
    (child,) = both.alice.plane.children.values()
    assert child.spec.remote_ts == wanted


def test_several_children_with_ports_stand_beside_each_other() -> None:
    children = (lan(name="web", remote=(HTTPS,)), lan(name="call", remote=(RANGE,)), lan(name="rest", remote=(LAN_B,)))
    both = Pair(
        alice=policy(peer_of_alice(children=children)),
        bob=policy(peer_of_bob(children=tuple(mirrored(one) for one in children))),
    )
    both.up()
    both.settle(5.0)
    same_children(both.alice, both.bob)
    found = {one.spec.child: one.spec.remote_ts for one in both.alice.plane.children.values()}
    assert found == {"web": (HTTPS,), "call": (RANGE,), "rest": (LAN_B,)}


# ADDITIONAL_TS_POSSIBLE.

WEB, DB = network("10.2.1.0/24"), network("10.2.2.0/24")
PARTS = (lan(name="web", remote=(WEB,)), lan(name="db", remote=(DB,)))
BOTH_PARTS = policy(peer_of_bob(children=tuple(mirrored(one) for one in PARTS)))
POSSIBLE = {
    "another child would take the rest": (LAN_B, True),
    "all is granted": (WEB, False),
    "the rest is nobody's": (network("10.2.0.0/23"), False),
}


@pytest.mark.parametrize("name", POSSIBLE)
def test_the_responder_says_when_the_rest_is_to_be_had_in_another_sa(name: str) -> None:
    """SA, TSi, TSr = 10.2.0.0/16 --> <-- N(ADDITIONAL_TS_POSSIBLE), SA, TSi, TSr = 10.2.1.0/24"""
    asked, more = POSSIBLE[name]
    bench = Bench("responder", BOTH_PARTS)
    script = bench.authenticating()
    answer = script.request(AUTH, script.auth_payloads(tsr=(asked,)))
    assert not errors(answer)
    assert (MORE in notifies(answer)) is more
    (child,) = bench.node.plane.children.values()
    assert child.spec.local_ts == (WEB,)


def packet(near: str, far: str) -> tuple[Selector, Selector]:
    return network(near, 6, (4000, 4000)), network(far, 6, (443, 443))


def up_with(both: Pair, near: str, far: str) -> None:
    """A packet brings the tunnel up."""
    path = Path(ALICE, 500, BOB, 500)
    both.alice.command(Initiate("bob", path, packets={"lan": packet(near, far)}))
    assert both.world.run(60.0, both.is_up)
    both.settle()


def test_the_initiator_tells_and_asks_again_with_the_packet_that_does_not_fit() -> None:
    both = Pair(bob=BOTH_PARTS)
    up_with(both, "10.1.0.1", "10.2.1.9")
    (told,) = both.alice.events_of(ChildDiffers)
    assert (told.notify, "10.2.1.0/24" in told.reason) == ("ADDITIONAL_TS_POSSIBLE", True)
    both.alice.command(InitiateChild("bob", "lan", packet("10.1.0.1", "10.2.1.7")))
    both.settle()
    assert len(both.alice.plane.children) == 1, "what stands takes this one"
    both.alice.command(InitiateChild("bob", "lan", packet("10.1.0.1", "10.2.2.7")))
    both.settle()
    same_children(both.alice, both.bob)
    assert [one.spec.remote_ts for one in both.alice.plane.children.values()] == [(WEB,), (DB,)]
    assert [one.spec.child for one in both.bob.plane.children.values()] == ["web", "db"]


def test_a_packet_that_nobody_takes_is_asked_for_once_and_leaves_nothing() -> None:
    both = Pair(bob=BOTH_PARTS)
    up_with(both, "10.1.0.1", "10.2.1.9")
    for _ in range(3):
        both.alice.command(InitiateChild("bob", "lan", packet("10.1.0.1", "10.2.9.9")))
        both.settle(90.0)
    assert len(both.alice.plane.history) == 2
    assert [one.spec.remote_ts for one in both.alice.plane.children.values()] == [(WEB,)]
    same_children(both.alice, both.bob)


# SINGLE_PAIR_REQUIRED.

ONE_EACH = policy(peer_of_bob(children=(mirrored(lan(single_pair=True)),)))
PAIR = (network("10.1.0.1/32"),), (network("10.2.0.9/32"),)


def test_a_policy_of_single_pairs_refuses_who_does_not_say_which() -> None:
    """SA, TSi = 10.1.0.0/16, TSr = 10.2.0.0/16 --> <-- N(SINGLE_PAIR_REQUIRED)"""
    bench = Bench("responder", ONE_EACH)
    script = bench.authenticating()
    assert errors(script.request(AUTH, script.auth_payloads())) == [SINGLE]
    assert bench.state() == "established"
    assert not bench.node.plane.history
    (event,) = bench.node.events_of(ChildRefused)
    assert (event.notify, "pair" in event.reason) == ("SINGLE_PAIR_REQUIRED", True)


@pytest.mark.parametrize("exchange", ["IKE_AUTH", "CREATE_CHILD_SA"])
def test_a_policy_of_single_pairs_grants_the_pair_of_the_packet(exchange: str) -> None:
    """TSi = (10.1.0.1[tcp/4000], 10.1.0.0/16), TSr = … --> <-- N(ADDITIONAL_TS_POSSIBLE), TSi = 10.1.0.1, TSr = …"""
    bench = Bench("responder", ONE_EACH)
    script = bench.authenticating()
    near, far = packet("10.1.0.1", "10.2.0.9")
    if exchange == "IKE_AUTH":
        answer = script.request(AUTH, script.auth_payloads(tsi=(near, LAN_A), tsr=(far, LAN_B)))
    else:
        script.request(AUTH, script.auth_payloads())
        request = child_request(script)
        answer = script.request(CREATE, [*request[:2], script.ts((near, LAN_A), True), script.ts((far, LAN_B), False)])
    assert MORE in notifies(answer)
    (child,) = bench.node.plane.children.values()
    assert (child.spec.remote_ts, child.spec.local_ts) == PAIR


def refused(packets: Any) -> tuple[Bench, Script]:
    """HDR, SK {IDi, AUTH, SA, TSi, TSr} --> <-- HDR, SK {IDr, AUTH, N(SINGLE_PAIR_REQUIRED)}"""
    bench = Bench("initiator")
    bench.node.command(Initiate("bob", Path(ALICE, 500, BOB, 500), packets=packets))
    bench.world.run(0.1)
    script = bench.script
    script.respond_init(script.hear(script.one()))
    script.one()
    script.send(script.sealed(AUTH, [*script.auth_payloads()[:2], NotifyPayload(SINGLE)], 1, response=True))
    return bench, script


def test_an_initiator_with_a_packet_asks_for_its_pair_alone() -> None:
    """N(SINGLE_PAIR_REQUIRED); then HDR, SK {SA, Ni, TSi = 10.1.0.1, TSr = 10.2.0.9} -->"""
    bench, script = refused({"lan": packet("10.1.0.1", "10.2.0.9")})
    request = script.opened(script.one())
    selectors = [one.selectors for one in request if isinstance(one, TsPayload)]
    assert selectors == [script.ts(side, True).selectors for side in PAIR]
    script.send(script.sealed(CREATE, [NotifyPayload(SINGLE)], 2, response=True))
    bench.world.run(5.0)
    assert not script.received(), "once"
    assert [event.notify for event in bench.node.events_of(ChildRefused)] == ["SINGLE_PAIR_REQUIRED"]


def test_an_initiator_without_a_packet_is_told_what_to_write() -> None:
    bench, script = refused({})
    bench.world.run(5.0)
    assert not script.received()
    (event,) = bench.node.events_of(ChildRefused)
    assert (event.notify, "start: trap" in event.remedy) == ("SINGLE_PAIR_REQUIRED", True)
    assert bench.state() == "established"


def test_each_pair_gets_its_sa_keeps_it_through_a_rekey_and_all_go_together() -> None:
    both = Pair(bob=ONE_EACH)
    up_with(both, "10.1.0.1", "10.2.0.9")
    both.alice.command(InitiateChild("bob", "lan", packet("10.1.0.2", "10.2.0.8")))
    both.settle()
    for node, peer in ((both.alice, "bob"), (both.bob, "alice")):
        node.command(Rekey(peer, "lan"))
        both.settle(90.0)
    same_children(both.alice, both.bob)
    found = {(one.spec.local_ts, one.spec.remote_ts) for one in both.alice.plane.children.values()}
    assert found == {PAIR, ((network("10.1.0.2/32"),), (network("10.2.0.8/32"),))}
    both.alice.command(TerminateChild("bob", "lan"))
    both.settle(90.0)
    assert not both.alice.plane.children
    assert not both.bob.plane.children

"""ESP that one side lost (RFC 7296 section 1.5), children that carry nothing, the packet that asks (2.9)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fynx.events import ChildDown, ChildRekeyed, ChildUp, IkeDown, NotifyReceived, PeerDead
from fynx.ike.effects import Initiate, InitiateChild, Terminate
from fynx.ike.policy import Retransmission
from fynx.plugin import Path
from fynx.sim.node import Node
from tests.sim.rig import ALICE, BOB, LAN_A, LAN_B, Pair, lan, mirrored, network, peer_of_alice, peer_of_bob, policy

PACKET = (network("10.1.0.7/32", 6, (40000, 40000)), network("10.2.0.9/32", 6, (443, 443)))


def handle_of(node: Node) -> int:
    ((handle, _),) = node.plane.children.items()
    return handle


def told(node: Node) -> list[str]:
    return [event.notify for event in node.events if isinstance(event, NotifyReceived)]


def up(**child: object) -> Pair:
    one = lan(**child)
    made = Pair(
        alice=policy(peer_of_alice(children=(one,), liveness_s=None)),
        bob=policy(peer_of_bob(children=(mirrored(lan()),), liveness_s=None)),
    )
    made.up()
    return made


def test_esp_that_the_peer_lost_is_told_once_and_healed_by_a_rekey() -> None:
    # ESP  -->  <--  SK {N(INVALID_SPI)};  SK {N(REKEY_SA)}  -->  <--  SK {N(CHILD_SA_NOT_FOUND)};  a new child
    both = up()
    (lost,) = both.bob.plane.children
    (sa,) = both.bob.endpoint.sas.values()
    del both.bob.plane.children[lost]
    del both.bob.endpoint.handles[lost], sa.children[lost]
    for _ in range(5):
        both.alice.send_packet(1, b"lost")
    both.settle()
    assert told(both.alice) == ["INVALID_SPI"]
    assert both.bob.endpoint.counters()["invalid_spi_sent"] == 1
    assert both.alice.endpoint.counters()["hint_invalid_spi"] == 1
    both.settle(30)
    both.alice.send_packet(handle_of(both.alice), b"arrives")
    both.settle()
    assert both.bob.plane.children[handle_of(both.bob)].received == [b"arrives"]


def test_a_false_hint_costs_one_rekey_in_ten_seconds_and_no_packet() -> None:
    both = up()
    spi = both.bob.plane.children[handle_of(both.bob)].spec.spi_in
    (sa,) = both.bob.endpoint.sas.values()
    for _ in range(8):
        spi = next(iter(both.bob.plane.children.values())).spec.spi_in
        sa.start(37, notify=11, data=spi.to_bytes(4, "big"))
        both.bob.endpoint.pump(sa)
        both.bob.pump()
        both.settle(1)
    assert len(both.alice.events_of(ChildRekeyed)) == 1
    assert len(told(both.alice)) == 8


def test_strangers_and_the_just_made_child_cause_no_invalid_spi() -> None:
    both = up()
    sent = len(both.bob.sent)
    both.world.inject(("203.0.113.99", 4500), (BOB, 4500), b"\1\2\3\4" + bytes(60))
    (sa,) = both.bob.endpoint.sas.values()
    sa.reserved[0x01020304] = None
    both.world.inject((ALICE, 4500), (BOB, 4500), b"\1\2\3\4" + bytes(60))
    assert len(both.bob.sent) == sent
    del sa.reserved[0x01020304]
    both.world.inject((ALICE, 4500), (BOB, 4500), b"\1\2\3\4" + bytes(60))
    assert len(both.bob.sent) == sent + 1


@pytest.mark.parametrize("data", [b"", b"\0", bytes(4), b"\xff" * 64])
def test_an_invalid_spi_that_names_no_child_of_ours_changes_nothing(data: bytes) -> None:
    both = up()
    (sa,) = both.bob.endpoint.sas.values()
    sa.start(37, notify=11, data=data)
    both.bob.endpoint.pump(sa)
    both.bob.pump()
    both.settle(60)
    assert not both.alice.events_of(ChildRekeyed)
    assert len(both.alice.plane.children) == 1


# Inactivity.


def test_a_child_that_carries_nothing_is_deleted_after_its_time_and_the_ike_sa_stays() -> None:
    both = up(inactivity_s=40.0)
    for _ in range(10):
        both.settle(20)
        both.alice.used(handle_of(both.alice))
    assert not both.alice.events_of(ChildDown)
    both.settle(39)
    assert not both.alice.events_of(ChildDown)
    both.settle(12)
    (down,) = both.alice.events_of(ChildDown)
    assert isinstance(down, ChildDown)
    assert down.cause == "idle"
    (heard,) = both.bob.events_of(ChildDown)
    assert isinstance(heard, ChildDown)
    assert heard.cause == "peer"
    assert not both.alice.plane.children
    assert not both.bob.plane.children
    assert [one.state for one in both.alice.endpoint.snapshot()] == ["established"]


def test_without_a_time_out_an_idle_child_stays() -> None:
    both = up()
    both.settle(2000)
    assert len(both.alice.plane.children) == 1


# Causes.


def test_the_cause_of_an_end_is_told() -> None:
    both = up()
    both.bob.command(Terminate("alice"))
    both.settle()
    assert [(type(one), one.cause) for one in both.alice.events if isinstance(one, IkeDown | ChildDown)] == [
        (ChildDown, "peer"),
        (IkeDown, "peer"),
    ]
    assert [one.cause for one in both.bob.events if isinstance(one, IkeDown | ChildDown)] == ["", ""]


def test_a_peer_that_does_not_answer_is_dead() -> None:
    quick = Retransmission(base_s=1.0, factor=1.0, tries=3)
    both = Pair(alice=policy(peer_of_alice(retransmission=quick, liveness_s=10.0)))
    both.up()
    both.bob.alive = False
    both.settle(20)
    assert both.alice.events_of(PeerDead)
    assert [one.cause for one in both.alice.events if isinstance(one, IkeDown | ChildDown)] == ["dead", "dead"]
    assert not both.alice.plane.children


# The packet that asked.


def offered(node: Node) -> tuple[object, object]:
    child = next(iter(node.plane.children.values())).spec
    return child.local_ts, child.remote_ts


def initiate(both: Pair, packet: tuple[object, object]) -> None:
    both.alice.command(Initiate("bob", Path(ALICE, 500, BOB, 500), ("lan",), {"lan": packet}))  # type: ignore[dict-item]
    both.settle()


def test_the_packet_comes_first_in_the_offer_and_both_sides_install_the_whole_policy() -> None:
    both = Pair()
    initiate(both, PACKET)
    assert offered(both.alice) == ((LAN_A,), (LAN_B,))
    assert offered(both.bob) == ((LAN_B,), (LAN_A,))


def test_a_responder_that_takes_a_part_takes_the_part_with_the_packet() -> None:
    # Bob allows two halves as two children: which one the packet means, only its selectors tell.
    low, high = network("10.2.0.0/25"), network("10.2.128.0/17")
    wide = lan()
    narrow = (
        mirrored(lan(name="high", remote=(high,))),
        mirrored(lan(name="low", remote=(low,))),
    )
    both = Pair(alice=policy(peer_of_alice(children=(wide,))), bob=policy(peer_of_bob(children=narrow)))
    initiate(both, PACKET)
    assert offered(both.alice)[1] == (low,)


def test_a_packet_outside_the_policy_is_left_out() -> None:
    both = Pair()
    initiate(both, (network("10.9.0.1/32"), PACKET[1]))
    assert offered(both.alice) == ((LAN_A,), (LAN_B,))


def test_the_packet_goes_along_when_the_ike_sa_stands_already() -> None:
    second = replace(lan(), name="dmz", remote=(network("10.3.0.0/16"),), start="none")
    both = Pair(
        alice=policy(peer_of_alice(children=(lan(), second))),
        bob=policy(
            peer_of_bob(children=(mirrored(lan()), mirrored(replace(second, remote=(network("10.3.0.0/24"),)))))
        ),
    )
    both.up()
    both.alice.command(InitiateChild("bob", "dmz", (PACKET[0], network("10.3.0.9/32", 6, (443, 443)))))
    both.settle()
    assert len(both.alice.events_of(ChildUp)) == 2
    assert [one.spec.remote_ts for one in both.alice.plane.children.values()][1] == (network("10.3.0.0/24"),)

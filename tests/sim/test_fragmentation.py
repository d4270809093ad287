"""Two real ends that fragment their messages (RFC 7383): agreement, sizes, links that drop what is large, losses."""

from __future__ import annotations

from typing import Any

import pytest

from fynx.events import ChildUp, HandshakeFailed, HandshakeStarted, Retransmitted
from fynx.ike.effects import CheckLiveness, Rekey
from fynx.ike.fitting import IPV4_FLOOR, IPV4_LEN, UDP_LEN
from fynx.ike.policy import Retransmission
from fynx.ike.tasks import CORE
from fynx.sim.link import PERFECT, Link
from fynx.sim.node import Node
from fynx.wire.header import parse_header
from fynx.wire.iana import NotifyType, PayloadType
from fynx.wire.payload import NotifyPayload
from tests.sim.forge import AUTH, INFO, clear_payloads
from tests.sim.pieces import bulk, ip_size, numbers, policy_of
from tests.sim.rig import Pair, lan, mirrored, network, peer_of_alice, peer_of_bob, policy, same_children

LONG = 5000


def pair_of(
    seed: int = 1,
    link: Link = PERFECT,
    *,
    request: int = 0,
    response: int = 0,
    exchange: int = AUTH,
    alice: dict[str, Any] | None = None,
    bob: dict[str, Any] | None = None,
) -> Pair:
    """Requests and responses of ``exchange`` are longer by so many octets; changes to each side's policy."""
    return Pair(
        seed,
        link,
        alice=policy_of("initiator", **(alice or {})),
        bob=policy_of("responder", **(bob or {})),
        extensions=(CORE, bulk(request, response, exchange)),
    )


def sent_by(node: Node, exchange: int) -> list[bytes]:
    return [message for message in node.sent if parse_header(message).exchange == exchange]


def offers(message: bytes) -> bool:
    kind = NotifyType.IKEV2_FRAGMENTATION_SUPPORTED
    found = [one for one in clear_payloads(message) if isinstance(one, NotifyPayload) and one.type == kind]
    assert all((one.protocol, one.spi, one.data) == (0, b"", b"") for one in found)
    return len(found) == 1


@pytest.mark.parametrize("alice", [True, False])
@pytest.mark.parametrize("bob", [True, False])
def test_fragments_are_used_only_where_both_sides_said_so(alice: bool, bob: bool) -> None:
    pair = pair_of(request=LONG, response=LONG, alice={"fragmentation": alice}, bob={"fragmentation": bob})
    pair.up()
    same_children(pair.alice, pair.bob)
    assert offers(pair.alice.sent[0]) is alice
    assert offers(pair.bob.sent[0]) is (alice and bob)
    for node in (pair.alice, pair.bob):
        messages = sent_by(node, AUTH)
        assert [numbers(one) for one in messages] == ([(at, 5) for at in range(1, 6)] if alice and bob else [None])


def test_fragments_are_as_large_as_the_policy_says() -> None:
    pair = pair_of(request=LONG, response=LONG, alice={"fragment_size": 1000}, bob={"fragment_size": 700})
    pair.up()
    sizes = [[ip_size(one) for one in sent_by(node, AUTH)] for node in (pair.alice, pair.bob)]
    assert [max(one) for one in sizes] == [1000, 700]
    assert all(set(one[:-1]) == {max(one)} for one in sizes)


def test_the_marker_of_port_4500_counts() -> None:
    pair = pair_of(request=LONG, response=LONG, alice={"encap": "always"}, bob={"encap": "always"})
    pair.up()
    for node in (pair.alice, pair.bob):
        messages = sent_by(node, AUTH)
        assert len(messages) > 1
        assert max(ip_size(one, encapsulated=True) for one in messages) == 1280


def test_the_responder_makes_no_larger_fragments_than_the_initiator() -> None:
    pair = pair_of(request=LONG, response=LONG, alice={"fragment_size": 800})
    pair.up()
    assert max(ip_size(one) for one in sent_by(pair.bob, AUTH)) == 800


def test_short_messages_are_not_fragmented() -> None:
    pair = pair_of()
    pair.up()
    pair.alice.command(CheckLiveness("bob"))
    pair.settle()
    assert all(numbers(message) is None for node in (pair.alice, pair.bob) for message in node.sent)


@pytest.mark.parametrize(("request_size", "response_size"), [(LONG, 0), (0, LONG), (LONG, LONG), (60000, 60000)])
@pytest.mark.parametrize("exchange", [AUTH, INFO])
def test_long_messages_of_either_side_pass(request_size: int, response_size: int, exchange: int) -> None:
    pair = pair_of(request=request_size, response=response_size, exchange=exchange)
    pair.up()
    pair.alice.command(CheckLiveness("bob"))
    pair.settle()
    (sa,) = pair.alice.endpoint.sas.values()
    assert sa.window.in_flight is None
    assert not pair.alice.events_of(Retransmitted)
    for node in (pair.alice, pair.bob):
        assert node.endpoint.conversation.fragments.used == 0


def test_many_selectors_make_a_long_ike_auth_without_any_extension() -> None:
    ours = tuple(network(f"10.1.{at}.0/24") for at in range(0, 200, 2))
    child = lan(local=ours)
    pair = Pair(alice=policy(peer_of_alice(children=(child,))), bob=policy(peer_of_bob(children=(mirrored(child),))))
    pair.up()
    same_children(pair.alice, pair.bob)
    assert len(sent_by(pair.alice, AUTH)) > 1


def test_ipv6_fragments_fit_1280_octets() -> None:
    a, b = "2001:db8::1", "2001:db8::2"
    pair = Pair(
        alice=policy(peer_of_alice(remote=())),
        bob=policy(peer_of_bob(remote=())),
        addresses=(a, b),
        extensions=(CORE, bulk(LONG, LONG)),
    )
    pair.target = b
    pair.up()
    for node in (pair.alice, pair.bob):
        assert max(len(one) for one in sent_by(node, AUTH)) == 1280 - 40 - 8


# Links that drop what is large.


@pytest.mark.parametrize("encap", ["auto", "always"])
@pytest.mark.parametrize(("request_size", "response_size"), [(LONG, 0), (0, LONG), (LONG, LONG), (500, 500), (0, 500)])
def test_a_link_that_drops_large_datagrams_is_passed_with_smaller_fragments(
    request_size: int, response_size: int, encap: str
) -> None:
    narrow = Link(mtu=IPV4_FLOOR - IPV4_LEN - UDP_LEN)
    sides = {"encap": encap}
    pair = pair_of(link=narrow, request=request_size, response=response_size, alice=sides, bob=sides)
    pair.up(within_s=30.0)
    same_children(pair.alice, pair.bob)
    assert len(pair.alice.events_of(HandshakeStarted)) == 1
    assert pair.alice.events_of(Retransmitted)
    for node in (pair.alice, pair.bob):
        assert node.endpoint.conversation.fragments.used == 0


def test_what_was_learnt_of_the_path_holds_for_later_exchanges() -> None:
    narrow = Link(mtu=IPV4_FLOOR - IPV4_LEN - UDP_LEN)
    pair = pair_of(link=narrow, request=LONG, response=LONG, exchange=INFO)
    pair.up()
    for again in range(3):
        before = len(pair.alice.events_of(Retransmitted))
        pair.alice.command(CheckLiveness("bob"))
        pair.settle(30.0)
        (sa,) = pair.alice.endpoint.sas.values()
        assert sa.window.in_flight is None
        assert (len(pair.alice.events_of(Retransmitted)) > before) is (again == 0)


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_a_rekeyed_ike_sa_goes_on_with_fragments_of_the_size_that_was_learnt(who: str) -> None:
    pair = pair_of(request=LONG, response=LONG, exchange=INFO, alice={"fragment_size": 700})
    pair.up()
    pair.alice.command(CheckLiveness("bob"))
    pair.settle()
    (pair.alice if who == "alice" else pair.bob).command(Rekey("bob" if who == "alice" else "alice"))
    pair.settle(120.0)
    for node in (pair.alice, pair.bob):
        (sa,) = node.endpoint.sas.values()
        assert sa.fragmenting.negotiated
        node.sent.clear()
    pair.bob.command(CheckLiveness("alice"))
    pair.settle()
    for node in (pair.alice, pair.bob):
        assert [numbers(message) for message in node.sent] == [(at, 9) for at in range(1, 10)]
        assert max(ip_size(message) for message in node.sent) == 700


def test_fragments_pass_while_work_takes_its_time() -> None:
    pair = Pair(work_s=0.05, extensions=(CORE, bulk(LONG, LONG)))
    pair.up()
    same_children(pair.alice, pair.bob)
    assert not pair.alice.events_of(Retransmitted)


def test_without_agreement_the_same_link_is_not_passed() -> None:
    narrow = Link(mtu=IPV4_FLOOR - IPV4_LEN - UDP_LEN)
    pair = pair_of(link=narrow, request=LONG, alice={"fragmentation": False})
    pair.initiate()
    pair.world.run(300.0)
    assert pair.alice.events_of(HandshakeFailed)
    assert not pair.alice.events_of(ChildUp)


def test_the_timers_start_over_with_smaller_fragments() -> None:
    """Sent at 0, 4 and 11.2 s; the third time in smaller pieces, after which the waits are 4 and 7.2 s again."""
    patience = Retransmission(base_s=4.0, factor=1.8, tries=4, jitter=0.0)
    pair = pair_of(link=Link(mtu=500), request=LONG, alice={"retransmission": patience})
    pair.initiate()
    pair.world.run(200.0)
    times: dict[float, int] = {}
    for entry in pair.world.trace.of_kind("Transmit"):
        if entry.node == "alice" and int(AUTH) == bytes.fromhex(entry.text.split()[-1])[18]:
            times[round(entry.time, 1)] = times.get(round(entry.time, 1), 0) + 1
    begun = min(times)
    waits = [(round(at - begun, 1), count) for at, count in sorted(times.items())]
    assert [at for at, _ in waits] == [0.0, 4.0, 11.2, 15.2, 22.4, 35.4]
    (large, small) = (waits[0][1], waits[2][1])
    assert large < small
    assert [count for _, count in waits] == [large, large, small, small, small, small]
    assert pair.alice.events_of(HandshakeFailed)


def test_a_dead_peer_is_given_up_after_as_many_sends_when_nothing_is_to_shrink() -> None:
    patience = Retransmission(base_s=4.0, factor=1.8, tries=4, jitter=0.0)
    pair = pair_of(alice={"retransmission": patience})
    pair.up()
    pair.bob.alive = False
    pair.alice.command(CheckLiveness("bob"))
    before = len(pair.alice.sent)
    pair.world.run(200.0)
    assert len(pair.alice.sent) - before == 3  # and the first
    assert not pair.alice.endpoint.sas


# Bad networks.


@pytest.mark.parametrize("block", range(4))
def test_long_handshakes_complete_with_30_percent_lost_10_doubled_20_reordered(block: int) -> None:
    """60 in all, each in one attempt, with IKE_AUTH of five fragments each way."""
    bad = Link(latency_s=0.03, jitter_s=0.02, loss=0.30, duplicate=0.10, reorder=0.20)
    patience = Retransmission(base_s=1.0, factor=1.2, tries=20)
    for seed in range(15 * block, 15 * block + 15):
        pair = Pair(
            seed,
            bad,
            alice=policy(peer_of_alice(retransmission=patience, liveness_s=None)),
            bob=policy(peer_of_bob(retransmission=patience, liveness_s=None), half_open_s=300.0),
            extensions=(CORE, bulk(LONG, LONG)),
        )
        pair.up(within_s=600.0)
        same_children(pair.alice, pair.bob)
        assert len(pair.alice.events_of(HandshakeStarted)) == 1


def test_a_repeated_request_brings_its_whole_response_once() -> None:
    """The response is lost; the initiator repeats all five fragments and gets one response of five (2.6.1)."""
    pair = pair_of(request=LONG, response=LONG)
    lost: list[bytes] = []

    def lose_first_response(sent: Any) -> tuple[Any, ...]:
        header = parse_header(sent.data)
        if header.exchange == AUTH and header.response and len(lost) < 5:
            lost.append(sent.data)
            return ()
        return (sent,)

    pair.world.intercept = lose_first_response
    pair.up()
    assert len(sent_by(pair.alice, AUTH)) == 10
    assert sent_by(pair.bob, AUTH) == lost * 2
    counters = pair.bob.endpoint.counters()
    assert counters["retransmitted_responses"] == 1
    assert counters["drop_fragment_repeated"] == 4


def test_a_long_response_is_not_repeated_to_an_address_that_proved_nothing() -> None:
    """Who replays fragment 1 from a forged source must not get five datagrams sent there (G4)."""
    pair = pair_of(request=LONG, response=LONG)
    pair.up()
    first = next(one for one in pair.world.captured if numbers_of_auth(one.data) == (1, 5) and one.source[0] != "")
    before = len(pair.bob.sent)
    pair.world.inject(("203.0.113.9", 500), first.destination, first.data)
    assert len(pair.bob.sent) == before
    assert pair.bob.endpoint.counters()["drop_fragment"] == 1
    pair.world.inject(first.source, first.destination, first.data)
    assert len(pair.bob.sent) == before + 5


def numbers_of_auth(data: bytes) -> tuple[int, int] | None:
    return numbers(data) if parse_header(data).next_payload == PayloadType.SKF else None

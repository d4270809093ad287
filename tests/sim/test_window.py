"""More than one request under way at once: SET_WINDOW_SIZE (RFC 7296 section 2.3; row S3 of the bad inputs).

As elsewhere the default is 1; here both ends, or one of them, are configured for more.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from fynx.errors import Drop
from fynx.events import Retransmitted
from fynx.ike.effects import CheckLiveness, InitiateChild, Rekey, TerminateChild
from fynx.ike.sa import IkeSa
from fynx.sim.link import Link
from fynx.sim.node import Node
from fynx.sim.world import Sent
from fynx.wire.header import parse_header
from fynx.wire.iana import NotifyType
from fynx.wire.payload import NotifyPayload
from tests.sim.crossings import batch, calm, two
from tests.sim.forge import AUTH, CREATE, INFO, ROLES, Bench, Script, notifies
from tests.sim.invariants import violations
from tests.sim.rig import Pair, lan, network, peer_of_alice, peer_of_bob, policy

SIZE = NotifyType.SET_WINDOW_SIZE
RTT_S = 0.2
MANY = tuple(
    lan(name=name, local=(network(f"10.1.{number}.0/24"),), remote=(network(f"10.2.{number}.0/24"),))
    for number, name in enumerate("abcdef")
)


def only(node: Node) -> IkeSa:
    (sa,) = node.endpoint.sas.values()
    return sa


def most_at_once(pair: Pair, node: Node, for_s: float = 5.0) -> int:
    """The most requests of ``node`` that wait for their response at one moment."""
    most = 0
    end = pair.world.now + for_s
    while pair.world.now < end and pair.world.clock.step():
        most = max([most, *(len(sa.exchanges) for sa in node.endpoint.sas.values())])
    return most


def six(window: int, seed: str = "six") -> Pair:
    return two(seed, children=MANY, window=window)


def bench_of(role: str, window: int) -> tuple[Bench, Script]:
    peer = peer_of_alice if role == "initiator" else peer_of_bob
    bench = Bench(role, policy(peer(liveness_s=None, window=window)))
    return bench, bench.established()


@pytest.mark.parametrize(("window", "most"), [(1, 1), (3, 3), (8, 5)])
def test_children_come_up_side_by_side_as_far_as_the_window_goes(window: int, most: int) -> None:
    pair = six(window)
    pair.world.link = Link(latency_s=RTT_S / 2)
    pair.initiate()
    assert most_at_once(pair, pair.alice) == most
    assert len(pair.bob.plane.children) == 6
    calm(pair)
    assert violations(pair) == []


def test_the_window_of_the_peer_is_respected_whatever_ours_is() -> None:
    alice = policy(peer_of_alice(children=MANY, window=8))
    bob = policy(peer_of_bob(children=tuple(replace(one, local=one.remote, remote=one.local) for one in MANY)))
    pair = Pair("small", alice=alice, bob=bob)
    pair.initiate()
    assert most_at_once(pair, pair.alice) == 1
    assert len(pair.bob.plane.children) == 6


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("told", "expected"),
    [(b"\0\0\0\0", 1), (b"\xff\xff\xff\xff", 4), (b"\0\0\0\x03", 3), (b"", 1), (b"\4", 1), (b"\0\0\0\0\4", 1)],
)
def test_s3_what_the_peer_says_is_taken_up_to_our_own_size_and_nothing_else(
    role: str, told: bytes, expected: int
) -> None:
    bench, script = bench_of(role, 4)
    script.request(INFO, [NotifyPayload(SIZE, told)])
    assert only(bench.node).window.peer_size == expected


@pytest.mark.parametrize("role", ROLES)
def test_s3_a_window_never_shrinks(role: str) -> None:
    """What a smaller number means is not defined; only a larger one is (section 2.3)."""
    bench, script = bench_of(role, 8)
    for size in (6, 2, 0):
        script.request(INFO, [NotifyPayload(SIZE, size.to_bytes(4, "big"))])
        assert only(bench.node).window.peer_size == 6


@pytest.mark.parametrize("role", ROLES)
def test_ours_is_told_once_in_ike_auth_and_not_where_it_is_one(role: str) -> None:
    bench, script = bench_of(role, 4)
    sent = [script.opened(data) for data in bench.node.sent if parse_header(data).exchange == AUTH]
    told = [one.data for payloads in sent for one in payloads if isinstance(one, NotifyPayload) and one.type == SIZE]
    assert told == [b"\0\0\0\4"]
    assert SIZE not in notifies(script.request(INFO, ()))
    plain = Bench(role)
    script = plain.established()
    sent = [script.opened(data) for data in plain.node.sent if parse_header(data).exchange == AUTH]
    assert [SIZE in notifies(one) for one in sent] == [False]


@pytest.mark.parametrize("role", ROLES)
def test_requests_are_answered_in_any_order_within_the_window_and_none_beyond(role: str) -> None:
    bench, script = bench_of(role, 4)
    base = script.next_id
    for number in (2, 0, 3, 1):
        script.send(script.sealed(INFO, (), base + number))
        assert parse_header(script.one()).message_id == base + number
    with bench.silent(Drop.WINDOW):
        script.send(script.sealed(INFO, (), base + 8))
    script.next_id = base + 4
    assert script.request(INFO, ()) == ()


@pytest.mark.parametrize("role", ROLES)
def test_a_gap_stops_the_window_until_it_is_filled(role: str) -> None:
    bench, script = bench_of(role, 4)
    base = script.next_id
    for number in (1, 2, 3):
        script.send(script.sealed(INFO, (), base + number))
    assert len(script.received()) == 3
    with bench.silent(Drop.WINDOW):
        script.send(script.sealed(INFO, (), base + 4))
    script.send(script.sealed(INFO, (), base))
    script.send(script.sealed(INFO, (), base + 4))
    assert [parse_header(data).message_id for data in script.received()] == [base, base + 4]


@pytest.mark.parametrize("role", ROLES)
def test_s1_each_response_of_the_window_is_repeated_as_it_was_and_older_ones_are_gone(role: str) -> None:
    bench, script = bench_of(role, 4)
    base = script.next_id
    requests = [script.sealed(INFO, [NotifyPayload(40000, bytes([number]))], base + number) for number in range(6)]
    answers = []
    for request in requests:
        script.send(request)
        answers.append(script.one())
    for number in (5, 2, 4, 3):
        script.send(requests[number])
        assert script.one() == answers[number]
    for number in (0, 1):
        with bench.silent(Drop.WINDOW):
            script.send(requests[number])


def test_only_the_request_that_was_lost_goes_out_again_and_no_later_one_leaves_the_window() -> None:
    """X waits for the responses to all up to X - N, however many of the others are here."""
    pair = six(3)
    pair.world.link = Link(latency_s=RTT_S / 2)
    lost: list[bytes] = []

    def lose(sent: Sent) -> tuple[Sent, ...]:
        if sent.source[1] == 500:
            header = parse_header(sent.data)
            if not header.response and header.exchange == CREATE and not lost:
                lost.append(sent.data)
                return ()
        return (sent,)

    pair.world.intercept = lose
    pair.initiate()
    pair.world.run(2.5)
    first = parse_header(lost[0]).message_id
    sa = only(pair.alice)
    assert list(sa.window.flights) == [first]
    assert sa.window.next_request == first + 3
    assert len(sa.queue) == 2
    pair.world.run(10.0)
    assert [event.message_id for event in pair.alice.events_of(Retransmitted)] == [first]  # type: ignore[attr-defined]
    assert len(pair.bob.plane.children) == 6
    calm(pair)
    assert violations(pair) == []


@pytest.mark.parametrize("first", ["child", "ike"])
def test_nothing_is_beside_an_exchange_that_replaces_the_ike_sa(first: str) -> None:
    pair = six(8)
    pair.initiate()
    calm(pair)
    rekeys = [Rekey("bob", "a"), Rekey("bob")]
    for one in rekeys if first == "child" else reversed(rekeys):
        pair.alice.command(one)
    assert [set(sa.exchange.options) for sa in pair.alice.endpoint.sas.values() if sa.exchange] == [
        {"child", "rekey"} if first == "child" else {"rekey_ike"}
    ]
    assert most_at_once(pair, pair.alice, 0.1) == 1
    calm(pair)
    assert violations(pair) == []


def test_two_exchanges_about_one_child_never_overlap_and_those_of_others_do() -> None:
    pair = six(8)
    pair.initiate()
    calm(pair)
    for command in (Rekey("bob", "a"), TerminateChild("bob", "a"), TerminateChild("bob", "b"), CheckLiveness("bob")):
        pair.alice.command(command)
    assert len(only(pair.alice).exchanges) == 1  # what waits behind the second keeps its place
    pair.world.run(1.0)
    calm(pair)
    assert sorted(one.spec.child for one in pair.bob.plane.children.values()) == ["c", "d", "e", "f"]
    pair.alice.command(InitiateChild("bob", "a"))
    pair.alice.command(InitiateChild("bob", "b"))
    pair.alice.command(CheckLiveness("bob"))
    assert len(only(pair.alice).exchanges) == 3
    calm(pair)
    assert violations(pair) == []


def test_after_a_rekey_the_window_is_one_until_both_have_told_it_again() -> None:
    pair = six(4)
    pair.initiate()
    calm(pair)
    pair.alice.command(Rekey("bob"))
    pair.world.run(1.0)
    before = only(pair.alice).window
    assert (before.size, before.peer_size) == (1, 1)
    pair.alice.command(CheckLiveness("bob"))
    pair.world.run(1.0)
    for node in (pair.alice, pair.bob):
        assert (only(node).window.size, only(node).window.peer_size) == (4, 4)


@pytest.mark.parametrize("seed", range(16))
def test_whatever_crosses_in_larger_windows_leaves_both_sides_alike_c11_c12(seed: int) -> None:
    """The search of ``test_interleavings`` with lost, repeated and reordered messages, several under way."""
    assert batch(f"window/{seed}", 20, window=2 + seed % 7) == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(16, 1000))
def test_whatever_crosses_in_larger_windows_leaves_both_sides_alike_at_length(seed: int) -> None:
    assert batch(f"window/{seed}", 20, window=2 + seed % 7) == []


def test_many_children_are_rekeyed_side_by_side_on_a_bad_path() -> None:
    pair = six(8)
    pair.initiate()
    calm(pair)
    pair.world.link = Link(latency_s=0.1, jitter_s=0.3, loss=0.3, duplicate=0.1, reorder=0.2)
    before = {one.spec.spi_in for one in pair.alice.plane.children.values()}
    for child in "abcdef":
        pair.alice.command(Rekey("bob", child))
    assert most_at_once(pair, pair.alice, 120.0) == 6
    pair.world.link = replace(pair.world.link, loss=0.0)
    calm(pair)
    assert violations(pair) == []
    assert not before & {one.spec.spi_in for one in pair.alice.plane.children.values()}


def test_the_first_exchanges_are_one_at_a_time_whatever_is_configured() -> None:
    bench, _ = bench_of("initiator", 8)
    ids = [parse_header(data).message_id for data in bench.node.sent]
    assert ids == [0, 1]

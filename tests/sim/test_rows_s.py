"""Bad inputs S1, S2, S4, S5, S7-S12: message ids, retransmission and time, against a real Endpoint in both roles."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import pairwise
from random import SystemRandom

import pytest

from fynx.errors import CryptoError, Drop
from fynx.events import ChildUp, HandshakeFailed, IkeDown, PacketRefused, PeerDead
from fynx.ike.effects import CheckLiveness, Initiate, Transmit
from fynx.ike.policy import Retransmission
from fynx.plugin import Path
from fynx.sim.link import Link
from fynx.sim.world import Sent
from fynx.wire.header import parse_header
from fynx.wire.iana import NotifyType, Protocol
from fynx.wire.payload import DeletePayload, NotifyPayload
from tests.sim.forge import AUTH, CREATE, INFO, INIT, ROLES, Bench, child_request, clear_payloads, errors
from tests.sim.rig import ALICE, BOB, Pair, host, peer_of_alice, peer_of_bob, policy, same_children

STATUS = NotifyPayload(40000, b"anything")


@pytest.mark.parametrize("role", ROLES)
def test_s1_a_repeated_request_gets_the_same_octets_and_happens_once(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    request = script.sealed(CREATE, child_request(script), script.next_id)
    script.send(request)
    answer = script.one()
    for _ in range(5):
        script.send(request)
        assert script.one() == answer
    assert len(bench.node.plane.history) == 2
    assert bench.node.endpoint.counters()["retransmitted_responses"] == 5


@pytest.mark.parametrize("role", ROLES)
def test_s1_other_octets_under_the_same_id_get_the_cached_answer_if_they_verify(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    script.send(script.sealed(INFO, (STATUS,), script.next_id))
    answer = script.one()
    script.send(script.sealed(INFO, [DeletePayload(Protocol.IKE, ())], script.next_id))
    assert script.one() == answer
    assert bench.state() == "established"
    forged = script.sealed(INFO, (STATUS, STATUS), script.next_id)
    with bench.silent(Drop.INTEGRITY):
        script.send(forged[:-1] + bytes((forged[-1] ^ 1,)))


def test_s1_a_repeated_ike_auth_gets_the_same_answer_after_the_sa_stands() -> None:
    bench = Bench("responder")
    script = bench.authenticating()
    request = script.sealed(AUTH, script.auth_payloads(), 1)
    script.send(request)
    answer = script.one()
    script.send(request)
    assert script.one() == answer
    assert len(bench.node.plane.history) == 1


def test_s1_a_request_that_is_being_worked_on_is_not_begun_again() -> None:
    bench = Bench("responder", work_s=0.5)
    script = bench.script
    script.send(first := script.clear(INIT, script.init_payloads()))
    script.own_init = first
    with bench.silent(Drop.BUSY):
        script.send(first)
    bench.world.run(2.0)
    script.learn(script.one())
    request = script.sealed(AUTH, script.auth_payloads(), 1)
    script.send(request)
    with bench.silent(Drop.BUSY):
        script.send(request)
    bench.world.run(5.0)
    assert not errors(script.opened(script.one()))
    assert len(bench.node.plane.history) == 1


@pytest.mark.parametrize("role", ROLES)
def test_s2_ids_outside_the_window_are_dropped(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    for _ in range(5):
        assert script.request(INFO, ()) == ()
    due = script.next_id
    for message_id in (0, due - 3, due - 2, due + 1, due + 2, due + 2**31, 2**32 - 1):
        with bench.silent(Drop.WINDOW):
            script.send(script.sealed(INFO, [DeletePayload(Protocol.IKE, ())], message_id))
    assert script.request(INFO, ()) == ()


@pytest.mark.parametrize("role", ROLES)
def test_s4_a_response_that_nobody_waits_for_is_dropped(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    for exchange in (AUTH, CREATE, INFO):
        for message_id in (0, 1, 2, 3, 2**32 - 1):
            with bench.silent(Drop.UNEXPECTED_RESPONSE):
                script.send(script.sealed(exchange, [DeletePayload(Protocol.IKE, ())], message_id, response=True))


@pytest.mark.parametrize("role", ROLES)
def test_s4_a_second_response_with_other_content_is_dropped(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    bench.node.command(CheckLiveness("bob" if role == "initiator" else "alice"))
    bench.world.run(0.1)
    due = parse_header(script.one()).message_id
    with bench.silent(Drop.UNEXPECTED_RESPONSE):
        script.send(script.sealed(CREATE, (), due, response=True))  # of another exchange
    script.send(script.sealed(INFO, (), due, response=True))
    with bench.silent(Drop.UNEXPECTED_RESPONSE):
        script.send(script.sealed(INFO, [NotifyPayload(NotifyType.INVALID_SYNTAX)], due, response=True))
    assert bench.state() == "established"


def test_s4_a_second_answer_to_the_first_message_is_dropped() -> None:
    bench = Bench("initiator")
    script = bench.authenticating()
    script.received()
    second = script.init_payloads()
    with bench.silent(Drop.UNEXPECTED_RESPONSE):
        script.respond_init(second)


@pytest.mark.parametrize("role", ROLES)
def test_s5_invalid_message_id_makes_no_loop(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    for number in range(20):
        notify = NotifyPayload(NotifyType.INVALID_MESSAGE_ID, number.to_bytes(4, "big"))
        assert script.request(INFO, [notify]) == ()
    bench.world.run(1.0)
    assert not script.received()  # nothing of our own comes of it
    assert bench.state() == "established"


@pytest.mark.parametrize("role", ROLES)
def test_s5_a_wrong_id_is_never_answered(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    for message_id in range(script.next_id + 1, script.next_id + 500):
        script.send(script.sealed(INFO, (), message_id), wait=False)
    bench.world.run(1.0)
    assert not script.received()


@pytest.mark.parametrize("times", [100_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_s7_a_first_message_repeated_without_end_costs_one_key_exchange(times: int) -> None:
    """Straight into the endpoint: each repeat gets the one answer, no longer than the message, and nothing else."""
    bench = Bench("responder")
    endpoint, now, path = bench.node.endpoint, bench.world.now, Path(BOB, 500, ALICE, 500)
    first = bench.script.begin()
    answer = bench.script.one()
    repeat = (Transmit(path, answer),)
    assert len(answer) <= len(first)
    for _ in range(times):
        endpoint.datagram(now, path, first)
        assert tuple(endpoint.effects()) == repeat
    assert endpoint.counters()["retransmitted_responses"] == times
    assert sum(entry.text.endswith("KexAnswer") for entry in bench.world.trace.of_kind("Ask")) == 1
    assert len(endpoint.sas) == 1


def test_s7_nobody_gets_more_octets_than_it_sent_before_it_proved_its_address() -> None:
    """G4: a responder under cookies, whatever comes from an address that proved nothing."""
    bench = Bench("responder", policy(peer_of_bob(), cookie_threshold=0))
    script = bench.script
    message = script.clear(INIT, script.init_payloads())
    unknown = script.clear(INIT, [NotifyPayload(40000, b"x" * 20)])
    wrong = message[:17] + b"\x30" + message[18:]
    for data in (message, unknown, wrong):
        script.send(data)
        assert sum(map(len, script.received())) <= len(data)


def test_s8_a_peer_that_never_answers_is_given_up_after_growing_waits() -> None:
    retransmission = Retransmission(base_s=4.0, factor=1.8, tries=6, jitter=0.1)
    bench = Bench("initiator", policy(peer_of_alice(retransmission=retransmission)))
    bench.started()
    bench.world.run(1000.0)
    times = [entry.time for entry in bench.world.trace.of_kind("Transmit")]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(times) == 6
    for number, gap in enumerate(gaps):
        assert 0.9 * 4.0 * 1.8**number <= gap <= 1.1 * 4.0 * 1.8**number
    assert len({round(gap / 1.8**number, 6) for number, gap in enumerate(gaps)}) > 1  # jitter
    assert len(dict.fromkeys(bench.node.sent)) == 1  # the same octets each time (2.1)
    assert bench.state() == ""
    (failure,) = bench.events(HandshakeFailed)
    assert isinstance(failure, HandshakeFailed)
    assert "no answer" in failure.reason
    end = next(entry.time for entry in bench.world.trace.entries if "HandshakeFailed" in entry.text)
    assert 76.0 <= end <= 190.0


@pytest.mark.parametrize("role", ROLES)
def test_s8_an_established_peer_that_dies_is_noticed_and_its_children_go(role: str) -> None:
    bench = Bench(role)
    bench.established()
    bench.world.run(1000.0)
    assert bench.state() == ""
    assert not bench.node.plane.children
    assert len(bench.events(PeerDead)) == 1
    assert len(bench.events(IkeDown)) == 1


def test_s8_a_responder_does_not_retransmit() -> None:
    bench = Bench("responder")
    bench.started()
    bench.world.run(100.0)
    assert len(bench.node.sent) == 1
    assert bench.state() == ""  # and forgets who does not come back
    assert bench.node.endpoint.counters()["half_open"] == 0


def test_s10_only_differences_of_the_callers_clock_count() -> None:
    """The core is told the monotonic time; ten years more or less of it change nothing but the numbers."""
    stories = []
    for start in (0.0, 10 * 365.25 * 86400.0):
        pair = Pair(5, Link(loss=0.2))
        pair.world.pass_time(start)
        pair.up()
        stories.append([(entry.node, entry.kind) for entry in pair.world.trace.entries])
        pair.world.run(300.0)
        assert all(node.endpoint.snapshot()[0].state == "established" for node in (pair.alice, pair.bob))
    assert stories[0] == stories[1]


def test_s11_after_an_hour_asleep_the_peer_is_asked_and_the_tunnel_lives() -> None:
    pair = Pair()
    pair.up()
    pair.world.pass_time(3600.0)
    pair.world.run(60.0)
    assert all(node.endpoint.snapshot()[0].state == "established" for node in (pair.alice, pair.bob))
    same_children(pair.alice, pair.bob)
    assert pair.alice.endpoint.counters()["liveness_checks"] >= 1


def test_s11_after_an_hour_asleep_a_peer_that_is_gone_is_noticed_and_a_new_tunnel_comes_up() -> None:
    pair = Pair()
    pair.up()
    pair.bob.alive = False
    pair.world.pass_time(3600.0)
    pair.world.run(400.0)
    assert pair.alice.events_of(PeerDead)
    assert not pair.alice.endpoint.snapshot()
    pair.world._owners.clear()
    pair.world.nodes.clear()
    pair.alice.events.clear()
    pair.world.attach(ALICE, pair.alice)
    pair.bob = pair.world.add(host("bob2", BOB, policy(peer_of_bob())))
    pair.up()
    same_children(pair.alice, pair.bob)


def test_s11_no_deadline_lies_in_the_past_for_ever() -> None:
    pair = Pair()
    pair.up()
    pair.world.pass_time(3600.0)
    for node in (pair.alice, pair.bob):
        node.endpoint.tick(pair.world.now)
        node.pump()
        deadline = node.endpoint.deadline()
        assert deadline is not None
        assert deadline > pair.world.now


class BrokenRandom:
    """Works ``good`` times, then fails as a closed /dev/urandom would, or gives fewer octets than asked for."""

    def __init__(self, good: int, short: bool) -> None:
        self.good, self.short = good, short

    def __call__(self, count: int) -> bytes:
        self.good -= 1
        if self.good >= 0:
            return os.urandom(count)
        if self.short:
            return b"\0" * (count // 2)
        raise OSError("no randomness")


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("good", range(6))
def test_s12_without_randomness_nothing_is_sent(good: int, short: bool) -> None:
    """The endpoint stops that SA, whatever step it is at; a message with weak values never leaves."""
    bench = Bench("responder", entropy=BrokenRandom(good, short))
    script = bench.script
    script.send(script.clear(INIT, script.init_payloads()))
    answers = script.received()
    assert len(answers) == (good >= 2)  # one call for the SPI, one for the nonce
    assert bench.state() == ("init_done" if answers else "")


def test_s12_an_initiator_without_randomness_sends_nothing() -> None:
    bench = Bench("initiator", entropy=BrokenRandom(0, short=False))
    with pytest.raises(CryptoError):
        bench.started()
    assert not bench.node.sent
    assert bench.state() == ""


def test_s12_forked_processes_never_share_an_spi_a_nonce_or_a_public_value() -> None:
    """With the operating system's randomness, as the driver injects it; each child makes its message after the fork."""
    seen: list[bytes] = []
    bench = Bench("initiator", entropy=os.urandom)
    bench.node.random = SystemRandom()
    for _ in range(4):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            bench.node.command(Initiate("bob", Path(ALICE, 500, BOB, 500)))
            os.write(writer, bench.node.sent[-1])
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            seen.append(pipe.read())
        os.waitpid(child, 0)
    spis = {message[:8] for message in seen}
    bodies = {payload.body for message in seen for payload in clear_payloads(message)[1:3]}
    assert len(spis) == 4
    assert len(bodies) == 8


def test_the_window_is_one_exchange_at_a_time() -> None:
    """Our next request waits for the answer to the one before (RFC 7296 section 2.3)."""
    pair = Pair()
    pair.up()
    held: list[Sent] = []
    pair.world.intercept = lambda sent: held.append(sent) or ()  # type: ignore[func-returns-value]
    for _ in range(3):
        pair.alice.command(CheckLiveness("bob"))
    pair.settle()
    assert len(dict.fromkeys(sent.data for sent in held if sent.source[0] == ALICE)) == 1
    pair.world.intercept = None
    pair.world.run(30.0)
    assert pair.alice.endpoint.snapshot()[0].state == "established"


def test_a_message_altered_on_the_way_is_repaired_by_retransmission() -> None:
    pair = Pair()
    hit: list[bool] = []

    def damage(sent: Sent) -> tuple[Sent, ...]:
        if len(hit) < 3 and sent.data[18] != INIT:
            hit.append(True)
            return (replace(sent, data=sent.data[:-1] + bytes((sent.data[-1] ^ 0x55,))),)
        return (sent,)

    pair.world.intercept = damage
    pair.initiate()
    assert pair.world.run(300.0, lambda: bool(pair.alice.events_of(ChildUp) and pair.bob.events_of(ChildUp)))
    same_children(pair.alice, pair.bob)
    assert pair.alice.events_of(PacketRefused) or pair.bob.events_of(PacketRefused)

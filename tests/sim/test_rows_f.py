"""Bad inputs F1 to F11: fragments (RFC 7383), as dialogues with a real Endpoint in both roles."""

from __future__ import annotations

from random import Random

import pytest

from fynx.errors import Drop
from fynx.events import ChildUp
from fynx.ike.effects import CheckLiveness, Terminate
from fynx.ike.fragments import MAX_FRAGMENTS, PATIENCE_S, SET_COST
from fynx.wire.header import HEADER_LEN
from fynx.wire.iana import NotifyType, PayloadType
from fynx.wire.message import encode_payloads
from fynx.wire.payload import FragmentPayload, NotifyPayload
from tests.sim.forge import INFO, INIT, ROLES, Bench, Script, chain, errors
from tests.sim.pieces import LONG, SUPPORTED, agreed, kept, piece, pieces, policy_of
from tests.unit.ike.algorithms import CBC_256, PRF_256, SHA256, X25519, ike

NOTIFY = int(PayloadType.NOTIFY)


def answered(script: Script) -> bool:
    """The node took the script's request as a whole and had nothing against it."""
    messages = script.received()
    script.next_id += 1
    return [script.opened(message) for message in messages] == [()]


def send_all(script: Script, messages: list[bytes]) -> None:
    for message in messages:
        script.send(message)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("total", [1, 2, 3, MAX_FRAGMENTS])
def test_a_request_in_fragments_is_taken_as_a_whole_once_all_are_here(role: str, total: int) -> None:
    bench, script = agreed(role)
    *early, last = pieces(script, total)
    send_all(script, early)
    assert not script.received()
    assert bool(early) is (kept(bench) > 0)
    script.send(last)
    assert answered(script)
    assert kept(bench) == 0


def test_fragments_under_cbc_and_hmac_are_taken_too() -> None:
    bench = Bench("responder", policy_of("responder", ike=(ike(CBC_256, PRF_256, SHA256, X25519),)))
    bench.script.extra = (SUPPORTED,)
    script = bench.script
    script.begin([*script.init_payloads((ike(CBC_256, PRF_256, SHA256, X25519),))])
    script.learn(script.one())
    script.send(script.sealed(35, script.auth_payloads(), 1))
    script.next_id = 2
    script.received()
    send_all(script, pieces(script, 5))
    assert answered(script)


def test_a_response_in_fragments_completes_the_request() -> None:
    bench, script = agreed("initiator")
    bench.node.command(CheckLiveness("bob"))
    bench.world.run(0.1)
    number = int.from_bytes(script.one()[20:24], "big")
    send_all(script, pieces(script, 3, message_id=number, response=True)[::-1])
    assert bench.node.endpoint.counters()["ike_sa_active"] == 1
    (sa,) = bench.node.endpoint.sas.values()
    assert sa.window.in_flight is None
    with bench.silent(Drop.UNEXPECTED_RESPONSE):
        script.send(pieces(script, 3, message_id=number, response=True)[0])


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("number", "total"), [(0, 2), (3, 2), (1, 0), (0, 0), (65535, 1)])
def test_f1_a_fragment_with_impossible_numbers_is_dropped(role: str, number: int, total: int) -> None:
    bench, script = agreed(role)
    with bench.silent(Drop.SYNTAX):
        script.send(piece(script, number, total, b"a chunk", first=NOTIFY))
    assert kept(bench) == 0
    send_all(script, pieces(script, 2))
    assert answered(script)


@pytest.mark.parametrize("role", ROLES)
def test_f2_a_larger_total_starts_anew(role: str) -> None:
    bench, script = agreed(role)
    (old, other), (one, two, three) = pieces(script, 2), pieces(script, 3)
    send_all(script, [old, one])
    with bench.silent(Drop.FRAGMENT):
        script.send(other)
    send_all(script, [two, three])
    assert answered(script)


@pytest.mark.parametrize("role", ROLES)
def test_f2_a_larger_total_counts_only_once_its_icv_is_good(role: str) -> None:
    bench, script = agreed(role)
    (one, two), larger = pieces(script, 2), pieces(script, 3)[0]
    script.send(one)
    with bench.silent(Drop.INTEGRITY):
        script.send(larger[:-1] + bytes((larger[-1] ^ 1,)))
    script.send(two)
    assert answered(script)


@pytest.mark.parametrize("role", ROLES)
def test_f2_a_smaller_total_is_dropped(role: str) -> None:
    bench, script = agreed(role)
    one, two, three = pieces(script, 3)
    script.send(one)
    with bench.silent(Drop.FRAGMENT):
        send_all(script, pieces(script, 2))
    send_all(script, [two, three])
    assert answered(script)


@pytest.mark.parametrize("role", ROLES)
def test_f3_a_second_fragment_of_the_same_number_does_not_replace_the_first(role: str) -> None:
    bench, script = agreed(role)
    one, two = pieces(script, 2)
    other = piece(script, 1, 2, b"\xff" * 100, first=NOTIFY)
    script.send(one)
    before = kept(bench)
    for again in (one, other):
        with bench.silent(Drop.FRAGMENT_REPEATED):
            script.send(again)
    assert kept(bench) == before
    script.send(two)
    assert answered(script)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("at", [17, 29, 33, 35, 36, 43, 44, -17, -16, -1])
def test_f4_a_fragment_that_does_not_verify_is_not_kept(role: str, at: int) -> None:
    """Version, reserved octet, number, total, IV, ciphertext and tag."""
    bench, script = agreed(role)
    message = bytearray(piece(script, 2, 4, b"a chunk of some octets"))
    message[at] ^= 1
    with bench.silent(Drop.INTEGRITY):
        script.send(bytes(message))
    assert kept(bench) == 0


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("total", [MAX_FRAGMENTS + 1, 65535])
def test_f5_too_many_fragments_are_dropped(role: str, total: int) -> None:
    bench, script = agreed(role)
    with bench.silent(Drop.TOO_LARGE):
        script.send(piece(script, 1, total, b"a chunk", first=NOTIFY))
    assert kept(bench) == 0


@pytest.mark.parametrize("role", ROLES)
def test_f5_fragments_of_more_than_64_kib_are_thrown_away(role: str) -> None:
    bench, script = agreed(role)
    for number in range(1, 33):
        script.send(piece(script, number, 33, bytes(2048), first=NOTIFY if number == 1 else 0))
    assert kept(bench) > 65536
    with bench.silent(Drop.TOO_LARGE):
        script.send(piece(script, 33, 33, b"\0"))
    assert kept(bench) == 0


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("number", [1, 2])
def test_f5_a_fragment_of_nothing_is_dropped(role: str, number: int) -> None:
    bench, script = agreed(role)
    with bench.silent(Drop.FRAGMENT):
        script.send(piece(script, number, 2, b""))
    assert kept(bench) == 0


def test_an_empty_message_in_one_fragment_is_an_empty_message() -> None:
    _, script = agreed("responder")
    script.send(piece(script, 1, 1, b""))
    assert answered(script)


@pytest.mark.parametrize("role", ROLES)
def test_f6_only_the_first_fragment_names_a_next_payload(role: str) -> None:
    bench, script = agreed(role)
    one, two = pieces(script, 2)
    _, plain = encode_payloads(LONG)
    script.send(one)
    with bench.silent(Drop.FRAGMENT):
        script.send(piece(script, 2, 2, plain[512:], first=NOTIFY))
    script.send(two)
    assert answered(script)


def test_f6_a_first_fragment_that_names_none_makes_a_message_with_a_broken_chain() -> None:
    _, script = agreed("responder")
    _, plain = encode_payloads(LONG)
    script.send(piece(script, 1, 2, plain[:500]))
    script.send(piece(script, 2, 2, plain[500:]))
    assert errors(script.opened(script.one())) == [NotifyType.INVALID_SYNTAX]


def test_f7_fragments_of_a_first_request_are_dropped() -> None:
    bench = Bench("responder")
    script = bench.script
    body = FragmentPayload(int(PayloadType.SA), 1, 2, bytes(200))
    with bench.silent(Drop.SYNTAX):
        script.send(script.clear(INIT, [body]))
    assert kept(bench) == 0


def test_f7_fragments_of_a_first_response_are_dropped() -> None:
    bench = Bench("initiator")
    script = bench.started()
    script.spi_i = script.one()[:8]
    body = FragmentPayload(int(PayloadType.SA), 1, 2, bytes(200))
    with bench.silent(Drop.SYNTAX):
        script.send(script.clear(INIT, [body], response=True))
    assert kept(bench) == 0


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("who", ["the peer did not ask", "our policy forbids"])
def test_f7_fragments_that_were_not_agreed_on_are_dropped(role: str, who: str) -> None:
    bench = Bench(role, policy_of(role, fragmentation=who == "the peer did not ask"))
    bench.script.extra = (SUPPORTED,) if who == "our policy forbids" else ()
    script = bench.established()
    with bench.silent(Drop.FRAGMENT):
        send_all(script, pieces(script, 2))
    assert kept(bench) == 0


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("order", [(PayloadType.SK, PayloadType.SKF), (PayloadType.SKF, PayloadType.SK)])
def test_f7_a_message_with_both_kinds_is_dropped(role: str, order: tuple[PayloadType, PayloadType]) -> None:
    bench, script = agreed(role)
    first, data = chain([(int(kind), b"\0\1\0\2" + bytes(60), 0) for kind in order])
    with bench.silent(Drop.SYNTAX):
        script.send(script.clear_raw(INFO, first, data, script.next_id))
    assert kept(bench) == 0


@pytest.mark.parametrize("role", ROLES)
def test_f7_a_whole_message_stands_for_itself_and_fragments_of_its_id_are_dropped(role: str) -> None:
    bench, script = agreed(role)
    one, two = pieces(script, 2, (NotifyPayload(NotifyType.INVALID_SYNTAX, bytes(1000)),))
    script.send(one)
    script.send(script.sealed(INFO, (), script.next_id))
    assert script.opened(script.one()) == ()
    assert kept(bench) == 0
    with bench.silent(Drop.FRAGMENT_REPEATED):
        script.send(two)


@pytest.mark.parametrize("role", ROLES)
def test_f8_an_incomplete_message_is_thrown_away_after_30_seconds(role: str) -> None:
    bench, script = agreed(role)
    one, two = pieces(script, 2)
    script.send(one)
    assert kept(bench) > 0
    bench.world.run(PATIENCE_S - 1)
    assert kept(bench) > 0
    bench.world.run(1.1)
    assert kept(bench) == 0
    script.send(two)
    assert not script.received()
    script.send(one)
    assert answered(script)


@pytest.mark.parametrize("role", ROLES)
def test_f8_what_is_incomplete_goes_with_its_sa(role: str) -> None:
    bench, script = agreed(role)
    script.send(pieces(script, 2)[0])
    bench.node.command(Terminate())
    bench.world.run(0.1)
    request = script.one()
    script.send(script.sealed(INFO, (), int.from_bytes(request[20:24], "big"), response=True))
    assert bench.state() == ""
    assert kept(bench) == 0


def test_f8_one_request_at_a_time_is_put_together() -> None:
    """The window is 1: fragments of any other id are not looked at."""
    bench, script = agreed("responder")
    script.send(pieces(script, 2)[0])
    before = kept(bench)
    for message_id in range(script.next_id + 1, script.next_id + 100):
        with bench.silent(Drop.WINDOW):
            script.send(pieces(script, 2, message_id=message_id)[0], wait=False)
    assert kept(bench) == before


@pytest.mark.parametrize("role", ROLES)
def test_f9_old_fragments_bring_the_response_again_only_by_number_1(role: str) -> None:
    bench, script = agreed(role)
    first, second, third = (pieces(script, 3), pieces(script, 3), pieces(script, 4))
    send_all(script, first)
    response = script.one()
    for repeated in (first, second, third):  # the same octets, sealed anew, cut anew
        for one in repeated[1:]:
            with bench.silent(Drop.FRAGMENT_REPEATED):
                script.send(one)
        script.send(repeated[0])
        assert script.one() == response
    forged = bytearray(second[0])
    forged[-1] ^= 1
    with bench.silent(Drop.INTEGRITY):
        script.send(bytes(forged))
    script.next_id += 1
    send_all(script, pieces(script, 2))
    assert answered(script)
    with bench.silent(Drop.WINDOW):
        script.send(first[0])
    assert kept(bench) == 0


@pytest.mark.parametrize("order", ["forward", "backward", "shuffled"])
def test_f10_each_fragment_is_kept_once_in_whatever_order_they_come(order: str) -> None:
    """By its number, at the same cost for the first and the last: nothing is sorted, searched or copied anew."""
    bench, script = agreed("responder")
    messages = pieces(script, MAX_FRAGMENTS)
    if order != "forward":
        messages = messages[::-1] if order == "backward" else Random(order).sample(messages, len(messages))
    costs = []
    for message in messages[:-1]:
        before = kept(bench)
        script.send(message)
        costs.append(kept(bench) - before)
    first, *later = costs
    assert first - SET_COST in later
    assert max(later) - min(later) <= max(len(one) for one in messages) - min(len(one) for one in messages)
    script.send(messages[-1])
    assert answered(script)
    assert kept(bench) == 0


@pytest.mark.parametrize("role", ROLES)
def test_f11_payloads_in_clear_before_a_fragment_are_skipped_and_not_kept(role: str) -> None:
    bench, script = agreed(role)
    clear = chain([(200, bytes(5000), 0), (int(PayloadType.NOTIFY), b"\xff" * 3000, 0)])
    clear = (clear[0], _leading_to_skf(clear[1], 5004))
    one, two = pieces(script, 2, clear=clear)
    assert len(one) > HEADER_LEN + 8000
    script.send(one)
    assert 0 < kept(bench) < SET_COST + 1000
    script.send(two)
    assert answered(script)


def test_f11_a_critical_one_refuses_the_message_once_it_is_complete() -> None:
    bench, script = agreed("responder")
    first, data = chain([(200, b"of no meaning", 0x80)])
    one, two = pieces(script, 2, clear=(first, _leading_to_skf(data, 0)))
    send_all(script, [two, one])
    (notify,) = script.opened(script.one())
    assert isinstance(notify, NotifyPayload)
    assert (notify.type, notify.data) == (NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, bytes((200,)))
    assert len(bench.events(ChildUp)) == 1


def _leading_to_skf(data: bytes, at: int) -> bytes:
    """The chain with SKF after its last payload, whose header stands at ``at``."""
    return data[:at] + bytes((PayloadType.SKF,)) + data[at + 1 :]

"""Fragments cut, sealed, opened and put together again (RFC 7383), without an Endpoint."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fynx.errors import Drop, Dropped
from fynx.ike.fitting import Draft, Fragmenting, Message, cut, follow, probe, protected, room, shrunk
from fynx.ike.fragments import (
    BUDGET,
    FRAGMENT_COST,
    MAX_FRAGMENTS,
    MAX_MESSAGE,
    MAX_SETS,
    PATIENCE_S,
    RESPONSE_PATIENCE_S,
    SET_COST,
    Fragment,
    FragmentStore,
    Incomplete,
    SetKey,
    Whole,
)
from fynx.ike.keymat import derive_ike
from fynx.ike.negotiate import Choice, choose_ike
from fynx.ike.protect import Protector
from fynx.ike.sa import IkeSa
from fynx.ike.window import InFlight, digest
from fynx.plugin import Path
from fynx.wire.header import HEADER_LEN, Header, parse_header
from fynx.wire.message import parse_payloads
from fynx.wire.payload import FragmentPayload, NotifyPayload
from tests.sim.rig import peer_of_alice
from tests.unit.ike.algorithms import ALGORITHMS, CBC_256, CHACHA, GCM_128, PRF_256, SHA256, SHA512, X25519, ike
from tests.work import calls

SUITES = {
    "aes128gcm16": ike(GCM_128, PRF_256, X25519),
    "chacha20poly1305": ike(CHACHA, PRF_256, X25519),
    "aes256-sha256": ike(CBC_256, PRF_256, SHA256, X25519),
    "aes256-sha512": ike(CBC_256, PRF_256, SHA512, X25519),
}
HEADER = Header(b"initiate", b"responds", 0, 37, True, False, 7, 0)
KEY = SetKey(1, False, 7, 37)
V4, V4_NAT = Path("192.0.2.1", 500, "198.51.100.2", 500), Path("192.0.2.1", 4500, "198.51.100.2", 4500)
V6, V6_NAT = Path("2001:db8::1", 500, "2001:db8::2", 500), Path("2001:db8::1", 4500, "2001:db8::2", 4500)


def protectors(suite: str) -> tuple[Protector, Protector]:
    """The initiator's and the responder's."""
    choice = choose_ike((SUITES[suite],), (SUITES[suite],), ALGORITHMS)
    assert isinstance(choice, Choice)

    def make(initiator: bool) -> Protector:
        keys = derive_ike(choice.suite, b"i" * 32, b"r" * 32, HEADER.spi_i, HEADER.spi_r, b"s" * 32)
        return Protector(choice.suite, keys, initiator=initiator, random=lambda count: b"\x5a" * count)

    return make(True), make(False)


ENDS = {suite: protectors(suite) for suite in SUITES}


def skf_of(message: bytes) -> FragmentPayload:
    (skf,) = parse_payloads(parse_header(message).next_payload, message[HEADER_LEN:])
    assert isinstance(skf, FragmentPayload)
    return skf


def take(store: FragmentStore, receiver: Protector, message: bytes) -> Whole | None:
    """What the node does with one fragment message; None while it is not complete, or when it was refused."""
    skf = skf_of(message)
    try:
        store.check(KEY, skf)
        chunk = receiver.open_fragment(message, skf)
        return store.keep(KEY, Fragment(skf, chunk, 0, digest(message), len(message)), 0.0)
    except (Incomplete, Dropped):
        return None


@settings(max_examples=150)
@given(
    chain=st.binary(min_size=700, max_size=9000),
    size=st.integers(200, 700),
    suite=st.sampled_from(sorted(SUITES)),
    data=st.data(),
)
def test_any_order_with_duplicates_and_losses_gives_the_message_exactly_when_all_came(
    chain: bytes, size: int, suite: str, data: st.DataObject
) -> None:
    sender, receiver = ENDS[suite]
    store = FragmentStore()
    messages = cut(sender, Draft(HEADER, 41, chain), size)
    total = len(messages)
    arriving = data.draw(st.lists(st.integers(0, total - 1), max_size=3 * total))
    rest = [at for at in data.draw(st.permutations(range(total))) if at not in arriving]
    seen: set[int] = set()
    done = None
    for at in arriving + rest:
        assert done is None or set(range(total)) <= seen
        if done is None:
            done = take(store, receiver, messages[at])
            seen.add(at)
            assert (done is not None) is (len(seen) == total)
    assert done is not None
    assert (done.first, done.chain, done.digest) == (41, chain, digest(messages[0]))
    assert done.largest == max(len(message) for message in messages)
    assert store.used == 0


@settings(max_examples=60)
@given(chain=st.binary(min_size=1500, max_size=6000), data=st.data())
def test_sets_of_different_totals_never_mix(chain: bytes, data: st.DataObject) -> None:
    """The largest total wins as soon as one of its fragments came; the message is the same whichever completes."""
    sender, receiver = ENDS["aes128gcm16"]
    sets = [cut(sender, Draft(HEADER, 41, chain), size) for size in (1000, 500, 300)]
    store, largest, got = FragmentStore(), 0, set[int]()
    arriving = [one for messages in sets for one in messages]
    for message in data.draw(st.permutations(arriving)):
        skf = skf_of(message)
        if skf.total > largest:
            largest, got = skf.total, set()
        if skf.total == largest:
            got.add(skf.number)
        done = take(store, receiver, message)
        assert (done is not None) is (len(got) == largest)
        if done is not None:
            assert done.chain == chain
            return
    raise AssertionError("the last set never completed")


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("size", [150, 151, 200, 333, 548, 1252])
@pytest.mark.parametrize("length", [0, 1, 47, 150, 1000, 2345])
def test_no_datagram_is_larger_than_the_room_and_all_but_the_last_are_full(suite: str, size: int, length: int) -> None:
    sender, _ = ENDS[suite]
    messages = cut(sender, Draft(HEADER, 41, bytes(length)), size)
    assert all(len(message) <= size for message in messages)
    assert (len(messages) == 1) is (sender.sealed_len(length) <= size)
    block = 1 if sender.suite.cipher.aead else sender.suite.cipher.block_len
    assert all(len(message) > size - block for message in messages[:-1])
    if len(messages) > 1:
        found = [skf_of(message) for message in messages]
        assert [one.number for one in found] == list(range(1, len(messages) + 1))
        assert {one.total for one in found} == {len(messages)}
        assert [one.first for one in found] == [41] + [0] * (len(messages) - 1)
        assert len({message[36:44] for message in messages}) == len(messages) or not sender.suite.cipher.aead


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("length", [0, 1, 15, 16, 500])
def test_the_length_of_a_sealed_message_is_known_before(suite: str, length: int) -> None:
    sender, _ = ENDS[suite]
    assert sender.sealed_len(length) == len(sender.seal_raw(HEADER, 41, bytes(length)))


@pytest.mark.parametrize("length", [20000, MAX_MESSAGE])
def test_a_long_message_goes_in_larger_fragments_rather_than_in_too_many(length: int) -> None:
    sender, receiver = ENDS["aes128gcm16"]
    messages = cut(sender, Draft(HEADER, 41, bytes(length)), 200)
    assert len(messages) == MAX_FRAGMENTS
    store = FragmentStore()
    found = [take(store, receiver, message) for message in messages]
    assert found[-1] is not None
    assert found[-1].chain == bytes(length)


@pytest.mark.parametrize(
    ("path", "expected"), [(V4, 1280 - 28), (V4_NAT, 1280 - 32), (V6, 1280 - 48), (V6_NAT, 1280 - 52)]
)
def test_room_is_what_ip_udp_and_marker_leave(path: Path, expected: int) -> None:
    assert room(path, 1280) == expected


def sa_with(path: Path = V4, *, negotiated: bool = True, **changes: Any) -> IkeSa:
    class Services:
        now = 0.0

    policy = peer_of_alice(**changes)
    sa = IkeSa(1, "initiator", Services(), path, HEADER.spi_i, HEADER.spi_r, policy.alone, 0.0)  # type: ignore[arg-type]
    sa.protector = ENDS["aes128gcm16"][0]
    sa.fragmenting = Fragmenting(negotiated)
    return sa


def notify(length: int) -> tuple[NotifyPayload, ...]:
    return (NotifyPayload(40000, bytes(length)),)


@pytest.mark.parametrize(("path", "sizes"), [(V4, (1280, 576)), (V6, (1500, 1280)), (V4_NAT, (1280, 576))])
def test_a_request_falls_back_to_the_size_that_passes_everywhere(path: Path, sizes: tuple[int, int]) -> None:
    sa = sa_with(path, fragment_size=sizes[0])
    message = protected(sa, HEADER, notify(3000), path)
    assert max(map(len, message.datagrams)) == room(path, sizes[0])
    flight = InFlight(7, 37, message)
    assert not probe(sa, flight)
    flight.sends = 2
    assert probe(sa, flight)
    assert flight.sends == 0
    assert max(map(len, flight.message.datagrams)) <= room(path, sizes[1])
    assert len(flight.message.datagrams) > len(message.datagrams)
    flight.sends = 2
    assert not probe(sa, flight)
    assert max(map(len, protected(sa, HEADER, notify(3000), path).datagrams)) == room(path, sizes[1])


def test_a_message_of_one_datagram_falls_back_to_fragments() -> None:
    sa = sa_with()
    message = protected(sa, HEADER, notify(900), V4)
    assert len(message.datagrams) == 1
    smaller = shrunk(sa, message, V4)
    assert smaller is not None
    assert [skf_of(one).number for one in smaller.datagrams] == [1, 2]


@pytest.mark.parametrize(
    ("length", "changes"), [(100, {}), (900, {"negotiated": False}), (900, {"fragment_size": 500}), (0, {})]
)
def test_there_is_no_fallback_where_it_would_change_nothing(length: int, changes: dict[str, Any]) -> None:
    sa = sa_with(V4, **changes)
    message = protected(sa, HEADER, notify(length), V4)
    assert message.draft is None
    assert shrunk(sa, message, V4) is None
    assert sa.fragmenting.size == 0


def test_nothing_is_cut_that_was_not_agreed_on() -> None:
    sa = sa_with(negotiated=False)
    (only,) = protected(sa, HEADER, notify(5000), V4).datagrams
    assert len(only) > 5000


def test_we_follow_a_peer_that_sends_small_fragments_but_not_below_the_floor() -> None:
    sa = sa_with()
    follow(sa, V4, 0)
    assert sa.fragmenting.size == 0
    follow(sa, V4, 900)
    assert sa.fragmenting.size == 928
    follow(sa, V4, 1200)
    assert sa.fragmenting.size == 928
    follow(sa, V4, 100)
    assert sa.fragmenting.size == 576


def fragment(number: int, total: int, chunk: bytes = b"x") -> Fragment:
    return Fragment(FragmentPayload(41 if number == 1 else 0, number, total, b""), chunk, 0, b"", 100)


def put(store: FragmentStore, key: SetKey, one: Fragment, now: float = 0.0) -> Whole | None:
    store.check(key, one.skf)
    try:
        return store.keep(key, one, now)
    except Incomplete:
        return None


def test_f8_100000_incomplete_messages_stay_within_the_budget() -> None:
    store, refused = FragmentStore(), list[Drop]()
    for serial in range(100_000):
        try:
            put(store, SetKey(serial, False, 1, 35), fragment(1, 2, bytes(500)))
        except Dropped as refusal:
            refused.append(refusal.reason)
    assert BUDGET - SET_COST - FRAGMENT_COST - 500 <= store.used <= BUDGET
    assert 0 < len(refused) < 100_000
    assert set(refused) == {Drop.TOO_LARGE}
    for serial in range(100_000):
        store.forget(serial)
    assert store.used == 0


def test_f8_a_full_store_keeps_what_it_has_and_takes_new_ones_when_there_is_room() -> None:
    store = FragmentStore(budget=SET_COST + 2 * FRAGMENT_COST + 1000)
    assert put(store, KEY, fragment(1, 3, bytes(900))) is None
    for key, one in ((KEY, fragment(2, 3, bytes(200))), (KEY._replace(serial=2), fragment(1, 2))):
        with pytest.raises(Dropped, match="share"):
            put(store, key, one)
    used = store.used
    assert used == SET_COST + FRAGMENT_COST + 900
    store.forget(1)
    assert store.used == 0
    with pytest.raises(Dropped, match="share"):
        put(store, KEY, fragment(1, 2, bytes(2000)))
    assert store.used == 0
    assert put(store, KEY._replace(serial=2), fragment(1, 2)) is None


def test_f8_an_sa_has_few_incomplete_messages_at_once() -> None:
    store = FragmentStore()
    for message_id in range(MAX_SETS):
        put(store, KEY._replace(message_id=message_id), fragment(1, 2))
    with pytest.raises(Dropped, match="incomplete"):
        put(store, KEY._replace(message_id=MAX_SETS), fragment(1, 2))
    assert put(store, KEY._replace(serial=2), fragment(1, 2)) is None


def test_f8_what_waited_too_long_goes_and_the_rest_stays() -> None:
    store = FragmentStore()
    early, late = KEY, KEY._replace(message_id=8)
    put(store, early, fragment(1, 2), now=0.0)
    put(store, late, fragment(1, 3), now=5.0)
    put(store, late, fragment(2, 3), now=10.0)
    assert store.deadline(1) == PATIENCE_S
    assert store.expire(1, PATIENCE_S - 0.1) == PATIENCE_S
    assert store.expire(1, PATIENCE_S) == PATIENCE_S + 10.0
    assert put(store, early, fragment(2, 2), now=PATIENCE_S) is None
    assert put(store, late, fragment(3, 3), now=PATIENCE_S) is not None


def test_a_response_may_take_as_long_as_we_ask_for_it() -> None:
    store, key = FragmentStore(), KEY._replace(response=True)
    put(store, key, fragment(1, 2))
    assert store.expire(1, RESPONSE_PATIENCE_S - 1) == RESPONSE_PATIENCE_S
    assert store.expire(1, RESPONSE_PATIENCE_S) is None
    assert store.used == 0


def test_fragments_of_another_exchange_type_or_direction_make_no_message_together() -> None:
    store = FragmentStore()
    for key in (KEY, KEY._replace(exchange=36), KEY._replace(response=True)):
        assert put(store, key, fragment(1, 2)) is None
    assert put(store, KEY, fragment(2, 2)) is not None
    store.passed(KEY)
    assert store.used == SET_COST + FRAGMENT_COST + 1  # only the response is left


@pytest.mark.parametrize("order", ["forward", "backward", "inside out"])
def test_f10_no_order_makes_reassembly_slow(order: str) -> None:
    """64 KiB in 64 fragments are as much work in every order, and little for each fragment."""
    numbers = list(range(1, MAX_FRAGMENTS + 1))
    if order == "backward":
        numbers.reverse()
    elif order == "inside out":
        numbers.sort(key=lambda number: abs(number - 32))
    found = [fragment(number, MAX_FRAGMENTS, bytes((number,)) * 1024) for number in numbers]
    store, whole = FragmentStore(), []
    assert calls(lambda: whole.extend(put(store, KEY, one) for one in found)) < 100 * MAX_FRAGMENTS
    assert whole[:-1] == [None] * (MAX_FRAGMENTS - 1)
    assert whole[-1] is not None
    assert whole[-1].chain[::1024] == bytes(range(1, MAX_FRAGMENTS + 1))


def test_what_is_kept_of_a_message_does_not_show() -> None:
    secret = b"\xaa" * 20
    draft = Draft(HEADER, 41, secret)
    for one in (draft, Message((secret,), draft), fragment(1, 1, secret), Whole(41, secret, b"")):
        assert "aaaa" not in repr(one)
        assert "\\xaa" not in repr(one)

"""Every transition of the state tables and every named refusal is provoked here; none may be missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from typing import Any

import pytest

from fynx.errors import Drop, Dropped
from fynx.ike import child, sa, states
from fynx.ike.admission import FAILURES_OF_SOURCE
from fynx.ike.effects import Initiate, Rekey
from fynx.ike.states import CHILD_TRANSITIONS, IKE_TRANSITIONS
from fynx.plugin import Expire, Path
from fynx.wire.header import parse_header
from fynx.wire.iana import NotifyType
from fynx.wire.payload import NotifyPayload
from tests.sim.crossings import batch, stand, two
from tests.sim.forge import INFO, INIT, Bench
from tests.sim.pieces import agreed, pieces
from tests.sim.rig import ALICE, BOB, Pair, peer_of_bob, policy

Moves = set[tuple[Enum, Enum]]


def responder(**changes: Any) -> Bench:
    return Bench("responder", policy(peer_of_bob(), **changes))


def first_octets(changed: Callable[[bytearray], object]) -> Callable[[], Bench]:
    """A first message with some octets of its header changed."""

    def provoke() -> Bench:
        bench = responder()
        data = bytearray(bench.script.clear(INIT, bench.script.init_payloads()))
        changed(data)
        bench.script.send(bytes(data))
        return bench

    return provoke


def standing(make: Callable[[Bench], bytes], role: str = "responder") -> Callable[[], Bench]:
    """A message to an IKE SA that stands."""

    def provoke() -> Bench:
        bench = Bench(role)
        bench.established()
        bench.script.send(make(bench))
        return bench

    return provoke


def put(place: int, octets: bytes) -> Callable[[bytearray], object]:
    def change(data: bytearray) -> None:
        data[place : place + len(octets)] = octets

    return change


def broken(data: bytes) -> bytes:
    return data[:-1] + bytes((data[-1] ^ 1,))


def no_keys() -> Bench:
    """No message comes that far today: the core asks for nothing protected before IKE_SA_INIT is through."""
    bench = Bench("initiator")
    bench.started()
    (found,) = bench.node.endpoint.sas.values()
    data = bench.script.clear_raw(INFO, 46, b"\0\0\0\4")
    with pytest.raises(Dropped) as refusal:
        bench.node.endpoint.conversation.opened(found, parse_header(data), data)
    bench.node.endpoint.refuse(found.path, refusal.value)
    return bench


def reflected() -> Bench:
    bench = Bench("initiator")
    bench.started()
    bench.script.send(bench.script.one())
    return bench


def forged_error() -> Bench:
    bench = Bench("initiator")
    script = bench.started()
    script.spi_i = parse_header(script.one()).spi_i
    script.send(script.clear(INIT, [NotifyPayload(NotifyType.NO_PROPOSAL_CHOSEN)], response=True))
    return bench


def busy() -> Bench:
    bench = Bench("responder", work_s=1.0)
    for _ in range(2):
        bench.script.send(bench.script.clear(INIT, bench.script.init_payloads()))
    return bench


def rate_limited() -> Bench:
    bench = responder()
    for _ in range(300):
        bench.script.send(bench.script.clear(INFO, [NotifyPayload(NotifyType.INVALID_SYNTAX)], 5), wait=False)
    return bench


def stranger() -> Bench:
    bench = responder()
    bench.script.send(bench.script.clear(INIT, bench.script.init_payloads()), source="203.0.113.9")
    return bench


def half_open() -> Bench:
    bench = responder(half_open_per_source=1, cookie_threshold=100)
    for spi in (b"first..1", b"second.2"):
        bench.script.spi_i = spi
        bench.script.send(bench.script.clear(INIT, bench.script.init_payloads()))
    return bench


def failures() -> Bench:
    bench = responder()
    for _ in range(FAILURES_OF_SOURCE):
        bench.node.endpoint.admission.failed(bench.world.now, ALICE)
    bench.script.begin()
    return bench


def too_large() -> Bench:
    bench = responder()
    bench.script.send(bench.script.clear(INIT, [NotifyPayload(40000)] * 80))
    return bench


def fragment() -> Bench:
    bench, script = agreed("responder")
    old, three = pieces(script, 2), pieces(script, 3)
    for one in (old[0], three[0], old[1]):
        script.send(one)
    return bench


def fragment_again() -> Bench:
    bench, script = agreed("responder")
    for _ in range(2):
        script.send(pieces(script, 2)[0])
    return bench


REFUSALS: dict[Drop, Callable[[], Bench]] = {
    Drop.SHORT: standing(lambda _: b"too short"),
    Drop.LENGTH: first_octets(put(24, b"\0\0\1\1")),
    Drop.VERSION: first_octets(put(17, b"\x30")),
    Drop.FLAGS: first_octets(put(19, b"\0")),
    Drop.EXCHANGE: first_octets(put(18, b"\xf0")),
    Drop.ZERO_SPI: first_octets(put(0, bytes(8))),
    Drop.MESSAGE_ID: first_octets(put(20, b"\0\0\0\1")),
    Drop.SYNTAX: first_octets(put(30, b"\xff\xff")),
    Drop.UNKNOWN_SPI: standing(lambda bench: put_in(bench.script.sealed(INFO, (), 2), 8, b"nobody's")),
    Drop.WINDOW: standing(lambda bench: bench.script.sealed(INFO, (), 9)),
    Drop.INTEGRITY: standing(lambda bench: broken(bench.script.sealed(INFO, (), 2))),
    Drop.NOT_PROTECTED: standing(lambda bench: bench.script.clear(INFO, [NotifyPayload(40000)], 2)),
    Drop.UNEXPECTED_RESPONSE: standing(lambda bench: bench.script.sealed(INFO, (), 7, response=True)),
    Drop.NO_KEYS: no_keys,
    Drop.REFLECTION: reflected,
    Drop.FORGED_ERROR: forged_error,
    Drop.BUSY: busy,
    Drop.RATE_LIMITED: rate_limited,
    Drop.NO_PEER: stranger,
    Drop.HALF_OPEN_LIMIT: half_open,
    Drop.ADMISSION: failures,
    Drop.TOO_LARGE: too_large,
    Drop.FRAGMENT: fragment,
    Drop.FRAGMENT_REPEATED: fragment_again,
}


def put_in(data: bytes, place: int, octets: bytes) -> bytes:
    return data[:place] + octets + data[place + len(octets) :]


def test_every_named_refusal_has_a_row() -> None:
    assert set(REFUSALS) == set(Drop)


@pytest.mark.parametrize("reason", Drop)
def test_the_refusal_is_provoked_and_counted_by_its_name(reason: Drop) -> None:
    bench = REFUSALS[reason]()
    assert bench.node.endpoint.counters().get(f"drop_{reason.value}"), bench.world.trace


# Transitions.


def initiate(pair: Pair) -> None:
    pair.alice.command(Initiate("bob", Path(ALICE, 500, BOB, 500)))


def lonely_handshakes() -> None:
    """Nobody answers, or answers only IKE_SA_INIT; and a cookie is asked for."""
    for answers in (0, 1):
        pair = two(1)
        left = [answers]

        def some(sent: Any, left: list[int] = left) -> tuple[Any, ...]:
            left[0] -= sent.source[0] == BOB
            return (sent,) if sent.source[0] == ALICE or left[0] >= 0 else ()

        pair.world.intercept = some
        initiate(pair)
        pair.world.run(600.0)
    pair = Pair(1, bob=policy(peer_of_bob(), cookie_threshold=0))
    pair.up()


def refused_proposal() -> None:
    """The responder's IKE SA ends before it answers."""
    bench = responder()
    bench.script.begin([replace(one, data=b"\0" * 32) if hasattr(one, "method") else one for one in payloads(bench)])


def payloads(bench: Bench) -> list[Any]:
    return bench.script.init_payloads()


def hard_limits() -> None:
    """The plane reports its hard limit while the child is in use, being rekeyed, or replaced; then DELETE is lost."""
    for commands in ((), (Rekey("bob", "one"),), ("peer",)):
        for answered in (True, False):
            pair = two(1)
            stand(pair)
            for command in commands:
                if command == "peer":
                    pair.bob.command(Rekey("alice", "one"))
                    pair.world.run(0.015)
                else:
                    pair.alice.command(command)
            handle = min(pair.alice.plane.children)
            if not answered:
                pair.world.intercept = lambda _: ()
            pair.alice.endpoint.expired(pair.world.now, Expire(handle, hard=True, reason="bytes"))
            pair.alice.pump()
            pair.world.run(900.0)


def search() -> None:
    for seed in range(12):
        assert batch(seed, 14) == []


def expired_and_gone() -> None:
    """The peer deletes a child whose hard limit has passed, before our DELETE goes out."""
    pair = two(1)
    stand(pair)
    pair.world.intercept = lambda sent: () if sent.source[0] == BOB and pair.world.now < until else (sent,)
    until = pair.world.now + 1.0
    pair.alice.command(Rekey("bob", "two"))  # keeps the window busy
    pair.alice.endpoint.expired(pair.world.now, Expire(min(pair.alice.plane.children), hard=True, reason="bytes"))
    pair.alice.pump()
    pair.world.run(0.1)
    pair.bob.endpoint.expired(pair.world.now, Expire(min(pair.bob.plane.children), hard=True, reason="bytes"))
    pair.bob.pump()
    pair.world.run(60.0)


TOUR = (lonely_handshakes, refused_proposal, hard_limits, expired_and_gone, search)


@pytest.fixture(scope="module")
def moves() -> Moves:
    """All that happened on the tour."""
    seen: Moves = set()

    def noted(record: Any, event: Any, table: Any) -> Any:
        before = states.advance(record, event, table)
        seen.add((before, event))
        return before

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sa, "advance", noted)
        patch.setattr(child, "advance", noted)
        for part in TOUR:
            part()
    return seen


@pytest.mark.parametrize("move", [*IKE_TRANSITIONS, *CHILD_TRANSITIONS], ids=lambda move: f"{move[0]}-{move[1]}")
def test_the_transition_happens(move: tuple[Enum, Enum], moves: Moves) -> None:
    assert move in moves

"""Whatever octets come, in clear or sealed with the right keys: the endpoint neither raises nor meets its own bug."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fynx.events import PluginFailed
from fynx.wire.payload import Payload
from tests.sim.forge import AUTH, CREATE, INFO, INIT, ROLES, Bench, Part, chain, child_request, parts

EXCHANGES = [INIT, AUTH, CREATE, INFO, 43, 240]
KINDS = st.sampled_from([*range(33, 50), 53, 1, 255])
BODIES = st.binary(max_size=40)
PARTS = st.lists(st.tuples(KINDS, BODIES, st.sampled_from([0, 0x80, 0x7F])), max_size=6)
FEW = settings(max_examples=60)


def sound(bench: Bench) -> None:
    assert not bench.events(PluginFailed), bench.events(PluginFailed)


def mutated(message: bytes, edits: Sequence[tuple[int, int]], cut: int, tail: bytes) -> bytes:
    """Octets changed, the end cut off and something put there, and the length set right again."""
    data = bytearray(message)
    for at, value in edits:
        data[at % len(data)] = value
    whole = bytes(data[: len(data) - cut % len(data)]) + tail
    return whole[:24] + len(whole).to_bytes(4, "big") + whole[28:] if len(whole) >= 28 else whole


EDITS = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4)


@pytest.mark.parametrize("role", ROLES)
@given(data=st.binary(max_size=200))
@FEW
def test_any_octets(role: str, data: bytes) -> None:
    bench = Bench(role)
    script = bench.established()
    before = bench.picture()
    script.send(data)
    assert bench.picture() == before
    sound(bench)


@given(edits=EDITS, cut=st.sampled_from([0, 0, 1, 7, 50]), tail=st.binary(max_size=8))
@FEW
def test_altered_first_messages(edits: list[tuple[int, int]], cut: int, tail: bytes) -> None:
    bench = Bench("responder")
    script = bench.script
    script.send(mutated(script.clear(INIT, script.init_payloads()), edits, cut, tail))
    sound(bench)
    bench.world.run(60.0)
    assert bench.node.endpoint.counters()["half_open"] == 0


@given(edits=EDITS, cut=st.sampled_from([0, 0, 1, 7, 50]), tail=st.binary(max_size=8))
@FEW
def test_altered_answers_to_first_messages(edits: list[tuple[int, int]], cut: int, tail: bytes) -> None:
    bench = Bench("initiator")
    script = bench.started()
    answer = script.clear(INIT, script.hear(script.one()), response=True)
    script.send(mutated(answer, edits, cut, tail))
    sound(bench)
    bench.world.run(600.0)
    assert bench.state() == ""
    assert not bench.node.plane.reserved


@pytest.mark.parametrize("role", ROLES)
@given(exchange=st.sampled_from(EXCHANGES), found=PARTS)
@FEW
def test_any_payloads_in_a_sealed_request(role: str, exchange: int, found: list[Part]) -> None:
    bench = Bench(role)
    script = bench.established()
    script.send(script.sealed_raw(exchange, *chain(found), script.next_id))
    sound(bench)


@given(found=PARTS, response=st.booleans())
@FEW
def test_any_payloads_in_ike_auth(found: list[Part], response: bool) -> None:
    bench = Bench("initiator" if response else "responder")
    script = bench.authenticating()
    script.received()
    script.send(script.sealed_raw(AUTH, *chain(found), 1, response=response))
    sound(bench)
    bench.world.run(600.0)
    assert bench.state() == ""
    assert not bench.node.plane.children
    assert not bench.node.plane.reserved


@pytest.mark.parametrize("exchange", [AUTH, CREATE])
@given(order=st.permutations(range(5)), edits=EDITS, extra=PARTS, drop=st.integers(0, 5))
@FEW
def test_altered_payloads_of_a_real_exchange(
    exchange: int, order: list[int], edits: list[tuple[int, int]], extra: list[Part], drop: int
) -> None:
    bench = Bench("responder")
    script = bench.established() if exchange == CREATE else bench.authenticating()
    payloads: list[Payload] = child_request(script) if exchange == CREATE else script.auth_payloads()
    right = parts(payloads)
    mixed = [right[index] for index in order if index < len(right) and index != drop] + extra
    first, data = chain(mixed)
    for at, value in edits if data else []:
        data = data[: at % len(data)] + bytes((value,)) + data[at % len(data) + 1 :]
    script.send(script.sealed_raw(exchange, first, data, script.next_id))
    sound(bench)
    assert len(bench.node.plane.children) == sum(len(one.children) for one in bench.node.endpoint.snapshot())
    assert not bench.node.plane.reserved

"""Aggregation and fragmentation (RFC 9347): the C plane against the executable specification, to the octet."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fynx.errors import StateError
from fynx.esp.aggfrag import AGGFRAG, PIECE, WINDOW, Unpacker, pack
from fynx.plugin.dataplane import Aggregation
from tests.unit.esp.workshop import Lane, child, inbound, ipv4, ipv6, lane, make, mirror, network

HERE, THERE = ((network(f"198.18.{number}.0/24"), network(f"fd00:{number}::/64")) for number in (1, 2))
BOTH = {"local_ts": HERE, "remote_ts": THERE}


def inbound6(payload: bytes) -> bytes:
    return ipv6("fd00:2::7", "fd00:1::9", payload)


def outbound4(payload: bytes) -> bytes:
    return ipv4("198.18.1.9", "198.18.2.7", payload, fragment=0x4000)


def outbound6(payload: bytes) -> bytes:
    return ipv6("fd00:1::9", "fd00:2::7", payload)


def receiving() -> Lane:
    return lane(aggregation=Aggregation(), **BOTH)


def payload(blocks: bytes, offset: int = 0, head: bytes = b"\0\0") -> bytes:
    return head + offset.to_bytes(2, "big") + blocks


def both(numbered: Sequence[tuple[int, bytes]]) -> tuple[list[bytes], dict[str, int]]:
    """What the plane delivers and drops; the specification must say the same."""
    made, model = receiving(), Unpacker()
    wanted = [packet for number, body in numbered for packet in model.receive(number, body)]
    found = made.put(*(made.packet(number, body, AGGFRAG) for number, body in numbered))
    for _ in numbered:
        found += made.engine.recv_inner(100_000)
    assert found == wanted
    assert made.drops() == model.drops
    return found, model.drops


INNER = st.builds(
    lambda size, six: (inbound6 if six else inbound)(bytes(random.Random(size).randbytes(size))),
    st.one_of(st.integers(0, 60), st.integers(0, 3000)),
    st.booleans(),
)
PACKETS = st.lists(INNER, max_size=40)
ROOMS = st.integers(64, 1400)


@settings(max_examples=60)
@given(PACKETS, ROOMS, st.booleans(), st.booleans(), st.data())
def test_loss_and_reordering_leave_what_the_specification_says(
    packets: list[bytes], room: int, whole: bool, pad: bool, data: st.DataObject
) -> None:
    numbered = list(enumerate(pack(packets, room, whole=whole, pad=pad), 1))
    places = data.draw(st.lists(st.integers(0, WINDOW + 2), min_size=len(numbered), max_size=len(numbered)))
    order = sorted(range(len(numbered)), key=lambda at: at + places[at])
    kept = data.draw(st.lists(st.sampled_from([True] * 9 + [False]), min_size=len(order), max_size=len(order)))
    found, _ = both([numbered[at] for at, keep in zip(order, kept, strict=True) if keep])
    assert all(packet in packets for packet in found), "nothing is delivered that was not sent"


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 80), st.binary(max_size=120)), max_size=20))
def test_E31_wild_payloads_are_judged_as_the_specification_does(wild: list[tuple[int, int, bytes]]) -> None:
    number, numbered = 0, []
    for step, offset, blocks in wild:
        number += step + 1
        numbered.append((number, payload(blocks, offset)))
    both(numbered)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 2500), st.booleans()), max_size=40), ROOMS, st.booleans(), st.booleans())
def test_the_plane_packs_as_the_specification_does(
    sizes: list[tuple[int, bool]], room: int, whole: bool, pad: bool
) -> None:
    """With ``whole`` what is too long is answered, or cut before it is sealed; these forbid it."""
    packets = [(outbound6 if six else outbound4)(bytes(size)) for size, six in sizes]
    engine, spec = make(), child(aggregation=Aggregation(room, whole, pad), **BOTH)
    engine.install(spec)
    far, back = make(), mirror(spec, aggregation=Aggregation())
    far.install(back)
    sealed = [data for _, data in engine.send_inner(packets)]
    wanted = list(pack(packets, room, whole=whole, pad=pad))
    overhead = 8 + 8 + 16
    assert [len(data) - overhead for data in sealed] == [(len(each) + 2 + 3) // 4 * 4 for each in wanted]
    far.receive_outer(back.path, sealed)
    found: list[bytes] = []
    while some := far.recv_inner(1000):
        found += some
    assert found == [packet for packet in packets if not whole or len(packet) <= room - 4]


def test_a_packet_of_any_size_crosses_payloads_of_any_size() -> None:
    for room in (64, 100, 1400):
        packets = [inbound(bytes(size)) for size in (0, 1, 36, 1372, 20_000, 65_507)]
        found, drops = both(list(enumerate(pack(packets, room), 1)))
        assert (found, drops) == (packets, {})


BIG = inbound(bytes(300))


@pytest.mark.parametrize(
    ("numbered", "drops"),
    [
        ([(1, b"")], {"aggfrag_header": 1}),
        ([(1, b"\0\0\0")], {"aggfrag_header": 1}),
        ([(1, b"\1" + bytes(22))], {"aggfrag_header": 1}),
        ([(1, b"\2" + bytes(40))], {"aggfrag_header": 1}),
        ([(1, payload(b"\x45\0\0\0" + bytes(40)))], {"aggfrag_block": 1}),
        ([(1, payload(b"\x45\0\0\x13" + bytes(40)))], {"aggfrag_block": 1}),
        ([(1, payload(b"\x90" + bytes(40)))], {"aggfrag_block": 1}),
        ([(1, payload(b"\x60\0\0\0\xff\xff" + bytes(40)))], {"aggfrag_block": 1}),
        ([(1, payload(bytes(40), 9000))], {"aggfrag_partial": 1}),
        ([(1, payload(bytes(40), 40))], {"aggfrag_partial": 1}),
        ([(1, payload(BIG[:100])), (2, payload(BIG[100:], 65535))], {"aggfrag_offset": 1}),
        ([(1, payload(BIG[:100])), (2, payload(BIG[100:], 10))], {"aggfrag_offset": 1}),
        ([(1, payload(BIG[:100])), (2, payload(inbound()))], {"aggfrag_offset": 1}),
        ([(1, payload(b"\x45")), (2, payload(b"\0", 1))], {"aggfrag_offset": 1}),
        ([(1, payload(b"\x45")), (2, payload(b"\0\0\x13", 18))], {"aggfrag_offset": 1}),
        ([(1, payload(BIG[:100])), (9, payload(b""))], {"aggfrag_partial": 1}),
        ([(n, payload(b"\x45", 65535 * (n > 1))) for n in range(1, 9)], {"aggfrag_offset": 1, "aggfrag_partial": 5}),
        ([(3, payload(BIG[:-1] * 40, 0))], {}),
        ([(2, payload(bytes(PIECE + 1), PIECE + 1))], {"aggfrag_partial": 1}),
    ],
)  # fmt: skip
def test_E31_what_makes_no_sense_is_dropped_by_name(numbered: list[tuple[int, bytes]], drops: dict[str, int]) -> None:
    assert both(numbered)[1] == drops


def test_E31_after_any_nonsense_the_next_packets_pass() -> None:
    good = inbound(b"after it")
    wild = [(n, payload(random.Random(n).randbytes(100), n * 997 % 65536)) for n in range(1, 60)]
    assert both([*wild, (60, payload(good))])[0][-1] == good


@pytest.mark.parametrize("idle", [b"", bytes(1), bytes(60)])
@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2)])
def test_a_payload_of_padding_between_fragments_breaks_nothing(idle: bytes, order: tuple[int, ...]) -> None:
    """RFC 9347 section 2.2.3."""
    numbered = [(1, payload(BIG[:100])), (2, payload(idle)), (3, payload(BIG[100:], len(BIG) - 100))]
    assert both([numbered[at] for at in order]) == ([BIG], {})


def test_a_header_with_congestion_information_is_passed_over() -> None:
    good = inbound(b"congestion")
    head = b"\1\3" + bytes(2) + bytes(range(20))
    assert both([(1, head + good[:30]), (2, payload(good[30:], len(good) - 30))]) == ([good], {})
    assert both([(1, head + good)])[0] == [good]


def test_what_is_inside_is_policed_like_any_other_packet() -> None:
    made = receiving()
    strangers = ipv4("203.0.113.9", "198.18.1.9"), ipv4("127.0.0.1", "198.18.1.9"), inbound(b"ours")
    assert made.put(made.packet(1, payload(b"".join(strangers)), AGGFRAG)) == [strangers[2]]
    assert made.drops() == {"selectors": 1, "inner_source": 1}
    assert made.engine.usage(1).packets_in == 1


def test_a_child_without_aggregation_refuses_the_payload() -> None:
    made = lane()
    assert made.put(made.packet(1, payload(inbound()), AGGFRAG)) == []
    assert made.drops() == {"next_header": 1}


@pytest.mark.parametrize("size", [1, 63, 9217, 70000])
def test_a_payload_size_that_cannot_be_is_refused_at_install(size: int) -> None:
    with pytest.raises((StateError, OverflowError)):
        make().install(child(aggregation=Aggregation(size)))

"""Traffic selectors: the algebra of narrowing against sampled packets (RFC 7296 section 2.9; rows C1-C4)."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fynx.ike.selectors import covers, from_wire, intersection, narrow, show, subset, to_wire
from fynx.plugin import Selector
from fynx.wire.payload import TrafficSelector

Packet = tuple[bytes, int, int]


def network(text: str, protocol: int = 0, ports: tuple[int, int] = (0, 65535)) -> Selector:
    found = ip_network(text)
    return Selector(found.network_address.packed, found.broadcast_address.packed, protocol, *ports)


def span(first: str, last: str) -> Selector:
    return Selector(ip_address(first).packed, ip_address(last).packed)


@st.composite
def selectors(draw: st.DrawFn) -> Selector:
    """Over a space so small that selectors often meet."""
    length = draw(st.sampled_from([4, 4, 16]))
    low = draw(st.integers(0, 7))
    high = draw(st.integers(low, 7))
    protocol = draw(st.sampled_from([0, 6, 17]))
    start = draw(st.integers(0, 3)) if protocol else 0
    end = draw(st.integers(start, 3)) if protocol else 65535
    base = bytes(length - 1)
    return Selector(base + bytes((low,)), base + bytes((high,)), protocol, start, end)


SETS = st.lists(selectors(), min_size=1, max_size=4).map(tuple)
PACKETS = [
    (bytes(length - 1) + bytes((last,)), protocol, port)
    for length in (4, 16)
    for last in range(8)
    for protocol in (6, 17, 47)
    for port in (range(5) if protocol != 47 else [0])
]


def matches(selectors: tuple[Selector, ...], packet: Packet) -> bool:
    address, protocol, port = packet
    return any(
        len(one.start) == len(address)
        and one.start <= address <= one.end
        and one.protocol in (0, protocol)
        and one.start_port <= port <= one.end_port
        for one in selectors
    )


@given(offered=SETS, policy=SETS)
@settings(max_examples=400)
def test_narrowing_is_the_intersection_of_packets(offered: tuple[Selector, ...], policy: tuple[Selector, ...]) -> None:
    result = narrow(offered, policy)
    for packet in PACKETS:
        assert matches(result, packet) == (matches(offered, packet) and matches(policy, packet)), packet
    assert subset(result, offered)
    assert subset(result, policy)


@given(offered=SETS, policy=SETS)
@settings(max_examples=200)
def test_narrowing_has_no_selector_inside_another_and_puts_the_first_first(
    offered: tuple[Selector, ...], policy: tuple[Selector, ...]
) -> None:
    result = narrow(offered, policy)
    for one in result:
        assert not any(covers(other, one) for other in result if other != one)
    first = [common for ours in policy if (common := intersection(ours, offered[0])) is not None] if offered else []
    if first:
        assert covers(result[0], first[0])
    assert set(narrow(result, policy)) == set(result)


@given(inner=SETS, outer=SETS)
@settings(max_examples=400)
def test_subset_is_what_the_packets_say_c4(inner: tuple[Selector, ...], outer: tuple[Selector, ...]) -> None:
    if subset(inner, outer):
        assert all(matches(outer, packet) for packet in PACKETS if matches(inner, packet))
    else:
        # The samples have one protocol (47) for all others and one port (4) for all above.
        assert any(matches(inner, packet) and not matches(outer, packet) for packet in PACKETS)


def test_a_range_across_two_neighbours_is_a_subset_of_both_together() -> None:
    halves = (network("10.0.0.0/25"), network("10.0.0.128/25"))
    assert subset((network("10.0.0.0/24"),), halves)
    assert not subset((network("10.0.0.0/23"),), halves)


def test_everything_asked_where_one_host_is_allowed_narrows_to_it_c3() -> None:
    assert narrow((network("0.0.0.0/0"),), (network("192.0.2.7/32"),)) == (network("192.0.2.7/32"),)
    assert narrow((network("0.0.0.0/0"),), (network("2001:db8::/64"),)) == ()


def test_the_packet_that_asked_is_inside_the_first_selector() -> None:
    packet = network("198.51.100.43/32", 6, (80, 80))
    offered = (packet, network("198.51.0.0/16"), network("192.0.2.0/24"))
    result = narrow(offered, (network("192.0.2.0/24"), network("198.51.100.0/24")))
    assert result == (network("198.51.100.0/24"), network("192.0.2.0/24"))


def test_at_most_255_selectors_come_out() -> None:
    many = tuple(network(f"10.0.{index}.0/32") for index in range(255))
    assert len(narrow(many, (*many, network("0.0.0.0/0", 6)))) <= 255


def test_wire_form_and_back() -> None:
    echo = network("10.0.0.0/8", 1, (0x0800, 0x08FF))
    for one in (network("10.0.0.0/8"), network("2001:db8::/32", 17, (53, 53)), echo):
        assert from_wire(to_wire(one)) == one


LOW, HIGH = bytes(4), b"\xff" * 4


@pytest.mark.parametrize(
    "bad",
    [
        TrafficSelector(7, 0, 0, 65535, HIGH, LOW),
        TrafficSelector(7, 6, 443, 80, LOW, HIGH),
        TrafficSelector(7, 6, 65535, 0, LOW, HIGH),
        TrafficSelector(7, 0, 80, 80, LOW, HIGH),
        TrafficSelector(7, 47, 80, 80, LOW, HIGH),
        TrafficSelector(8, 0, 0, 65535, LOW, HIGH),
        TrafficSelector(7, 0, 0, 65535, bytes(16), bytes(16)),
        TrafficSelector(0, 0, 0, 65535, LOW, HIGH),
        TrafficSelector(6, 0, 0, 65535, LOW, HIGH),
        TrafficSelector(9, 0, 0, 0, b"", b"", b"raw"),
        TrafficSelector(255, 0, 0, 0, b"", b"", b"raw"),
    ],
)
def test_selectors_that_make_no_sense_are_ignored_c1_c2(bad: TrafficSelector) -> None:
    assert from_wire(bad) is None


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        (network("10.0.0.0/8"), "10.0.0.0/8"),
        (network("2001:db8::1/128"), "2001:db8::1/128"),
        (span("10.0.0.1", "10.0.0.9"), "10.0.0.1-10.0.0.9"),
        (network("10.0.0.0/8", 6, (80, 80)), "10.0.0.0/8[tcp/80]"),
        (network("10.0.0.0/8", 17), "10.0.0.0/8[udp]"),
        (network("10.0.0.0/8", 99), "10.0.0.0/8[99]"),
        (network("10.0.0.0/8", 132, (1, 9)), "10.0.0.0/8[sctp/1-9]"),
    ],
)
def test_selectors_are_shown_as_people_write_them(selector: Selector, text: str) -> None:
    assert show(selector) == text

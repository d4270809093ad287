"""Traffic selectors: wire form, narrowing and subset algebra (RFC 7296 sections 2.9 and 3.13)."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address, summarize_address_range
from itertools import islice

from fynx.plugin.dataplane import Selector
from fynx.wire.iana import TsType
from fynx.wire.payload import TrafficSelector

MAX_SELECTORS = 255
"""The TS payload counts its selectors in one octet."""

ANY_PORT = (0, 65535)
Box = tuple[tuple[int, int], ...]
"""A selector as closed intervals: addresses, protocols, ports."""


def to_wire(selector: Selector) -> TrafficSelector:
    kind = TsType.TS_IPV4_ADDR_RANGE if len(selector.start) == 4 else TsType.TS_IPV6_ADDR_RANGE
    return TrafficSelector(
        ts_type=int(kind),
        protocol=selector.protocol,
        start_port=selector.start_port,
        end_port=selector.end_port,
        start=selector.start,
        end=selector.end,
    )


def from_wire(received: TrafficSelector) -> Selector | None:
    """None for a selector that we ignore: an unknown type, a range that is reversed, OPAQUE ports, or ports where the
    protocol has none (RFC 7296 section 3.13.1, RFC 4301 section 4.4.1.1)."""
    length = _ADDRESS_LEN.get(received.ts_type)
    if length is None or len(received.start) != length or len(received.end) != length:
        return None
    if received.start > received.end or received.start_port > received.end_port:
        return None
    ports = (received.start_port, received.end_port)
    if ports != ANY_PORT and received.protocol not in _WITH_PORTS:
        return None
    return Selector(received.start, received.end, received.protocol, *ports)


def narrow(offered: tuple[Selector, ...], policy: tuple[Selector, ...]) -> tuple[Selector, ...]:
    """What both sides want: the intersection as a set of packets, in the order of the offer, none inside another.

    When the policy takes part of the first offered selector (the packet that asked, RFC 7296 section 2.9), the
    selector that contains that part comes first. At most 255; empty means TS_UNACCEPTABLE.
    """
    if len(offered) == 1 == len(policy):
        only = intersection(policy[0], offered[0])
        return () if only is None else (only,)
    pairs = [intersection(ours, theirs) for theirs in offered for ours in policy]
    found = list(dict.fromkeys(common for common in pairs if common is not None))[:MAX_SELECTORS]
    kept = [one for one in found if not any(covers(other, one) for other in found if other != one)]
    if found:
        kept.sort(key=lambda one: not covers(one, found[0]))
    return tuple(kept)


def with_packet(
    packet: tuple[Selector, Selector] | None, local: tuple[Selector, ...], remote: tuple[Selector, ...]
) -> tuple[tuple[Selector, ...], tuple[Selector, ...]]:
    """Both sides of an offer, the packet that asked first (RFC 7296 section 2.9), where the policy protects it."""
    if packet is None or not subset(packet[:1], local) or not subset(packet[1:], remote):
        return local, remote
    return _first(packet[0], local), _first(packet[1], remote)


def _first(one: Selector, others: tuple[Selector, ...]) -> tuple[Selector, ...]:
    return tuple(dict.fromkeys((one, *others)))[:MAX_SELECTORS]


def intersection(a: Selector, b: Selector) -> Selector | None:
    if len(a.start) != len(b.start) or (a.protocol and b.protocol and a.protocol != b.protocol):
        return None
    start, end = max(a.start, b.start), min(a.end, b.end)
    start_port, end_port = max(a.start_port, b.start_port), min(a.end_port, b.end_port)
    if start > end or start_port > end_port:
        return None
    if a == b:
        return b
    return Selector(start, end, a.protocol or b.protocol, start_port, end_port)


def covers(outer: Selector, inner: Selector) -> bool:
    """Every packet that ``inner`` matches, ``outer`` matches too."""
    return (
        len(outer.start) == len(inner.start)
        and outer.start <= inner.start
        and inner.end <= outer.end
        and outer.protocol in (0, inner.protocol)
        and outer.start_port <= inner.start_port
        and inner.end_port <= outer.end_port
    )


def subset(inner: tuple[Selector, ...], outer: tuple[Selector, ...]) -> bool:
    """Every packet that ``inner`` matches as a whole, ``outer`` matches as a whole: exact, also across several."""
    return all(_inside(one, outer) for one in inner)


def show(selector: Selector) -> str:
    """``10.0.0.0/8``, ``10.0.0.1-10.0.0.9``, with ``[tcp/80]`` or ``[17/1000-2000]`` where narrower than all."""
    text = _range(selector.start, selector.end)
    ports = (selector.start_port, selector.end_port)
    if not selector.protocol and ports == ANY_PORT:
        return text
    protocol = _PROTOCOL_NAMES.get(selector.protocol, str(selector.protocol))
    if ports == ANY_PORT:
        return f"{text}[{protocol}]"
    span = str(ports[0]) if ports[0] == ports[1] else f"{ports[0]}-{ports[1]}"
    return f"{text}[{protocol}/{span}]"


@lru_cache(1024)
def _range(start: bytes, end: bytes) -> str:
    first, last = ip_address(start), ip_address(end)
    networks = list(islice(summarize_address_range(first, last), 2))
    return str(networks[0]) if len(networks) == 1 else f"{first}-{last}"


def _inside(one: Selector, outer: tuple[Selector, ...]) -> bool:
    if one in outer:
        return True
    rest = [_box(one)]
    for other in outer:
        if len(other.start) != len(one.start):
            continue
        rest = [piece for box in rest for piece in _minus(box, _box(other))]
        if not rest:
            return True
    return not rest


def _minus(box: Box, hole: Box) -> list[Box]:
    """``box`` without ``hole``, as disjoint boxes: at most two per dimension."""
    if any(high < low_h or high_h < low for (low, high), (low_h, high_h) in zip(box, hole, strict=True)):
        return [box]
    pieces: list[Box] = []
    rest = list(box)
    for index, ((low, high), (low_h, high_h)) in enumerate(zip(box, hole, strict=True)):
        if low < low_h:
            pieces.append((*rest[:index], (low, low_h - 1), *rest[index + 1 :]))
        if high > high_h:
            pieces.append((*rest[:index], (high_h + 1, high), *rest[index + 1 :]))
        rest[index] = (max(low, low_h), min(high, high_h))
    return pieces


def _box(selector: Selector) -> Box:
    protocols = (selector.protocol, selector.protocol) if selector.protocol else (0, 255)
    addresses = (int.from_bytes(selector.start, "big"), int.from_bytes(selector.end, "big"))
    return addresses, protocols, (selector.start_port, selector.end_port)


_ADDRESS_LEN = {int(TsType.TS_IPV4_ADDR_RANGE): 4, int(TsType.TS_IPV6_ADDR_RANGE): 16}
# ICMP, TCP, UDP, DCCP, ICMPv6, SCTP, Mobility Header, UDP-Lite.
_WITH_PORTS = (1, 6, 17, 33, 58, 132, 135, 136)
_PROTOCOL_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp"}

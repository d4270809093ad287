"""The SPD of the C plane beside an ordered list that is walked from its head (RFC 4301 section 4.4.1)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fynx.esp.engine import Engine
from fynx.esp.reference import matches
from fynx.plugin.dataplane import Policy, Selector
from tests.unit.esp.workshop import child, ipv4, ipv6, make, network, udp

FAMILIES = {4: int(ipaddress.IPv4Address("198.18.0.240")), 6: int(ipaddress.IPv6Address("2001:db8::fff0"))}
NEAR, FAR = 0x100, 0x20000
"""Offsets of our side and theirs; what is drawn lies across the limits of many prefixes."""


@st.composite
def ranges(draw: st.DrawFn, side: int, version: int) -> Selector:
    """A host, a prefix, all there is, or a range that no prefix is."""
    size, base = 4 if version == 4 else 16, FAMILIES[version] + side
    kind = draw(st.sampled_from(["host", "prefix", "range", "all"]))
    first = base + draw(st.integers(0, 40))
    last = first + draw(st.integers(0, 20)) if kind == "range" else first
    if kind == "prefix":
        bits = draw(st.integers(0, 12))
        first, last = first >> bits << bits, first | ((1 << bits) - 1)
    if kind == "all":
        first, last = 0, (1 << 8 * size) - 1
    protocol = draw(st.sampled_from([0, 0, 6, 17]))
    ports = draw(st.sampled_from([(0, 65535), (1000, 1003), (1002, 2000)])) if protocol else (0, 65535)
    return Selector(first.to_bytes(size, "big"), last.to_bytes(size, "big"), protocol, *ports)


@st.composite
def sides(draw: st.DrawFn) -> tuple[tuple[Selector, ...], tuple[Selector, ...]]:
    families = draw(st.sampled_from([(4,), (6,), (4, 6)]))
    near, far = (
        tuple(draw(ranges(side, version)) for version in families for _ in range(draw(st.integers(1, 2))))
        for side in (NEAR, FAR)
    )
    return near, far[: draw(st.integers(1, 4))]


@st.composite
def packets(draw: st.DrawFn) -> bytes:
    version = draw(st.sampled_from([4, 6]))
    near, far = (FAMILIES[version] + side + draw(st.integers(0, 60)) for side in (NEAR, FAR))
    payload = udp(draw(st.integers(999, 1004)), draw(st.integers(999, 1004)))
    if version == 4:
        return ipv4(str(ipaddress.IPv4Address(near)), str(ipaddress.IPv4Address(far)), payload)
    return ipv6(str(ipaddress.IPv6Address(near)), str(ipaddress.IPv6Address(far)), payload)


class Line(NamedTuple):
    """One line of the list: what it is sorted by, and what it says."""

    priority: int
    rank: int
    newest: int
    verdict: str | int
    local: tuple[Selector, ...]
    remote: tuple[Selector, ...]

    def takes(self, packet: bytes) -> bool:
        size, at = (4, 12) if packet[0] >> 4 == 4 else (16, 8)
        near, far, upper = packet[at : at + size], packet[at + size : at + 2 * size], packet[at + 2 * size :]
        sport, dport = int.from_bytes(upper[:2], "big"), int.from_bytes(upper[2:4], "big")
        return any(matches(one, near, 17, sport) for one in self.local) and any(
            matches(one, far, 17, dport) for one in self.remote
        )


@dataclass
class Walked:
    """The plane and the list, changed alike."""

    engine: Engine
    policies: list[Policy] = field(default_factory=list)
    children: dict[int, tuple[int, int, tuple[Selector, ...], tuple[Selector, ...]]] = field(default_factory=dict)
    serial: int = 0

    def lines(self) -> list[Line]:
        found = [
            Line(one.priority, rank, 0, one.action, one.local, one.remote) for rank, one in enumerate(self.policies)
        ]
        for handle, (serial, tag, local, remote) in self.children.items():
            kept = [
                (one.priority, rank)
                for rank, one in enumerate(self.policies)
                if one.action == "protect" and one.child == str(tag)
            ]
            found.append(Line(*(kept or [(2**31 - 1, 0)])[0], -serial, handle, local, remote))
        return sorted(found, key=lambda line: line[:3])

    def change(self, data: st.DataObject) -> None:
        kind = data.draw(st.sampled_from(["policies", "install", "install", "activate", "remove"]))
        if kind == "policies":
            self.policies = [
                Policy(
                    data.draw(st.sampled_from(["bypass", "discard", "protect"])),
                    *data.draw(sides()),
                    data.draw(st.integers(0, 3)),
                    "hq",
                    str(data.draw(st.integers(0, 2))),
                )
                for _ in range(data.draw(st.integers(0, 6)))
            ]
            self.engine.policies(self.policies)
        elif kind == "install":
            self.serial += 1
            tag, (local, remote) = data.draw(st.integers(0, 3)), data.draw(sides())
            numbers = {"spi_in": 0x10000 + self.serial, "spi_out": 0x20000 + self.serial}
            self.engine.install(child(self.serial, child=str(tag), local_ts=local, remote_ts=remote, **numbers))
            self.children[self.serial] = (self.serial, tag, local, remote)
        elif self.children:
            handle = data.draw(st.sampled_from(sorted(self.children)))
            if kind == "remove":
                self.engine.remove(handle)
                del self.children[handle]
            else:
                self.engine.activate(handle)
                self.serial += 1
                self.children[handle] = (self.serial, *self.children[handle][1:])

    def agree(self, packet: bytes) -> None:
        verdict = next((line.verdict for line in self.lines() if line.takes(packet)), "none")
        word = "protect" if isinstance(verdict, int) else verdict
        assert self.engine.match(packet) == word
        sealed = [int.from_bytes(data[:4], "big") - 0x20000 for _, data in self.engine.send_inner([packet])]
        assert sealed == ([verdict] if isinstance(verdict, int) else [])


@settings(max_examples=120, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_every_change_leaves_the_order_of_the_list(data: st.DataObject) -> None:
    walked = Walked(make())
    for _ in range(data.draw(st.integers(1, 12))):
        walked.change(data)
        for packet in data.draw(st.lists(packets(), min_size=1, max_size=6)):
            walked.agree(packet)
    walked.engine.stop()


@pytest.mark.parametrize("alike", [False, True], ids=["a network each", "all for one network"])
def test_a_thousand_policies_and_children_are_found_by_their_order(alike: bool) -> None:
    """More than the first pages hold, added one by one, then taken away one by one."""
    many, engine = 1000, make(capacity=2048)
    nets = [network("198.18.2.0/24" if alike else f"10.{n >> 8}.{n & 255}.0/24") for n in range(many)]
    here = (network("198.18.1.0/24"),)
    engine.policies([Policy("discard", here, (net,), n) for n, net in enumerate(nets)])
    for n, net in enumerate(nets):
        numbers = {"spi_in": 0x10000 + n, "spi_out": 0x20000 + n, "child": str(n)}
        engine.install(child(n + 1, local_ts=here, remote_ts=(net,), **numbers))
    assert engine.status()["rules"] == 2 * many
    for n in (0, many // 2, many - 1):
        packet = ipv4("198.18.1.9", str(ipaddress.IPv4Address(nets[n].start) + 7), udp(1, 2))
        assert engine.match(packet) == "discard"
    engine.policies([])
    for n in range(many - 1, 0, -1):
        packet = ipv4("198.18.1.9", str(ipaddress.IPv4Address(nets[n].start) + 7), udp(1, 2))
        assert [int.from_bytes(data[:4], "big") for _, data in engine.send_inner([packet])] == [0x20000 + n]
        engine.remove(n + 1)
    assert engine.status()["rules"] == 1
    engine.stop()

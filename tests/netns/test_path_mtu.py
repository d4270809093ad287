"""A path that takes less than the tunnel's device lets through: the inner side is told, or its packets are cut."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pytest

from tests.netns.test_offloads import begin, carry
from tests.netns.world import INNER, INNER6, OUTER, OUTER6, Gateway, World, until

pytestmark = pytest.mark.sanitized

NARROW = 1400
LARGEST = 1338
"""Inner: 1400 without IPv4 and UDP (28), SPI and number (8), IV (8), ICV (16), in words that end in the trailer (2)."""


@pytest.fixture(params=[{}, {"vnet": "off", "gso": "off", "gro": "off"}], ids=["offloads", "plain"])
def narrow(request: pytest.FixtureRequest, world: World) -> World:
    """The link behind the router is narrower: only ICMP from there tells the gateway."""
    world.world.ip(f"link set eth1 mtu {NARROW}")
    world.right.ip(f"link set eth0 mtu {NARROW}")
    begin(world, {"left": request.param, "right": request.param})
    return world


def ping(gateway: Gateway, to: str, *, source: str, size: int, cut: str, wait_s: int = 20) -> str:
    line = ["ping", "-n", "-c", "1", "-W", str(wait_s), "-M", cut, "-s", str(size), "-I", source, to]
    return gateway.place.inside(*line, check=False)


@pytest.mark.parametrize(
    ("address", "source", "head"), [(INNER["right"], INNER["left"], 28), (INNER6["right"], INNER6["left"], 48)]
)
def test_a_packet_that_must_not_be_cut_is_answered_with_the_size_that_fits(
    narrow: World, left: Gateway, address: str, source: str, head: int
) -> None:
    told: Callable[[], bool] = lambda: bool(  # noqa: E731
        re.search(rf"mtu[ =:]+{LARGEST}\b", ping(left, address, source=source, size=1390 - head, cut="do", wait_s=1))
    )
    until(told, "the host hears what fits")
    assert ", 0% packet loss" in ping(left, address, source=source, size=LARGEST - head, cut="do")
    counters = left.status()["plane"]["counters"]
    assert counters["too_big_told"] >= 1
    assert counters["drop_path_mtu"] >= 1


def test_what_may_be_cut_passes_cut(narrow: World, left: Gateway) -> None:
    source = INNER["left"]
    until(
        lambda: "1 received" in ping(left, INNER["right"], source=source, size=1360, cut="dont", wait_s=1),
        "a ping passes",
    )

    def cut() -> bool:
        """No ping before it may say that it must not be cut: the kernel, told what fits, would then cut by itself."""
        told = ping(left, INNER["right"], source=source, size=1362, cut="dont", wait_s=1)
        return "1 received" in told and left.status()["plane"]["counters"]["fragmented"] > 0

    until(cut, "a packet is cut before it is sealed")
    for size in (1311, 1362, 8192, 65507):
        assert "1 received" in ping(left, INNER["right"], source=source, size=size, cut="dont"), size
    assert left.status()["plane"]["counters"]["drop_send_size"] == 0


def test_tcp_finds_its_way_through_a_narrow_path(narrow: World, left: Gateway, right: Gateway) -> None:
    carry(left, right, INNER["right"], "tcp", 2_000_000)
    carry(left, right, INNER6["right"], "tcp", 2_000_000)
    carry(right, left, INNER["left"], "tcp", 2_000_000)


@pytest.mark.parametrize("mtu", [576, 1280, 9000])
def test_every_mtu_outside_carries_what_it_must(world: World, left: Gateway, right: Gateway, mtu: int) -> None:
    """The device's own is for 1500 or, where the path is wider, for all of it."""
    for place, device in ((left.place, "eth0"), (right.place, "eth0"), (world.world, "eth0"), (world.world, "eth1")):
        place.ip(f"link set {device} mtu {mtu}")
    begin(world, {"left": {}, "right": {}}, max(1390, mtu - 110))
    for octets, address in ((2_000_000, INNER["right"]), *([(2_000_000, INNER6["right"])] if mtu > 576 else [])):
        carry(left, right, address, "tcp", octets)
        carry(left, right, address, "udp64", 60_000)
    for size in (0, 466, 467, 1000, 1170, 1171, 8862, 8863, 65507):
        assert "1 received" in ping(left, INNER["right"], source=INNER["left"], size=size, cut="dont"), size
    assert world.clear() == 0


FORGED = """
import ipaddress, socket, struct, sys
left, right, spi = ipaddress.ip_address(sys.argv[1]), ipaddress.ip_address(sys.argv[2]), int(sys.argv[3], 16)
def add(data):
    return 0xffff - int.from_bytes(data + bytes(len(data) % 2), "big") % 0xffff
six = left.version == 6
for port in (4500, 4501):
    udp = struct.pack(">HHHHII24x", port, port, 40, 0, spi, 1)
    if six:
        head = struct.pack(">IHBB", 6 << 28, len(udp), 17, 64) + left.packed + right.packed
        told = struct.pack(">BBHI", 2, 0, 0, 68) + head + udp
    else:
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 7, 0x4000, 64, 17, 0) + left.packed + right.packed
        told = struct.pack(">BBHHH", 3, 4, 0, 0, 68) + head[:10] + add(head).to_bytes(2, "big") + head[12:] + udp
        told = told[:2] + add(told).to_bytes(2, "big") + told[4:]
    kind = (socket.AF_INET6, socket.IPPROTO_ICMPV6) if six else (socket.AF_INET, socket.IPPROTO_ICMP)
    with socket.socket(kind[0], socket.SOCK_RAW, kind[1]) as s:
        s.sendto(told, (str(left), 0))
"""
"""From the router between: the path takes 68 octets, it says, of a flow that is ours and of one that is nobody's."""


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
def test_E21_a_forged_path_mtu_goes_no_lower_than_a_path_may_be(
    world: World, left: Gateway, right: Gateway, six: bool
) -> None:
    """The kernel takes 552 octets of IPv4 for the least (min_pmtu), and passes over less than 1280 of IPv6."""
    begin(world, {"left": {}, "right": {}}, six=six)
    carry(left, right, INNER["right"], "tcp", 100_000)
    ends = (OUTER6 if six else OUTER)["left"], (OUTER6 if six else OUTER)["right"]
    spi = left.status()["peers"][0]["children"][0]["spi_out"]
    world.world.inside(sys.executable, "-c", FORGED, *ends, spi)
    if not six:
        until(lambda: re.search(r"mtu (lock )?552\b", left.place.show("route", "get", ends[1])), "the kernel believes")
    fits = 1300 if six else 552 - 20 - 8 - 8 - 8 - 16 - 2 - 28 & ~3
    source = INNER["left"]
    until(
        lambda: "1 received" in ping(left, INNER["right"], source=source, size=fits, cut="do", wait_s=1),
        "the least passes",
    )
    for size in (0, 500, 1300, 8192):
        assert "1 received" in ping(left, INNER["right"], source=source, size=size, cut="dont"), size
    carry(left, right, INNER["right"], "tcp", 500_000)
    carry(left, right, INNER6["right"], "tcp", 500_000)

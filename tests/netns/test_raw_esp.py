"""``encap: auto`` between two gateways without a NAT: ESP as IP protocol 50 (RFC 4303), and UDP once a NAT appears."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from scapy.layers.inet import IP
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.packet import Packet
from scapy.utils import rdpcap

from tests.netns.test_offloads import OCTETS, begin, carry
from tests.netns.test_path_mtu import ping
from tests.netns.wire import captured, shark
from tests.netns.world import INNER, INNER6, OUTER, OUTER6, SIDES, Gateway, World, until

pytestmark = pytest.mark.sanitized

MASQUERADE = """
table ip nat {
  chain post { type nat hook postrouting priority srcnat; oifname "eth1" masquerade; }
}
"""
SEND = """
import socket, sys
six = ":" in sys.argv[1]
with socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_RAW, 50) as s:
    for text in sys.argv[2:]:
        s.sendto(bytes.fromhex(text), (sys.argv[1], 0))
"""


@pytest.fixture(params=["IPv4", "IPv6"])
def bare(request: pytest.FixtureRequest, world: World) -> World:
    """A tunnel over one family outside, both inside."""
    for gateway in world.gateways.values():
        gateway.site["host"]["transport"] = {"udp": {"encap": "auto"}}
    begin(world, {"left": {}, "right": {}}, six=request.param == "IPv6")
    return world


def test_tcp_udp_and_icmp_arrive_whole_as_protocol_50(bare: World, left: Gateway, right: Gateway) -> None:
    for near, far, address, address6 in (
        (left, right, INNER["right"], INNER6["right"]),
        (right, left, INNER["left"], INNER6["left"]),
    ):
        carry(near, far, address, "tcp", OCTETS)
        carry(near, far, address6, "tcp", OCTETS)
        carry(near, far, address, "udp1300", 200_000)
        carry(near, far, address6, "udp64", 50_000)
    for size in (0, 1, 1362, 1400, 65507):
        assert left.place.ping(INNER["right"], source=INNER["left"], size=size), size
    found = left.status()
    assert [child["encap"] for peer in found["peers"] for child in peer["children"]] == ["none"]
    assert found["plane"]["raw_sockets"] == 2
    counters = found["plane"]["counters"]
    assert counters["raw_out"] == counters["packets_out"]
    assert counters["raw_in"] >= counters["packets_in"] > 0
    assert "no UDP" in left.ask("status").stdout


def test_the_capture_shows_protocol_50_and_opens_with_our_keys(world: World, left: Gateway, right: Gateway) -> None:
    keys = world.folder / "keys"
    for gateway in world.gateways.values():
        gateway.site["host"]["transport"] = {"udp": {"encap": "auto"}}
    left.site["host"]["keylog"] = str(keys)
    left.site["plugins"] = ["default", "+keylog"]
    begin(world, {"left": {}, "right": {}})
    file = world.folder / "outside.pcap"
    with captured(world.world, "eth0", file, "ip proto 50") as wire:
        assert left.place.ping(INNER["right"], source=INNER["left"], count=3)
        assert left.place.ping(INNER6["right"], source=INNER6["left"], count=3)
        until(lambda: wire.packets() >= 12, "six pings and their answers")
    protocols = set(shark(file, keys, "esp", "ip.proto"))
    assert {text.split(",")[0] for text in protocols} == {"50"}, "no UDP between IP and ESP"
    assert len(shark(file, keys, f"icmp.type == 8 && ip.dst == {INNER['right']}", "icmp.seq")) == 3
    assert (
        len(shark(file, keys, f"icmpv6.type == 128 && ipv6.dst == {INNER6['right']}", "icmpv6.echo.sequence_number"))
        == 3
    )
    found = [opened(packet, keys) for packet in rdpcap(str(file)) if ESP in packet]
    assert len(found) == 12
    assert {each.dst for each in found} == {*INNER.values(), *INNER6.values()}


def opened(packet: Packet, keys: Path) -> Packet:
    """The inner packet, opened by scapy."""
    rows = [line.split("uat:esp_sa:", 1)[1] for line in keys.read_text().splitlines() if "uat:esp_sa:" in line]
    key = next(bytes.fromhex(row[5][2:]) for row in csv.reader(rows) if int(row[3], 16) == packet[ESP].spi)
    header = IP(src=packet[IP].src, dst=packet[IP].dst)
    sa = SecurityAssociation(ESP, packet[ESP].spi, crypt_algo="AES-GCM", crypt_key=key, tunnel_header=header)
    return sa.decrypt(packet[IP])


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_E1_E2_E3_bad_packets_of_protocol_50_are_dropped_by_name(
    world: World, left: Gateway, right: Gateway, family: str
) -> None:
    for gateway in world.gateways.values():
        gateway.site["host"]["transport"] = {"udp": {"encap": "auto"}}
    begin(world, {"left": {}, "right": {}}, six=family == "IPv6")
    outer = {"IPv4": OUTER, "IPv6": OUTER6}[family]["right"]
    foreign = f"{0x7777_1234:08x}" + "00" * 40
    known = right.status()["peers"][0]["children"][0]["spi_in"] + "00000099" + "55" * 40
    large = f"{0x7777_1234:08x}" + "00" * 4000
    world.world.inside("python3", "-c", SEND, outer, "", "0102030405", foreign, large, known, f"{0:08x}" + "00" * 40)

    def dropped() -> dict[str, int]:
        found = right.status()["plane"]["counters"].items()
        return {name: count for name, count in found if name.startswith("drop_") and count}

    wanted = {"drop_short": 2, "drop_unknown_spi": 3, "drop_integrity": 1}
    until(lambda: dropped() == wanted, f"{wanted}, fragments joined by the kernel: {dropped()}")
    assert left.place.ping(INNER["right"], source=INNER["left"])


def test_a_nat_that_appears_puts_esp_into_udp(world: World, left: Gateway, right: Gateway) -> None:
    for gateway in world.gateways.values():
        gateway.site["host"]["transport"] = {"udp": {"encap": "auto"}}
    right.peer["remote"]["address"] = [OUTER["left"], "198.51.100.254"]
    begin(world, {"left": {}, "right": {}})
    assert left.place.ping(INNER["right"], source=INNER["left"])
    assert encapsulations(left) == encapsulations(right) == ["none"]
    world.world.inside("nft", "-f", "-", stdin=MASQUERADE)
    left.ask("down", "right")
    left.up()
    until(lambda: encapsulations(left) == encapsulations(right) == ["udp"], "both see the NAT")
    before = left.status()["plane"]["counters"]["raw_out"]
    assert left.place.ping(INNER["right"], source=INNER["left"])
    assert left.place.ping(INNER6["right"], source=INNER6["left"])
    assert left.status()["plane"]["counters"]["raw_out"] == before


def encapsulations(gateway: Gateway) -> list[str]:
    return [child["encap"] for peer in gateway.status()["peers"] for child in peer["children"]]


@pytest.mark.parametrize("forcing", ["left", "right"])
def test_a_peer_that_encapsulates_gets_udp(world: World, left: Gateway, right: Gateway, forcing: str) -> None:
    """Its NAT_DETECTION_SOURCE_IP differs on purpose; the hashes of ``auto`` are true."""
    world.gateways[SIDES[1 - SIDES.index(forcing)]].site["host"]["transport"] = {"udp": {"encap": "auto"}}
    begin(world, {"left": {}, "right": {}})
    assert encapsulations(left) == encapsulations(right) == ["udp"]
    assert left.place.ping(INNER["right"], source=INNER["left"])


def test_the_path_mtu_of_protocol_50_is_learnt_and_eight_octets_wider(world: World, left: Gateway) -> None:
    world.world.ip("link set eth1 mtu 1400")
    world.right.ip("link set eth0 mtu 1400")
    for gateway in world.gateways.values():
        gateway.site["host"]["transport"] = {"udp": {"encap": "auto"}}
    begin(world, {"left": {}, "right": {}})
    told = lambda: ping(left, INNER["right"], source=INNER["left"], size=1390 - 28, cut="do", wait_s=1)  # noqa: E731
    until(lambda: re.search(r"mtu[ =:]+1346\b", told()), "the host hears what fits")
    assert ", 0% packet loss" in ping(left, INNER["right"], source=INNER["left"], size=1346 - 28, cut="do")

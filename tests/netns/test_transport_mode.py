"""Transport mode between two hosts, each Fynx with a TUN device: what they say to each other, nothing of it in clear.

libipsec, our other peer, has no transport mode: both ends are Fynx, and tshark with our key file reads the wire.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from fynx.errors import FynxError
from tests.netns.test_tcp import transfer
from tests.netns.wire import Wire, captured, shark
from tests.netns.world import OUTER, OUTER6, Gateway, World, until

pytestmark = pytest.mark.sanitized

CLEAR = "{0}.addr == {1} && {0}.addr == {2} && !(udp.port == 4500) && !(udp.port == 500)"
OUTER_OF = {"IPv4": OUTER, "IPv6": OUTER6}
PORT = 7788
UDP_SERVER = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as server:
    server.bind((sys.argv[1], 7788))
    print("ready", flush=True)
    while True:
        data, peer = server.recvfrom(65535)
        server.sendto(data, peer)
"""
UDP_CLIENT = """
import hashlib, os, socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as out:
    out.settimeout(5)
    out.connect((sys.argv[1], 7788))
    for size in (0, 1, 2, 15, 16, 17, 700, 1200, 1300):
        data = os.urandom(size)
        for attempt in range(5):
            out.send(data)
            try:
                back = out.recv(65535)
            except TimeoutError:
                continue
            if back == data:
                break
        else:
            sys.exit(f"{size} octets did not come back")
print("whole", end="")
"""

UDP_LARGE = """
import errno, socket, sys
version, size = (6, 4000) if ":" in sys.argv[1] else (4, 4000)
family, level, option = (socket.AF_INET6, 41, 24) if version == 6 else (socket.AF_INET, 0, 14)  # IPV6_MTU, IP_MTU
with socket.socket(family, socket.SOCK_DGRAM) as out:
    out.settimeout(2)
    out.connect((sys.argv[1], 7788))
    for attempt in range(10):
        try:
            out.send(bytes(size))
            if len(out.recv(65535)) == size:
                sys.exit(print(size, attempt > 0, end=""))
        except TimeoutError:
            continue
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            size = out.getsockopt(level, option) - (48 if version == 6 else 28)
sys.exit("nothing came back")
"""


def host_to_host(world: World, addresses: dict[str, str]) -> None:
    for side, gateway in world.gateways.items():
        gateway.peer["remote"]["address"] = addresses[gateway.other]
        gateway.child.update(local=[addresses[side]], remote=[addresses[gateway.other]], mode="transport")
        gateway.site["plugins"] = ["default", "+keylog"]
        gateway.site["host"]["keylog"] = str(gateway.folder / f"{side}.keys")


def protocols(wire: Wire, keys: Path) -> set[int]:
    """Next headers of all ESP packets so far whose tag holds."""
    return {int(text, 16) for text in shark(wire.file, keys, "esp.icv_good == 1", "esp.protocol", whole=False)}


def echoes(here: Gateway, there: Gateway, address: str, client: str = UDP_CLIENT) -> str:
    """What a client says whose datagrams come back; by itself datagrams of many sizes."""
    line = ["ip", "netns", "exec", there.place.name, "python3", "-c", UDP_SERVER, address]
    server = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        return here.place.inside("python3", "-c", client, address)
    finally:
        server.kill()
        server.communicate()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(8 << 20))
    return path


@pytest.mark.parametrize("version", ["IPv4", "IPv6"])
def test_two_hosts_ping_and_carry_tcp_and_udp_whole(
    world: World, left: Gateway, right: Gateway, file: Path, version: str
) -> None:
    addresses = OUTER_OF[version]
    host_to_host(world, addresses)
    world.start()
    left.up()
    pcap = file.with_name("outside.pcap")
    with captured(world.world, "eth0", pcap) as wire:
        assert world.left.ping(addresses["right"], count=3)
        assert world.right.ping(addresses["left"], count=3)
        assert echoes(left, right, addresses["right"]) == "whole"
        small = file.with_name("small")
        small.write_bytes(os.urandom(1000))
        assert transfer(world.left, world.right, addresses["right"], small)
        wanted = {1 if version == "IPv4" else 58, 6, 17}
        until(lambda: protocols(wire, left.folder / "left.keys") == wanted, "the capture shows all three protocols")
    assert transfer(world.left, world.right, addresses["right"], file)
    assert transfer(world.right, world.left, addresses["left"], file)
    assert [child["mode"] for peer in left.status()["peers"] for child in peer["children"]] == ["transport"]
    clear = CLEAR.format("ip" if version == "IPv4" else "ipv6", *addresses.values())
    assert not shark(pcap, left.folder / "left.keys", clear, "frame.protocols"), "in clear"
    counters = right.status()["plane"]["counters"]
    assert counters["drop_transport"] == counters["drop_next_header"] == counters["drop_integrity"] == 0


@pytest.mark.parametrize(("version", "largest"), [("IPv4", 1362), ("IPv6", 1342)])
def test_a_datagram_that_the_kernel_would_cut_is_refused_by_icmp_and_the_sender_adapts(
    world: World, left: Gateway, right: Gateway, version: str, largest: int
) -> None:
    """Transport mode seals whole datagrams (RFC 4303 section 3.3.4): EMSGSIZE, then what the device takes."""
    addresses = OUTER_OF[version]
    host_to_host(world, addresses)
    world.start()
    left.up()
    assert echoes(left, right, addresses["right"], UDP_LARGE) == f"{largest} True"
    counters = left.status()["plane"]["counters"]
    assert counters["drop_transport"] > 1, "every piece was dropped"
    assert counters["too_big_told"] == 1, "the first of a datagram was answered"


def test_a_strict_reverse_path_filter_is_named_by_status_log_and_doctor(
    world: World, left: Gateway, right: Gateway
) -> None:
    """The peer's address leads into the device, so that the kernel drops what comes from it by another."""
    for device, value in (("all", 0), ("eth0", 1)):
        world.left.inside("sh", "-c", f"echo {value} > /proc/sys/net/ipv4/conf/{device}/rp_filter")
    host_to_host(world, OUTER)
    world.start()
    what = f"nothing that {OUTER['right']} sends gets through"
    left.logs(f"rp_filter is strict on eth0: {what}")
    assert what in left.ask("status").stderr
    with pytest.raises(FynxError):
        left.up()
    doctor = [*left.line[:3], "doctor", "-c", str(left.file)]
    assert "strict on eth0: nothing that right sends" in world.left.inside(*doctor, check=False)
    world.left.inside("sh", "-c", "echo 2 > /proc/sys/net/ipv4/conf/all/rp_filter")
    left.up()
    assert world.left.ping(OUTER["right"])
    assert "rp_filter" not in left.ask("status").stderr


MASQUERADE = """
table ip nat {
  chain post { type nat hook postrouting priority srcnat; oifname "eth1" masquerade; }
}
"""
SEEN = "198.51.100.254"
"""What right sees of left behind the NAT."""


def test_behind_a_nat_tcp_udp_and_ping_pass_with_checksums_put_right(
    world: World, left: Gateway, right: Gateway, file: Path
) -> None:
    """RFC 7296 section 2.23.1, RFC 3948 section 3.1.2: left counts its own address, the stack of right sees the NAT."""
    world.world.inside("nft", "-f", "-", stdin=MASQUERADE)
    host_to_host(world, OUTER)
    left.child["local"] = ["0.0.0.0/0"]
    right.peer["remote"]["address"] = "any"
    right.child["remote"] = ["0.0.0.0/0"]
    world.start()
    left.up()
    pcap = file.with_name("outside.pcap")
    with captured(world.world, "eth1", pcap) as wire:
        assert world.left.ping(OUTER["right"], count=3)
        assert world.right.ping(SEEN, count=3)
        assert echoes(left, right, OUTER["right"]) == "whole"
        until(lambda: {1, 17} <= protocols(wire, right.folder / "right.keys"), "the capture shows what is inside")
    assert transfer(world.left, world.right, OUTER["right"], file)
    (child,) = right.status()["peers"][0]["children"]
    assert (child["mode"], child["local"], child["remote"]) == ("transport", ["198.51.100.1/32"], [f"{SEEN}/32"])
    clear = CLEAR.format("ip", OUTER["right"], SEEN)
    assert not shark(pcap, right.folder / "right.keys", clear, "frame.protocols"), "in clear"
    assert right.status()["plane"]["counters"]["drop_selectors"] == 0

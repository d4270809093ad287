"""Every offload of the plane on and off, between two gateways in namespaces: equal data, all sizes of pings."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.netns.mesh import Mesh
from tests.netns.world import INNER, NETWORK6, OUTER6, Gateway, Pair, World, until
from tests.sanitizers import Sanitized

pytestmark = pytest.mark.sanitized

NAMES = ("vnet", "uso", "gso", "gro")
OCTETS = 3_000_000
SIZES = [0, 1, 1362, 1363, 1471, 1473, 8192, 65507]
SEND = """
import hashlib, socket, sys
host, kind, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
data = hashlib.shake_128(b"what is sent").digest(count)
if kind == "tcp":
    with socket.create_connection((host, 7000), 60) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        print(s.recv(200).decode())
else:
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(60)
        size = int(kind[3:])
        if size < 1200:
            s.setsockopt(17, 103, size)
        step = size * (50 if size < 1200 else 1)
        for at in range(0, count, step):
            s.sendto(data[at : at + step], (host, 7000))
            s.recv(10)
        s.sendto(b"", (host, 7000))
        print(s.recv(200).decode())
"""
RECEIVE = """
import hashlib, socket, sys
host, kind = sys.argv[1], sys.argv[2]
family = socket.AF_INET6 if ":" in host else socket.AF_INET
found = hashlib.sha256()
with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as s:
    s.settimeout(60)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((host, 7000))
    if kind == "tcp":
        s.listen()
        print("ready", flush=True)
        c = s.accept()[0]
        while data := c.recv(1 << 16):
            found.update(data)
        c.send(found.hexdigest().encode())
    else:
        print("ready", flush=True)
        size, got = int(kind[3:]), 0
        while True:
            data, sender = s.recvfrom(1 << 16)
            if not data:
                break
            found.update(data)
            got += 1
            if size >= 1200 or got % 50 == 0 or len(data) < size:
                s.sendto(b"on", sender)
        s.sendto(found.hexdigest().encode(), sender)
"""


EVERY_PING = """
import os, socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as s:
    s.settimeout(10)
    s.bind((sys.argv[1], 0))
    s.connect((sys.argv[2], 0))
    data, equal = os.urandom(65507), 0
    for size in range(65508):
        body = data[:size]
        packet = bytes([8, 0, 0, 0, 7, 7]) + (size & 0xffff).to_bytes(2, "big") + body
        check = 0xffff - int.from_bytes(packet + bytes(len(packet) % 2), "big") % 0xffff
        s.send(packet[:2] + check.to_bytes(2, "big") + packet[4:])
        while True:
            answer = s.recv(1 << 16)[20:]
            if answer[0] == 0 and answer[4:8] == packet[4:8]:
                break
        equal += answer[8:] == body
    print(equal)
"""


@contextmanager
def receiver(place: Gateway, address: str, kind: str) -> Iterator[None]:
    line = ["ip", "netns", "exec", place.place.name, sys.executable, "-c", RECEIVE, address, kind]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            yield
            assert process.wait(60) == 0
        finally:
            process.kill()


def carry(sender: Gateway, place: Gateway, address: str, kind: str, octets: int) -> None:
    """Sends octets through the tunnel; the other side's hash of them must be right."""
    with receiver(place, address, kind):
        told = sender.place.inside(sys.executable, "-c", SEND, address, kind, str(octets), within_s=80)
    wanted = hashlib.shake_128(b"what is sent").digest(octets)
    assert told.strip() == hashlib.sha256(wanted).hexdigest()


def switched(*values: bool) -> dict[str, str]:
    return {name: "auto" if on else "off" for name, on in zip(NAMES, values, strict=True)}


def begin(world: World, options: Mapping[str, Mapping[str, str]], mtu: int = 1390, *, six: bool = False) -> None:
    for side, gateway in world.gateways.items():
        gateway.site["host"]["plane"]["tun"]["offloads"] = dict(options[side])
        gateway.child["local"].append(NETWORK6[side])
        gateway.child["remote"].append(NETWORK6[gateway.other])
        if six:
            gateway.peer["remote"]["address"] = OUTER6[gateway.other]
    world.start()
    world.gateways["left"].up()
    for gateway in world.gateways.values():
        until(gateway.established, f"a tunnel at {gateway.side}: {gateway.log()}")
        configure(gateway, NETWORK6[gateway.other], mtu)


def configure(gateway: Gateway, network6: str, mtu: int = 1390) -> None:
    gateway.place.ip(f"link set fynx0 mtu {mtu}")
    if mtu >= 1280:
        gateway.place.ip(f"route replace {network6} dev fynx0")


PAIRWISE = [
    ((True, True, True, True), (True, True, True, True)),
    ((True, True, False, False), (False, False, True, True)),
    ((True, False, True, False), (False, True, False, True)),
    ((True, False, False, True), (True, True, True, False)),
    ((False, True, True, False), (True, False, False, True)),
    ((False, False, False, False), (True, False, True, True)),
    ((False, False, True, True), (False, False, False, False)),
]
EACH = list(itertools.product((True, False), repeat=4))


def everything_passes(pair: Pair, sizes: list[int], octets: int) -> None:
    left, right = pair.left, pair.right
    for address, source in ((right.inner, left.inner), (right.inner6, left.inner6)):
        for kind in ("tcp", "udp64", "udp1200", "udp9000"):
            carry(left, right, address, kind, octets if kind == "tcp" else octets // 20)
        for size in sizes:
            assert left.place.ping(address, source=source, size=size), f"ping of {size} to {address}"
    carry(right, left, left.inner, "tcp", octets)


def drops(gateway: Gateway) -> Counter[str]:
    counters = gateway.status()["plane"]["counters"]
    named = {name: n for name, n in counters.items() if name.startswith("drop_") and name != "drop_no_policy"}
    return +Counter(named)


SPOILT = """
table {family} bad_{near} {{
  chain passing {{
    type filter hook forward priority 10;
    iifname != {{ "{near}", "{far}" }} accept
    udp dport 4500 numgen random mod 1000 < 20 counter drop
    udp dport 4500 @th,64,32 > 255 numgen random mod 1000 < 20 @th,320,8 set 0x5a
    udp dport 4500 ip{six} daddr {right} numgen random mod 1000 < 20 dup to {right} device "{far}"
    udp dport 4500 ip{six} daddr {left} numgen random mod 1000 < 20 dup to {left} device "{near}"
    udp dport 4500 numgen random mod 1000 < 100 meta priority set 1:2
  }}
}}
"""
"""Of each hundred 2 are lost, 2 have an octet changed behind their checksum, 2 come twice, 10 are overtaken."""
SLOWER = (
    "root handle 1: htb default 1",
    "parent 1: classid 1:1 htb rate 10gbit",
    "parent 1: classid 1:2 htb rate 20mbit",
)
STUBBORN = """
import hashlib, socket, sys
host, side, blocks = sys.argv[1], sys.argv[2], int(sys.argv[3])
data = hashlib.shake_128(b"what is sent").digest(1000 * blocks)
with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as s:
    if side == "send":
        s.connect((host, 7001))
        s.settimeout(0.05)
        for at in range(blocks + 1):
            block = data[1000 * at : 1000 * at + 1000] or b"end"
            for _ in range(400):
                s.send(at.to_bytes(4, "big") + block)
                try:
                    while s.recv(64)[:4] != at.to_bytes(4, "big"):
                        pass
                    break
                except TimeoutError:
                    pass
            else:
                sys.exit("no answer")
    else:
        s.bind((host, 7001))
        print("ready", flush=True)
        got = {}
        while True:
            block, sender = s.recvfrom(2000)
            s.sendto(block[:4], sender)
            if block[4:] != b"end":
                got[block[:4]] = block[4:]
                continue
            print(hashlib.sha256(b"".join(got[at] for at in sorted(got))).hexdigest(), flush=True)
"""
"""UDP as programs use it that live with loss: each datagram again until it is answered. The receiver answers until it
is killed, for the answer to the last datagram may be lost too."""


def spoil(pair: Pair) -> None:
    near, far = pair.devices
    for family, left, right in (
        ("ip", pair.left.outer, pair.right.outer),
        ("ip6", pair.left.outer6, pair.right.outer6),
    ):
        six = family.removeprefix("ip")
        rules = SPOILT.format(family=family, six=six, near=near, far=far, left=left, right=right)
        pair.world.inside("nft", "-f", "-", stdin=rules)
    for device in pair.devices:
        for line in SLOWER:
            kind = "qdisc" if line.startswith("root") else "class"
            pair.world.inside("tc", kind, "add", "dev", device, *line.split())


def heal(pair: Pair) -> None:
    for family in ("ip", "ip6"):
        pair.world.inside("nft", "delete", "table", family, f"bad_{pair.devices[0]}")
    for device in pair.devices:
        pair.world.inside("tc", "qdisc", "del", "dev", device, "root")


def stubborn(sender: Gateway, place: Gateway, address: str, blocks: int) -> None:
    program = [sys.executable, "-c", STUBBORN, address]
    line = ["ip", "netns", "exec", place.place.name, *program, "receive", str(blocks)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            sender.place.inside(*program, "send", str(blocks), within_s=60)
            wanted = hashlib.shake_128(b"what is sent").digest(1000 * blocks)
            assert process.stdout.readline().strip() == hashlib.sha256(wanted).hexdigest()
        finally:
            process.kill()


def everything_survives(pair: Pair, octets: int) -> None:
    """Loss, duplication, reordering and corruption: no wrong octet arrives, and all do that somebody sends again."""
    left, right = pair.left, pair.right
    before = drops(left), drops(right)
    spoil(pair)
    try:
        for address in (right.inner, right.inner6):
            carry(left, right, address, "tcp", octets)
            stubborn(left, right, address, 150)
        carry(right, left, left.inner, "tcp", octets)
        for size in (0, 1000, 9000):
            line = ["ping", "-n", "-c", "20", "-i", "0.01", "-W", "1", "-p", "c3", "-s", str(size), "-I", left.inner]
            told = left.place.inside(*line, right.inner, check=False)
            assert int(re.search(r"(\d+) received", told)[1]) > 0, told  # type: ignore[index]
            assert "wrong data" not in told, told
    finally:
        heal(pair)
    found = drops(left) - before[0], drops(right) - before[1]
    for name in ("drop_integrity", "drop_replay"):
        assert any(name in each for each in found), (name, found)
    assert all(set(each) <= {"drop_integrity", "drop_replay"} for each in found), found


@pytest.mark.parametrize(("near", "far"), PAIRWISE)
def test_E28_all_traffic_passes_with_offloads(world: World, near: tuple[bool, ...], far: tuple[bool, ...]) -> None:
    begin(world, {"left": switched(*near), "right": switched(*far)}, six=near[1])
    everything_passes(world.pair, SIZES, OCTETS)
    assert drops(world.gateways["left"]) == drops(world.gateways["right"]) == {}
    found = world.gateways["left"].status()["plane"]["offloads"]
    assert (found["vnet"], found["gso"], found["gro"]) == (near[0], near[2], near[3])
    everything_survives(world.pair, OCTETS // 10)
    assert world.clear() == 0


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
def test_E28_all_traffic_passes_with_all_offloads(tmp_path: Path, sanitizer: Sanitized | None, six: bool) -> None:
    """All 256 pairs of them; over an instrumented plane with less to carry."""
    octets = OCTETS // 10 if sanitizer else OCTETS
    mesh = Mesh(tmp_path, len(EACH), sanitizer)
    for nodes in mesh.nodes.values():
        for node, offloads in zip(nodes, EACH, strict=True):
            node.site["host"]["plane"]["tun"]["offloads"] = switched(*offloads)

    def passes(pair: Pair) -> None:
        left, right = pair.left, pair.right
        left.up(pair.devices[1])
        configure(left, right.network6)
        configure(right, left.network6)
        before = drops(left), drops(right)
        everything_passes(pair, SIZES, octets)
        assert (drops(left), drops(right)) == before
        everything_survives(pair, OCTETS // 10)

    try:
        mesh.start(six=six)
        failed = mesh.each_pair(passes, 4)
        assert not failed, told(failed)
        assert mesh.clear() == 0
        mesh.stop()
    finally:
        mesh.delete()
    mesh.check()


def told(failed: list[tuple[Pair, BaseException]]) -> str:
    named = (f"{pair.devices}: {type(error).__name__}: {str(error)[:500]}" for pair, error in failed)
    return f"{len(failed)} of {len(EACH) ** 2} pairs; offloads in the order of {EACH}\n" + "\n".join(named)


def test_a_frame_takes_one_call_each_way(world: World, left: Gateway, right: Gateway) -> None:
    begin(world, {"left": {}, "right": {}})
    carry(left, right, INNER["right"], "tcp", 20_000_000)
    sent, got = (gateway.status()["plane"]["rates"] for gateway in (left, right))
    assert min(sent["packets_per_read"], sent["packets_per_send"]) > 8, sent
    assert min(got["packets_per_receive"], got["packets_per_write"]) > 8, got
    assert json.loads(left.ask("status", "--json").stdout)["plane"]["offloads"]["vnet"] is True
    assert "TUN frames on" in left.ask("status").stdout


def test_segments_made_on_the_wire_come_together_again(world: World, left: Gateway, right: Gateway) -> None:
    """With no help from the devices between, as over a network card."""
    for place, device in ((left.place, "eth0"), (right.place, "eth0"), (world.world, "eth0"), (world.world, "eth1")):
        place.inside("ethtool", "-K", device, "tx-udp-segmentation", "off", "tso", "off", "gro", "on")
    begin(world, {"left": {}, "right": {}})
    carry(left, right, INNER["right"], "tcp", 10_000_000)
    rates = right.status()["plane"]["rates"]
    assert rates["packets_per_receive"] > 3, rates


@pytest.mark.parametrize("mtu", [576, 1280, 1390, 9000])
def test_every_mtu_of_the_device_carries_what_it_must(world: World, left: Gateway, right: Gateway, mtu: int) -> None:
    for place, device in ((left.place, "eth0"), (right.place, "eth0"), (world.world, "eth0"), (world.world, "eth1")):
        place.ip(f"link set {device} mtu 9216")
    begin(world, {"left": {}, "right": {}}, mtu)
    carry(left, right, INNER["right"], "tcp", OCTETS)
    for size in (0, 500, 548, 549, 1252, 1253, 8972, 8973, 65507):
        assert left.place.ping(INNER["right"], source=INNER["left"], size=size), size


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_pings_of_every_size_pass(world: World, left: Gateway, right: Gateway) -> None:
    begin(world, {"left": {}, "right": {}})
    line = (sys.executable, "-c", EVERY_PING, INNER["left"], INNER["right"])
    assert left.place.inside(*line, within_s=3500).split() == ["65508"]
    assert right.established()


def test_two_queues_that_spin_on_given_processors_carry_everything(world: World, left: Gateway, right: Gateway) -> None:
    """A sender for each queue of the device; what comes in for one SA stays in order, however many queues there are."""
    for gateway in world.gateways.values():
        gateway.site["host"]["plane"]["tun"].update(workers=2, spin_us=50, cpus=[0, 0])
    begin(world, {"left": {}, "right": {}})
    everything_passes(world.pair, [0, 1363, 8192], OCTETS)
    assert world.clear() == 0
    for gateway in (left, right):
        plane = gateway.status()["plane"]
        assert plane["threads"] >= 3, "two senders and a receiver"
        assert drops(gateway) == {}

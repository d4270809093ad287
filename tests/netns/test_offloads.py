"""Every offload of the plane on and off, between two gateways in namespaces: equal data, all sizes of pings."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from tests.netns.world import INNER, INNER6, NETWORK6, OUTER6, Gateway, World, until

NAMES = ("vnet", "uso", "gso", "gro")
OCTETS = 3_000_000
SEND = """
import hashlib, socket, sys
host, kind, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
data = hashlib.shake_128(b"what is sent").digest(count)
if kind == "tcp":
    with socket.create_connection((host, 7000), 10) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        print(s.recv(200).decode())
else:
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(10)
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
    s.settimeout(15)
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


@contextmanager
def receiver(place: Gateway, address: str, kind: str) -> Iterator[None]:
    line = ["ip", "netns", "exec", place.place.name, sys.executable, "-c", RECEIVE, address, kind]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
        assert process.wait(15) == 0


def carry(sender: Gateway, place: Gateway, address: str, kind: str, octets: int) -> None:
    """Sends octets through the tunnel; the other side's hash of them must be right."""
    with receiver(place, address, kind):
        told = sender.place.inside(sys.executable, "-c", SEND, address, kind, str(octets))
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
        gateway.place.ip(f"link set fynx0 mtu {mtu}")
        if mtu < 1280:
            return
        gateway.place.ip(f"route replace {NETWORK6[gateway.other]} dev fynx0")


PAIRWISE = [
    ((True, True, True, True), (True, True, True, True)),
    ((True, True, False, False), (False, False, True, True)),
    ((True, False, True, False), (False, True, False, True)),
    ((True, False, False, True), (True, True, True, False)),
    ((False, True, True, False), (True, False, False, True)),
    ((False, False, False, False), (True, False, True, True)),
    ((False, False, True, True), (False, False, False, False)),
]
ALL = [(first, second) for first in itertools.product((True, False), repeat=4)
       for second in itertools.product((True, False), repeat=4)]  # fmt: skip


def everything_passes(world: World, sizes: list[int], octets: int) -> None:
    left, right = world.gateways["left"], world.gateways["right"]
    for address in (INNER["right"], INNER6["right"]):
        source = INNER["left"] if address in INNER.values() else INNER6["left"]
        for kind in ("tcp", "udp64", "udp1200", "udp9000"):
            carry(left, right, address, kind, octets if kind == "tcp" else octets // 20)
        for size in sizes:
            assert left.place.ping(address, source=source, size=size), f"ping of {size} to {address}"
    carry(right, left, INNER["left"], "tcp", octets)
    assert world.clear() == 0


def drops(gateway: Gateway) -> dict[str, int]:
    counters = gateway.status()["plane"]["counters"]
    return {name: n for name, n in counters.items() if name.startswith("drop_") and n and name != "drop_no_policy"}


@pytest.mark.parametrize(("near", "far"), PAIRWISE)
def test_E28_all_traffic_passes_with_offloads(world: World, near: tuple[bool, ...], far: tuple[bool, ...]) -> None:
    begin(world, {"left": switched(*near), "right": switched(*far)}, six=near[1])
    everything_passes(world, [0, 1, 1362, 1363, 1471, 1473, 8192, 65507], OCTETS)
    assert drops(world.gateways["left"]) == drops(world.gateways["right"]) == {}
    found = world.gateways["left"].status()["plane"]["offloads"]
    assert (found["vnet"], found["gso"], found["gro"]) == (near[0], near[2], near[3])


@pytest.mark.long
@pytest.mark.parametrize(("near", "far"), ALL)
def test_E28_all_traffic_passes_with_all_offloads(world: World, near: tuple[bool, ...], far: tuple[bool, ...]) -> None:
    begin(world, {"left": switched(*near), "right": switched(*far)})
    everything_passes(world, [0, 1, 1362, 1363, 1471, 1473, 8192, 65507], OCTETS)


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
def test_pings_of_every_size_pass(world: World, left: Gateway, right: Gateway) -> None:
    begin(world, {"left": {}, "right": {}})
    lost: list[str] = []

    def sweep(first: int) -> None:
        ping = f"ping -nqc1 -W2 -s $n -I {INNER['left']} {INNER['right']}"
        line = f"for n in $(seq {first} 4 65507); do {ping} || echo LOST $n; done"
        told = left.place.inside("sh", "-c", line, within_s=3000)
        lost.extend(re.findall(r"LOST \d+", told))

    threads = [threading.Thread(target=sweep, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lost == []
    assert right.established()


def test_two_queues_that_spin_on_given_processors_carry_everything(world: World, left: Gateway, right: Gateway) -> None:
    """A sender for each queue of the device; what comes in for one SA stays in order, however many queues there are."""
    for gateway in world.gateways.values():
        gateway.site["host"]["plane"]["tun"].update(workers=2, spin_us=50, cpus=[0, 0])
    begin(world, {"left": {}, "right": {}})
    everything_passes(world, [0, 1363, 8192], OCTETS)
    for gateway in (left, right):
        plane = gateway.status()["plane"]
        assert plane["threads"] >= 3, "two senders and a receiver"
        assert drops(gateway) == {}

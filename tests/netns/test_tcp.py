"""TCP through the tunnel never stalls: between the gateways, and between hosts that know nothing of its MTU."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.netns.world import INNER, INNER6, NETWORK6, Gateway, Place, World, run

SIZE = 16 << 20
SERVER = """
import hashlib, socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.create_server((sys.argv[1], 7777), family=family) as server:
    print("ready", flush=True)
    peer, _ = server.accept()
    seen = hashlib.sha256()
    while data := peer.recv(1 << 16):
        seen.update(data)
    print(seen.hexdigest(), flush=True)
"""
CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], 7777), timeout=80) as out, open(sys.argv[2], "rb") as file:
    out.sendfile(file)
"""


def transfer(source: Place, target: Place, address: str, file: Path) -> bool:
    """Whether the file's octets arrive, compared by SHA-256."""
    server = subprocess.Popen(
        ["ip", "netns", "exec", target.name, "python3", "-c", SERVER, address], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        source.inside("python3", "-c", CLIENT, address, str(file), within_s=100)
        return server.stdout.readline().strip() == hashlib.sha256(file.read_bytes()).hexdigest()
    finally:
        server.kill()
        server.communicate()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.fixture
def host(world: World) -> Iterator[Place]:
    """A host in left's network that believes in 1500 octets everywhere."""
    place = Place("host")
    try:
        run("ip", "-n", place.name, "link", "add", "eth0", "type", "veth", "peer", "lan0", "netns", world.left.name)
        place.ip("addr add 10.1.5.5/24 dev eth0", "link set eth0 up", "route add default via 10.1.5.254")
        world.left.ip("addr add 10.1.5.254/24 dev lan0", "link set lan0 up")
        world.left.inside("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        yield place
    finally:
        place.delete()


@pytest.mark.parametrize("inner", ["IPv4", "IPv6"])
def test_a_transfer_each_way_arrives_whole_and_unseen(
    world: World, left: Gateway, right: Gateway, file: Path, inner: str
) -> None:
    if inner == "IPv6":
        left.child.update(local=[NETWORK6["left"]], remote=[NETWORK6["right"]])
        right.child.update(local=[NETWORK6["right"]], remote=[NETWORK6["left"]])
    addresses = {"IPv4": INNER, "IPv6": INNER6}[inner]
    world.start()
    left.up()
    assert transfer(world.left, world.right, addresses["right"], file)
    assert transfer(world.right, world.left, addresses["left"], file)
    assert world.clear() == 0


@pytest.mark.parametrize("esp", ["aes256gcm16iiv", "aes256-sha512", "chacha20poly1305"])
def test_a_host_behind_the_gateway_learns_the_mtu_whatever_the_suite(
    world: World, left: Gateway, host: Place, file: Path, esp: str
) -> None:
    """The default MTU fits the largest overhead, so that no suite makes outer fragments or lost segments."""
    for gateway in world.gateways.values():
        gateway.child["esp"] = [esp]
    world.start()
    left.up()
    assert transfer(host, world.right, INNER["right"], file)
    assert transfer(world.right, host, "10.1.5.5", file)
    assert world.clear() == 0

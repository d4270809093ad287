"""The loops between a device and sockets; a pair of datagram sockets stands for the TUN device."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from fynx.esp.engine import Engine
from fynx.plugin.dataplane import Acquire, Policy
from fynx.plugin.transport import Path
from tests.unit.esp.workshop import child, inbound, ipv4, make, mirror, network, outbound, udp


@dataclass(slots=True)
class Gateway:
    """An engine between an inner device, whose other end is ``host``, and an outer socket."""

    engine: Engine
    host: socket.socket
    device: socket.socket
    sock: socket.socket

    @property
    def port(self) -> int:
        return int(self.sock.getsockname()[1])

    def path_to(self, other: Gateway) -> Path:
        return Path("127.0.0.1", self.port, "127.0.0.1", other.port)


@contextlib.contextmanager
def gateway() -> Iterator[Gateway]:
    host, device = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    host.settimeout(40)
    with host, device, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        made = Gateway(make(inproc=False), host, device, sock)
        made.engine.add_socket(sock.fileno(), socket.AF_INET, made.port)
        made.engine.add_tun(device.fileno(), 1400)
        made.engine.start()
        yield made
        made.engine.stop()


@pytest.fixture
def pair() -> Iterator[tuple[Gateway, Gateway]]:
    with gateway() as left, gateway() as right:
        spec = child(path=left.path_to(right))
        left.engine.install(spec)
        right.engine.install(mirror(spec, path=right.path_to(left)))
        yield left, right


def test_packets_pass_from_device_to_device_in_order(pair: tuple[Gateway, Gateway]) -> None:
    left, right = pair
    for n in range(200):
        left.host.send(outbound(bytes([n]) * (n * 6)))
        assert right.host.recv(65535) == outbound(bytes([n]) * (n * 6))
    right.host.send(inbound(b"answer"))
    assert left.host.recv(65535) == inbound(b"answer")
    assert left.engine.counters()["tun_reads"] >= 200
    assert left.engine.status()["threads"] == 2


def test_a_burst_travels_in_few_system_calls(pair: tuple[Gateway, Gateway]) -> None:
    left, right = pair
    for burst in range(20):
        for n in range(8):
            left.host.send(outbound(bytes([burst, n])))
    got = [right.host.recv(65535) for _ in range(160)]
    assert got == [outbound(bytes([burst, n])) for burst in range(20) for n in range(8)]
    assert left.engine.counters()["sends"] <= left.engine.counters()["packets_out"] == 160


def test_E25_without_an_sa_a_packet_from_the_device_goes_nowhere() -> None:
    with gateway() as left:
        left.engine.policies([Policy("protect", (network("198.18.1.0/24"),), (network("0.0.0.0/0"),), 9, "hq", "lan")])
        left.host.send(outbound())
        assert select.select([left.engine.event_fd], [], [], 40)[0]
        assert [type(each) for each in left.engine.drain()] == [Acquire]
        assert left.engine.counters()["sends"] == 0


def test_E25_bypass_has_no_way_through_a_device(pair: tuple[Gateway, Gateway]) -> None:
    left, right = pair
    left.engine.policies([Policy("bypass", (network("198.18.1.9/32"),), (network("0.0.0.0/0"),), 9)])
    other = ipv4("198.18.1.10", "198.18.2.7", udp(1, 2))
    left.host.send(outbound())
    left.host.send(other)
    assert right.host.recv(65535) == other, "the one after it"
    assert left.engine.counters()["drop_bypass_unsupported"] == 1
    assert left.engine.counters()["packets_out"] == 1


def test_E30_a_device_that_goes_away_costs_counters_and_no_processor(pair: tuple[Gateway, Gateway]) -> None:
    left, right = pair
    left.host.close()
    right.host.send(inbound())
    assert select.select([right.engine.event_fd, left.engine.event_fd], [], [], 0.3)[0] == []
    right.sock.sendto(b"\0\0\0\0IKE", ("127.0.0.1", left.port))
    assert select.select([left.engine.event_fd], [], [], 40)[0], "the receiver lives"
    counted = left.engine.counters()
    assert counted["drop_tun_write"] == 1
    assert counted["tun_reads"] < 100, "the sender does not spin"
    assert left.engine.status()["running"]


def test_an_sa_whose_path_has_no_socket_of_ours_sends_nothing_and_says_so(pair: tuple[Gateway, Gateway]) -> None:
    left, right = pair
    nowhere = Path("::1", left.port, "::1", right.port)
    left.engine.move(1, nowhere, encap=True)
    left.host.send(outbound())
    for _ in range(5000):
        if left.engine.counters()["drop_no_socket"]:
            break
        select.select([], [], [], 0.001)
    assert left.engine.counters()["drop_no_socket"] == 1
    left.engine.move(1, left.path_to(right), encap=True)
    left.host.send(outbound(b"the one after it"))
    assert right.host.recv(65535) == outbound(b"the one after it")


def test_what_the_control_side_does_not_fetch_is_dropped_and_counted(pair: tuple[Gateway, Gateway]) -> None:
    left, right = pair
    message = b"\0\0\0\0" + bytes(8000)
    for _ in range(2000):
        right.sock.sendto(message, ("127.0.0.1", left.port))
        if left.engine.counters()["drop_upcall_full"]:
            break
    else:
        pytest.fail("never full")
    left.host.send(outbound())
    assert right.host.recv(65535) == outbound(), "ESP goes on"
    assert left.engine.drain(), "and so does the control side"

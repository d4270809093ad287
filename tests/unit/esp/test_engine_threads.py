"""The engine with its own threads on loopback sockets: demultiplexing, source addresses, changes without a stop."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from fynx.errors import StateError
from fynx.esp.engine import Engine
from fynx.plugin.dataplane import IkeArrived, PathSeen, UnknownSpi, Upcall
from fynx.plugin.transport import Path
from tests.unit.esp.workshop import child, inbound, lane, make, mirror, network, outbound

LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
OUTER = pytest.mark.parametrize("family", LOOPBACK, ids=["ipv4", "ipv6"])


@dataclass(slots=True)
class Site:
    """An engine on one socket."""

    engine: Engine
    sock: socket.socket
    address: str

    @property
    def port(self) -> int:
        return int(self.sock.getsockname()[1])

    def path_to(self, other: Site) -> Path:
        return Path(self.address, self.port, other.address, other.port)

    def inner(self, count: int) -> list[bytes]:
        """Waits until that many packets came in."""
        found: list[bytes] = []
        while len(found) < count and select.select([self.engine.inner_fd], [], [], 40)[0]:
            found += self.engine.recv_inner()
        return found

    def upcalls(self, count: int) -> list[Upcall]:
        found: list[Upcall] = []
        while len(found) < count and select.select([self.engine.event_fd], [], [], 40)[0]:
            found += self.engine.drain()
        return found


@contextlib.contextmanager
def site(family: int, address: str | None = None) -> Iterator[Site]:
    address = address or LOOPBACK[socket.AddressFamily(family)]
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind(("0.0.0.0" if family == socket.AF_INET else "::", 0))
        made = Site(make(), sock, address)
        made.engine.add_socket(sock.fileno(), family, made.port)
        made.engine.start()
        yield made
        made.engine.stop()


@contextlib.contextmanager
def pair(family: int) -> Iterator[tuple[Site, Site]]:
    with site(family) as left, site(family) as right:
        spec = child(path=left.path_to(right), window=4096)
        left.engine.install(spec)
        right.engine.install(mirror(spec, path=right.path_to(left)))
        yield left, right


@OUTER
def test_packets_travel_in_order_between_two_engines(family: int) -> None:
    with pair(family) as (left, right):
        packets = [outbound(bytes([n % 256]) * n) for n in range(300)]
        assert left.engine.send_inner(packets) == []
        assert right.inner(300) == packets
        answers = [inbound(bytes([n])) for n in range(100)]
        right.engine.send_inner(answers)
        assert left.inner(100) == answers
        assert left.engine.counters()["packets_in"] == 100


@OUTER
def test_E20_datagrams_are_sorted_by_their_first_octets(family: int) -> None:
    with pair(family) as (left, right):
        target = (right.address, right.port)
        for datagram in (
            b"\xff",
            b"",
            b"\xff\xff",
            b"\0\0\0",
            b"\0\0\0\0IKE message",
            b"\0\0\0\0",
            b"\1\2\3\4" + bytes(40),
        ):
            left.sock.sendto(datagram, target)
        path = right.path_to(left)
        assert right.upcalls(3) == [
            IkeArrived(path, b"IKE message"),
            IkeArrived(path, b""),
            UnknownSpi(path, 0x1020304),
        ]
        counted = right.engine.counters()
        assert (counted["keepalives"], counted["drop_short"], counted["ike_messages"]) == (1, 3, 2)


def test_a_large_ike_message_arrives_whole() -> None:
    with pair(socket.AF_INET) as (left, right):
        message = bytes(range(256)) * 250
        left.sock.sendto(b"\0\0\0\0" + message, (right.address, right.port))
        assert right.upcalls(1) == [IkeArrived(right.path_to(left), message)]


def test_replies_leave_from_the_address_of_the_path() -> None:
    with site(socket.AF_INET, "127.0.0.9") as left, site(socket.AF_INET, "127.0.0.77") as right:
        spec = child(path=left.path_to(right))
        left.engine.install(spec)
        right.engine.install(mirror(spec, path=Path("127.0.0.77", right.port, "127.0.0.1", left.port)))
        left.engine.send_inner([outbound()])
        assert right.inner(1) == [outbound()]
        assert right.upcalls(1) == [PathSeen(1, Path("127.0.0.77", right.port, "127.0.0.9", left.port))]


def test_ipv4_over_a_socket_for_both_families_is_shown_as_ipv4() -> None:
    with site(socket.AF_INET6, "127.0.0.1") as both, site(socket.AF_INET) as four:
        spec = child(path=both.path_to(four))
        both.engine.install(spec)
        four.engine.install(mirror(spec, path=four.path_to(both)))
        both.engine.send_inner([outbound()])
        assert four.inner(1) == [outbound()]
        four.engine.send_inner([inbound()])
        assert both.inner(1) == [inbound()]
        four.sock.sendto(b"\0\0\0\0x", ("127.0.0.1", both.port))
        assert both.upcalls(1) == [IkeArrived(both.path_to(four), b"x")]


def test_port_500_carries_ike_without_a_marker() -> None:
    engine = make()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far,
    ):
        sock.bind(("127.0.0.1", 0))
        far.bind(("127.0.0.1", 0))
        engine.add_socket(sock.fileno(), socket.AF_INET, 500)
        engine.start()
        far.sendto(b"\1\2\3\4 an SPI, not ESP", sock.getsockname())
        assert select.select([engine.event_fd], [], [], 40)[0]
        path = Path("127.0.0.1", 500, "127.0.0.1", far.getsockname()[1])
        assert engine.drain() == [IkeArrived(path, b"\1\2\3\4 an SPI, not ESP")]
        engine.stop()


def test_a_peer_that_is_not_there_costs_counters_only() -> None:
    with site(socket.AF_INET) as left:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
            gone.bind(("127.0.0.1", 0))
            port = gone.getsockname()[1]
        left.engine.install(child(path=Path("127.0.0.1", left.port, "127.0.0.1", port)))
        for _ in range(20):
            left.engine.send_inner([outbound()] * 10)
        left.engine.move(1, Path("127.0.0.1", left.port, "255.255.255.255", 9), True)
        left.engine.send_inner([outbound()] * 3)
        assert left.engine.counters()["drop_send_error"] == 3, "broadcast is not allowed"
        assert left.engine.status()["running"]


def test_sas_change_while_packets_flow() -> None:
    with pair(socket.AF_INET) as (left, right):
        halt = threading.Event()

        def stream() -> None:
            while not halt.is_set():
                left.engine.send_inner([outbound(bytes(200))] * 32)

        sender = threading.Thread(target=stream)
        sender.start()
        try:
            for handle in range(2, 60):
                there = (network(f"198.18.{handle}.0/24"),)
                left.engine.install(
                    child(handle, spi_in=left.engine.reserve_spi(), path=left.path_to(right), remote_ts=there)
                )
                left.engine.remove(handle)
                left.engine.policies([])
                left.engine.move(1, left.path_to(right), True)
                right.engine.recv_inner()
        finally:
            halt.set()
            sender.join()
        assert left.engine.usage(1).packets_out > 0
        assert left.engine.status()["retired"] == 0
        sent, counted = left.engine.usage(1).packets_out, right.engine.counters()
        assert counted["packets_in"] <= sent
        # A busy machine may deliver one processor's backlog so late that it lies left of the window.
        dropped = {name for name, n in counted.items() if name.startswith("drop_") and n}
        assert dropped <= {"drop_inner_full", "drop_replay"}
        assert counted["drop_replay"] < sent // 10


def test_sockets_and_devices_come_before_the_start_and_before_sas() -> None:
    with site(socket.AF_INET) as left:
        with pytest.raises(StateError):
            left.engine.add_socket(left.sock.fileno(), socket.AF_INET, 1)
        with pytest.raises(StateError):
            left.engine.start()
    made = lane().engine
    with pytest.raises(StateError):
        made.add_tun(0, 1400)


def test_a_stop_is_idempotent_and_leaves_no_thread() -> None:
    with site(socket.AF_INET) as left:
        assert left.engine.status()["threads"] == 1
        left.engine.stop()
        left.engine.stop()
        assert left.engine.status()["threads"] == 0
        assert not left.engine.status()["running"]


def test_the_threads_take_no_signal_from_the_interpreter() -> None:
    caught: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _frame: caught.append(number))
    try:
        with pair(socket.AF_INET) as (left, right):
            for _ in range(50):
                signal.raise_signal(signal.SIGUSR1)
                left.engine.send_inner([outbound()])
            assert len(right.inner(50)) == 50
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(caught) == 50

"""What comes in for one port goes to one of several sockets by the first octet of the SPI, and nothing else does."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from fynx_plugins.tun.spread import MOST, siblings, ways

HOSTS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


@pytest.fixture(params=HOSTS, ids=["IPv4", "IPv6"])
def first(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    with socket.socket(request.param, socket.SOCK_DGRAM) as sock:
        sock.bind((HOSTS[request.param], 0))
        yield sock


@pytest.mark.parametrize("count", [2, 3, 5, MOST])
def test_the_first_octet_of_the_spi_chooses_the_socket(first: socket.socket, count: int) -> None:
    with ExitStack() as stack:
        all_of_them = [first]
        all_of_them += [stack.enter_context(each) for each in siblings(first.fileno(), first.family, count - 1)]
        sender = stack.enter_context(socket.socket(first.family, socket.SOCK_DGRAM))
        for octet in (*range(20), 127, 128, 254, 255):
            datagram = bytes([octet]) + bytes(59)
            sender.sendto(datagram, first.getsockname())
            assert all_of_them[octet % count].recv(100, socket.MSG_DONTWAIT) == datagram


def test_ike_and_keepalives_stay_with_the_first(first: socket.socket) -> None:
    with ExitStack() as stack:
        for each in siblings(first.fileno(), first.family, 3):
            stack.enter_context(each)
        sender = stack.enter_context(socket.socket(first.family, socket.SOCK_DGRAM))
        for datagram in (bytes(4) + bytes([1] * 28), b"\xff", b"\xff\xff\xff", b""):
            sender.sendto(datagram, first.getsockname())
            assert first.recv(100, socket.MSG_DONTWAIT) == datagram


def test_the_sockets_of_a_plane_are_bounded() -> None:
    assert [ways(workers, 2) for workers in (1, 2, 3, 8, 15)] == [1, 2, 3, 8, 8]
    assert [ways(15, sockets) for sockets in (0, 1, 4, 16, 40)] == [15, 15, 4, 1, 1]

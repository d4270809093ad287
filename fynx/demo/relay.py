"""The outside of the demo without devices: a relay between two UDP ports that keeps and repeats datagrams."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time

from fynx.demo.capture import Packet
from fynx.demo.inner import UDP, ipv4

HOST = "127.0.0.1"
BUFFER = 1 << 22


class Relay:
    """Alice sends to our port ``ports[0]``, Bob to ``ports[1]``; what comes in at one goes out at the other.

    ``packets`` are IPv4 packets as they would look between the two, without a link header.
    """

    def __init__(self, alice_port: int, bob_port: int) -> None:
        self.packets: list[Packet] = []
        self._ends = [(HOST, alice_port), (HOST, bob_port)]
        self._sockets = [bound(), bound()]
        self._selector = selectors.DefaultSelector()
        for index, one in enumerate(self._sockets):
            self._selector.register(one, selectors.EVENT_READ, index)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    @property
    def ports(self) -> tuple[int, int]:
        first, second = (one.getsockname()[1] for one in self._sockets)
        return first, second

    def repeat_to_bob(self, payloads: list[bytes]) -> None:
        for payload in payloads:
            self._sockets[1].sendto(payload, self._ends[1])

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._selector.close()
        for one in self._sockets:
            one.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            for key, _ in self._selector.select(0.05):
                self._pass(int(key.data))

    def _pass(self, index: int) -> None:
        try:
            while True:
                data = self._sockets[index].recv(65535)
                source, destination = self._ends[index], self._ends[1 - index]
                head = struct.pack("!HHHH", source[1], destination[1], 8 + len(data), 0)
                loopback = socket.inet_aton(HOST)
                self.packets.append(Packet(time.time_ns(), ipv4(loopback, loopback, UDP, head + data)))
                self._sockets[1 - index].sendto(data, destination)
        except BlockingIOError:
            return


def bound() -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    one.setblocking(False)
    one.bind((HOST, 0))
    return one


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((HOST, 0))
        return int(one.getsockname()[1])

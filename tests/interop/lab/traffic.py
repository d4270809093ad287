"""Traffic through the tunnel: ICMP echo and TCP, from sockets opened inside the namespaces."""

from __future__ import annotations

import hashlib
import os
import select
import socket
import struct
import threading
import time
from contextlib import suppress

from lab.ikewire import stray_init
from lab.netns import Namespace

PATIENCE_S = 10.0
"""For how long echoes may stay away on a busy machine before they are called lost."""
ECHO = {4: (8, 0), 6: (128, 129)}


def _family(address: str) -> int:
    return 6 if ":" in address else 4


def _checksum(data: bytes) -> int:
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def _echo_socket(source: str, version: int) -> socket.socket:
    family, protocol = (socket.AF_INET, socket.IPPROTO_ICMP) if version == 4 else (socket.AF_INET6, 58)
    echo = socket.socket(family, socket.SOCK_RAW, protocol)
    echo.bind((source, 0))
    return echo


def ping(
    namespace: Namespace, source: str, target: str, *, count: int = 3, size: int = 56, wait_s: float = 20.0
) -> int:
    """Send ``count`` echo requests one after the other; how many answers came back unaltered within ``wait_s`` each."""
    version = _family(target)
    request_type, _ = ECHO[version]
    identifier = os.getpid() & 0xFFFF
    with namespace.inside(lambda: _echo_socket(source, version)) as echo:
        answered = 0
        for sequence in range(count):
            body = struct.pack("!HH", identifier, sequence) + os.urandom(size)
            head = struct.pack("!BBH", request_type, 0, 0)
            if version == 4:
                head = struct.pack("!BBH", request_type, 0, _checksum(head + body))
            with suppress(OSError):  # no route yet counts as no answer
                echo.sendto(head + body, (target, 0))
            answered += _answered(echo, version, body, time.monotonic() + wait_s)
        return answered


def _answered(echo: socket.socket, version: int, body: bytes, deadline: float) -> bool:
    _, answer_type = ECHO[version]
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([echo], [], [], left)[0]:
            return False
        data = echo.recv(65535)
        icmp = data[(data[0] & 15) * 4 :] if version == 4 else data
        if icmp[0] == answer_type and icmp[4:] == body:
            return True
    return False


class Stream:
    """Echo requests at a steady pace from a thread of its own while the block runs; ``lost`` counts afterwards."""

    def __init__(self, namespace: Namespace, source: str, target: str, *, pace_s: float = 0.01) -> None:
        assert _family(target) == 4
        self._echo = namespace.inside(lambda: _echo_socket(source, 4))
        self._echo.settimeout(0.01)
        self._target, self._pace_s = target, pace_s
        self._identifier = os.urandom(2)
        self._sent = 0
        self._answered: set[int] = set()
        self._stopping = threading.Event()
        self._asking, self._hearing = threading.Thread(target=self._ask), threading.Thread(target=self._hear)

    def __enter__(self) -> Stream:
        self._asking.start()
        self._hearing.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._asking.join()
        self._hearing.join()
        self._echo.close()

    @property
    def sent(self) -> int:
        return self._sent

    @property
    def lost(self) -> int:
        return self._sent - len(self._answered)

    def _ask(self) -> None:
        while not self._stopping.is_set():
            body = self._identifier + struct.pack("!HI", self._sent & 0xFFFF, self._sent)
            head = struct.pack("!BBH", 8, 0, _checksum(b"\x08\0\0\0" + body))
            with suppress(OSError):
                self._echo.sendto(head + body, (self._target, 0))
            self._sent += 1
            time.sleep(self._pace_s)

    def _hear(self) -> None:
        """Until nothing is missing after the last request, or nothing has come for a long time."""
        quiet_since = time.monotonic()
        while self._asking.is_alive() or (self.lost and time.monotonic() - quiet_since < PATIENCE_S):
            try:
                data = self._echo.recv(2048)
            except TimeoutError:
                continue
            icmp = data[(data[0] & 15) * 4 :]
            if icmp[0] == 0 and icmp[4:6] == self._identifier:
                self._answered.add(int.from_bytes(icmp[8:12]))
                quiet_since = time.monotonic()


def transfer(
    sender: Namespace,
    source: str,
    receiver: Namespace,
    target: str,
    *,
    size: int,
    port: int = 0,
    within_s: float = 60.0,
) -> tuple[str, str]:
    """Send ``size`` random octets by TCP; the SHA-256 of what was sent and of what arrived.

    Raises OSError (a time-out is one) when the connection cannot be made.
    """
    payload = os.urandom(size)
    family = socket.AF_INET6 if _family(target) == 6 else socket.AF_INET
    server = receiver.inside(lambda: socket.create_server((target, port), family=family))
    digest = hashlib.sha256()

    def take() -> None:
        server.settimeout(within_s)
        with suppress(OSError):
            connection, _ = server.accept()
            with connection:
                connection.settimeout(within_s)
                while block := connection.recv(65536):
                    digest.update(block)

    reader = threading.Thread(target=take)
    reader.start()
    try:
        with sender.inside(lambda: socket.socket(family)) as client:
            client.settimeout(within_s)
            client.bind((source, 0))
            client.connect((target, server.getsockname()[1]))
            client.sendall(payload)
            client.shutdown(socket.SHUT_WR)
            reader.join(within_s)
    finally:
        reader.join(1.0)
        server.close()
    return hashlib.sha256(payload).hexdigest(), digest.hexdigest()


def send_stray_init(namespace: Namespace, target: str) -> None:
    """An IKE_SA_INIT of nobody, answered to nobody: the responder has a half-open IKE SA afterwards."""
    with namespace.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as stray:
        stray.settimeout(20.0)
        stray.sendto(stray_init(), (target, 500))
        stray.recv(4096)

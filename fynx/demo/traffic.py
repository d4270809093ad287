"""Traffic through the tunnel: ping, a file over TCP compared by SHA-256, and as much TCP as goes."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fynx.demo.namespace import DemoError, Place, sh

PORT = 7296
CHUNK = 1 << 16
PATIENCE_S = 90.0


@dataclass(frozen=True, slots=True)
class Pings:
    sent: int
    received: int
    average_ms: float


def ping(source: Place, destination: Place, count: int = 5) -> Pings:
    """Pings between the inner addresses; a lost reply is a number, not an error."""
    with source.entered():
        try:
            text = sh(f"ping -n -c {count} -i 0.2 -W 10 -I {source.inner} {destination.inner}")
        except DemoError as error:
            text = str(error)
    seen = re.search(r"(\d+) packets transmitted, (\d+) received", text)
    average = re.search(r"= [\d.]+/([\d.]+)/", text)
    return Pings(
        int(seen[1]) if seen else count, int(seen[2]) if seen else 0, float(average[1]) if average else float("nan")
    )


@dataclass(slots=True)
class Stream:
    """A TCP connection between the inner addresses: a thread at the far end takes what we send."""

    source: Place
    destination: Place
    count: int = 0
    digest: str = ""
    seconds: float = 0.0
    _errors: list[BaseException] = field(default_factory=list)

    def send(self, write: Callable[[socket.socket], None], *, hashed: bool) -> None:
        """Connects, lets ``write`` send, waits until the far end has it all. Raises DemoError."""
        with self.destination.entered():
            listener = socket.create_server((self.destination.inner, PORT))
        listener.settimeout(PATIENCE_S)
        receiver = threading.Thread(target=self._receive, args=(listener, hashed), daemon=True)
        receiver.start()
        began = time.monotonic()
        try:
            with self.source.entered():
                line = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            with line:
                line.settimeout(PATIENCE_S)
                line.bind((self.source.inner, 0))
                line.connect((self.destination.inner, PORT))
                write(line)
            receiver.join(PATIENCE_S)
        except OSError as error:
            raise DemoError(f"TCP through the tunnel: {error}") from error
        finally:
            listener.close()
        self.seconds = time.monotonic() - began
        if self._errors or receiver.is_alive():
            raise DemoError(f"TCP through the tunnel: {self._errors[0] if self._errors else 'the far end got no end'}")

    def _receive(self, listener: socket.socket, hashed: bool) -> None:
        digest = hashlib.sha256()
        try:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(PATIENCE_S)
                while data := connection.recv(CHUNK):
                    self.count += len(data)
                    if hashed:
                        digest.update(data)
        except OSError as error:
            self._errors.append(error)
        self.digest = digest.hexdigest()


def transfer(source: Place, destination: Place, content: bytes) -> Stream:
    """Sends ``content``; the stream has the number of octets and the SHA-256 that arrived."""
    stream = Stream(source, destination)
    stream.send(lambda line: line.sendall(content), hashed=True)
    return stream


def flood(source: Place, destination: Place, seconds: float) -> Stream:
    """Sends zeros for some seconds."""
    stream = Stream(source, destination)
    block = bytes(CHUNK)

    def write(line: socket.socket) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            line.sendall(block)

    stream.send(write, hashed=False)
    return stream

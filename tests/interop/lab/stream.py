"""Numbered packets through a tunnel in both directions without pause, so that each one that is lost can be named."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from lab.netns import Namespace

PAUSE_S = 0.004
PORT = 5005
PATIENCE_S = 10.0
"""For how long echoes may stay away on a busy machine before they are called lost."""


@dataclass
class Stream:
    """``sent`` numbers went out from left, ``lost`` of them did not come back from right's echo."""

    sent: int = 0
    echoed: set[int] = field(default_factory=set)

    @property
    def lost(self) -> list[int]:
        return [number for number in range(self.sent) if number not in self.echoed]


@contextmanager
def stream(left: Namespace, source: str, right: Namespace, target: str) -> Iterator[Stream]:
    """Runs while the block does, then until nothing is missing or nothing has come for a long time."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    echo = right.inside(lambda: _bound(family, target, PORT))
    client = left.inside(lambda: _bound(family, source, 0))
    client.connect((target, PORT))
    counted, ending, over = Stream(), threading.Event(), threading.Event()

    def answer() -> None:
        while not over.is_set():
            with suppress(OSError):
                data, sender = echo.recvfrom(2048)
                echo.sendto(data, sender)

    def ask() -> None:
        while not ending.is_set():
            with suppress(OSError):
                client.send(struct.pack("!I", counted.sent) + bytes(60))
            counted.sent += 1
            time.sleep(PAUSE_S)

    def hear() -> None:
        while not over.is_set():
            with suppress(OSError):
                counted.echoed.add(struct.unpack("!I", client.recv(2048)[:4])[0])

    asking, *others = (threading.Thread(target=work) for work in (ask, answer, hear))
    for thread in (asking, *others):
        thread.start()
    try:
        yield counted
        ending.set()
        asking.join()
        _settled(counted)
    finally:
        ending.set()
        over.set()
        for thread in (asking, *others):
            thread.join()
        echo.close()
        client.close()


def _settled(counted: Stream) -> None:
    heard, since = -1, time.monotonic()
    while counted.lost and time.monotonic() - since < PATIENCE_S:
        if len(counted.echoed) != heard:
            heard, since = len(counted.echoed), time.monotonic()
        time.sleep(PAUSE_S)


def _bound(family: int, address: str, port: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.bind((address, port))
    made.settimeout(0.2)
    return made

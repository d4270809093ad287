"""Numbered packets through a tunnel, on several flows at once, for as long as a test wants: what is missing is lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.netns.world import Gateway

SEND = """
import select, socket, sys, time
host, number = sys.argv[1], 0
flows = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(16)]
for flow in flows:
    flow.bind((sys.argv[2], 0))
    flow.connect((host, 7007))
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0.002)[0]:
    for _ in range(8):
        flows[number % len(flows)].send(number.to_bytes(8, "big") + bytes(200 + number % 1000))
        number += 1
print(number, flush=True)
"""
RECEIVE = """
import select, socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)
    s.bind((sys.argv[1], 7007))
    print("ready", flush=True)
    s.settimeout(0.05)
    seen, twice, sent, quiet = set(), 0, None, 0
    while quiet < (6 if sent is not None and len(seen) >= sent else 200):
        try:
            number = int.from_bytes(s.recv(2048)[:8], "big")
        except TimeoutError:
            if sent is None and select.select([sys.stdin], [], [], 0)[0]:
                sent = int(sys.stdin.readline())
            quiet = quiet + 1 if sent is not None else 0
            continue
        quiet = 0
        twice += number in seen
        seen.add(number)
    print(len(seen), twice, flush=True)
"""

"""Ends once it has as many as were sent, or when nothing has come for ten seconds."""


@dataclass
class Passed:
    """What a stream came to, once it is over."""

    sent: int = 0
    arrived: int = 0
    twice: int = 0
    lines: list[str] = field(default_factory=list)

    @property
    def lost(self) -> int:
        return self.sent - self.arrived


@contextmanager
def stream(sender: Gateway, place: Gateway, source: str, address: str) -> Iterator[Passed]:
    """Runs for as long as the block; the result is filled in after it."""
    told = Passed()
    # What the kernel drops before we were given it is none of ours, and a busy machine lets more of it wait.
    sender.place.ip("link set fynx0 txqueuelen 20000")
    with _inside(place, RECEIVE, address) as taking, _inside(sender, SEND, address, source) as giving:
        yield told
        told.sent = int(_end(giving)[0])
        told.arrived, told.twice = map(int, _end(taking, f"{told.sent}\n"))


@contextmanager
def _inside(place: Gateway, program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    line = ["ip", "netns", "exec", place.place.name, sys.executable, "-c", program, *arguments]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process


def _end(process: subprocess.Popen[str], told: str = "") -> list[str]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(told)
    process.stdin.close()
    return process.stdout.readline().split()

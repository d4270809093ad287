"""Network namespaces of the demo: two hosts and, between them, the outside, which is where we are ourselves."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


class DemoError(Exception):
    """A step of the demo cannot be taken; the text says why, in one line."""


def sh(command: str) -> str:
    """Runs a command line without a shell; its output, or DemoError with what it said."""
    done = subprocess.run(command.split(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DemoError(f"{command}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Place:
    """An end of the tunnel: namespace, outer address and gateway, inner address and network, our end of its link."""

    name: str
    outer: str
    gateway: str
    inner: str
    network: str
    link: str

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread, and what it starts, is in this namespace meanwhile."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        away = os.open(f"/run/netns/{self.name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(away)
            yield
        finally:
            _setns(home)
            os.close(home)
            os.close(away)

    def run(self, command: str) -> str:
        with self.entered():
            return sh(command)

    def start(self, command: Sequence[str], log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        with self.entered(), log.open("wb") as out:
            return subprocess.Popen(
                list(command), stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ, **environment}
            )


ALICE = Place("alice", "192.0.2.2", "192.0.2.1", "198.51.100.1", "198.51.100.0/24", "to-alice")
BOB = Place("bob", "192.0.2.130", "192.0.2.129", "203.0.113.1", "203.0.113.0/24", "to-bob")


def _setns(descriptor: int) -> None:
    if libc.setns(descriptor, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")


def build() -> None:
    """Makes both hosts and the outside between them. All of it goes with our own namespaces, however we end."""
    sh("mount -t tmpfs -o mode=755 fynx-demo /run")
    Path("/run/netns").mkdir()
    sh("ip link set lo up")
    for place in (ALICE, BOB):
        sh(f"ip netns add {place.name}")
        sh(f"ip link add {place.link} type veth peer name eth0 netns {place.name}")
        sh(f"ip address add {place.gateway}/25 dev {place.link}")
        sh(f"ip link set {place.link} up")
        place.run("ip link set lo up")
        place.run(f"ip address add {place.inner}/32 dev lo")
        place.run(f"ip address add {place.outer}/25 dev eth0")
        place.run("ip link set eth0 up")
        place.run(f"ip route add default via {place.gateway}")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n")

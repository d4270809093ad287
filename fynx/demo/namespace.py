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


def sh(command: str, *descriptors: int) -> str:
    """Runs a command line without a shell, ``descriptors`` open; its output, or DemoError with what it said."""
    done = subprocess.run(
        command.split(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        pass_fds=descriptors,
    )
    if done.returncode:
        raise DemoError(f"{command}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Place:
    """An end of the tunnel: namespace, outer address and gateway, inner address and network, our end of its link."""

    descriptor: int
    name: str
    outer: str
    gateway: str
    inner: str
    network: str
    link: str

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread, and what it starts, is in this namespace meanwhile."""
        home = here()
        try:
            checked("setns", libc.setns(self.descriptor, CLONE_NEWNET))
            yield
        finally:
            checked("setns", libc.setns(home, CLONE_NEWNET))
            os.close(home)

    def run(self, command: str) -> str:
        with self.entered():
            return sh(command)

    def start(self, command: Sequence[str], log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        with self.entered(), log.open("wb") as out:
            return subprocess.Popen(
                list(command), stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ, **environment}
            )


def here() -> int:
    """A descriptor of the calling thread's network namespace."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def checked(what: str, result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def new_namespace() -> int:
    """Lives as long as its descriptor and the processes in it: nothing has to be removed."""
    home = here()
    checked("unshare", libc.unshare(CLONE_NEWNET))
    try:
        return here()
    finally:
        checked("setns", libc.setns(home, CLONE_NEWNET))
        os.close(home)


def build() -> tuple[Place, Place]:
    """Makes Alice, Bob and the outside between them. All of it goes with our own namespaces, however we end."""
    sh("ip link set lo up")
    places = (
        Place(new_namespace(), "alice", "192.0.2.2", "192.0.2.1", "198.51.100.1", "198.51.100.0/24", "to-alice"),
        Place(new_namespace(), "bob", "192.0.2.130", "192.0.2.129", "203.0.113.1", "203.0.113.0/24", "to-bob"),
    )
    for place in places:
        far = f"/proc/self/fd/{place.descriptor}"
        sh(f"ip link add {place.link} type veth peer name eth0 netns {far}", place.descriptor)
        sh(f"ip address add {place.gateway}/25 dev {place.link}")
        # The outside shows packets as a wire carries them, not the kernel's frames of many.
        sh(f"ip link set {place.link} gso_max_segs 1 up")
        place.run("ip link set lo up")
        place.run(f"ip address add {place.inner}/32 dev lo")
        place.run(f"ip address add {place.outer}/25 dev eth0")
        place.run("ip link set eth0 gso_max_segs 1 up")
        place.run(f"ip route add default via {place.gateway}")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n")
    return places

"""Two hosts in network namespaces on a veth pair, and programs in them whose processor time is told.

The namespaces are made where ``./run bench`` put us: in a network and mount namespace that goes with us.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "bench"
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
PATIENCE_S = 20.0


class BenchError(Exception):
    """A benchmark cannot run; the text says why, in one line."""


def sh(*command: str, stdin: str | None = None) -> str:
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{SBIN}"}
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise BenchError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def until(true: Callable[[], object], what: str, within_s: float = PATIENCE_S) -> None:
    end = time.monotonic() + within_s
    while not true():
        if time.monotonic() > end:
            raise BenchError(f"not within {within_s:g} s: {what}")
        time.sleep(0.05)


def compiled(name: str, *sources: str, shared: bool = False) -> Path:
    """A C program or library of ours in ``build/bench``, made anew when a source is newer."""
    target, files = FOLDER / name, [ROOT / source for source in sources]
    FOLDER.mkdir(parents=True, exist_ok=True)
    if target.is_file() and all(file.stat().st_mtime < target.stat().st_mtime for file in files):
        return target
    kind = ["-shared", "-fPIC"] if shared else []
    includes = [f"-I{ROOT / 'cext'}", f"-I{ROOT / 'cext/include'}", f"-I{ROOT / 'cext/providers'}"]
    flags = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-g", "-pthread", "-Wall", "-Wextra", *includes]
    sh("cc", *flags, *kind, *map(str, files), "-o", str(target), "-ldl")
    return target


@dataclass(frozen=True, slots=True)
class Host:
    """One end: its namespace, addresses of the outside (eth0) and the inside (lo), and the networks behind it."""

    side: str
    namespace: str
    outer: str
    outer6: str
    inner: str
    inner6: str

    @property
    def networks(self) -> tuple[str, str]:
        return f"{self.inner}/32", f"{self.inner6}/128"

    def ip(self, *lines: str) -> None:
        sh("ip", "-n", self.namespace, "-batch", "-", stdin="\n".join(lines) + "\n")

    def run(self, *command: str) -> str:
        return sh("ip", "netns", "exec", self.namespace, *command)

    def address(self, family: int, *, outside: bool = False) -> str:
        if outside:
            return self.outer if family == 4 else self.outer6
        return self.inner if family == 4 else self.inner6


@dataclass(slots=True)
class Link:
    """A pair of hosts. ``offloads``: ``whole`` frames of many packets pass the link as they are; ``segmented``: the
    sender's kernel cuts them and the receiver's joins them, as network cards do; ``none``: neither."""

    name: str
    offloads: str = "whole"
    left: Host = field(init=False)
    right: Host = field(init=False)

    def __post_init__(self) -> None:
        prefix = f"fxb{os.getpid()}-{self.name}"
        self.left = Host("left", f"{prefix}-l", "192.0.2.1", "2001:db8::1", "198.51.100.1", "fd00:1::1")
        self.right = Host("right", f"{prefix}-r", "192.0.2.2", "2001:db8::2", "203.0.113.1", "fd00:2::1")

    @property
    def hosts(self) -> tuple[Host, Host]:
        return self.left, self.right

    def other(self, host: Host) -> Host:
        return self.right if host is self.left else self.left

    def make(self) -> None:
        for host in self.hosts:
            sh("ip", "netns", "add", host.namespace)
        self.left.ip(f"link add eth0 type veth peer name eth0 netns {self.right.namespace}")
        for host in self.hosts:
            host.ip(
                "link set lo up",
                f"addr add {host.outer}/24 dev eth0",
                f"addr add {host.outer6}/64 dev eth0 nodad",
                f"addr add {host.inner}/32 dev lo",
                f"addr add {host.inner6}/128 dev lo nodad",
                "link set eth0 up",
            )
            if self.offloads == "segmented":
                host.run("ethtool", "-K", "eth0", "tso", "off", "tx-udp-segmentation", "off", "gro", "on")
            elif self.offloads == "none":
                words = ["tso", "off", "gso", "off", "gro", "off", "tx-udp-segmentation", "off"]
                host.run("ethtool", "-K", "eth0", *words)

    def delete(self) -> None:
        for host in self.hosts:
            with contextlib.suppress(BenchError):
                sh("ip", "netns", "del", host.namespace)

    def reaches(self, family: int, *, outside: bool = False) -> bool:
        source, target = self.left.address(family, outside=outside), self.right.address(family, outside=outside)
        line = ["ip", "netns", "exec", self.left.namespace, "ping", "-n", "-c", "1", "-W", "1", "-I", source, target]
        return subprocess.run(line, capture_output=True, check=False).returncode == 0


@dataclass(slots=True)
class Daemon:
    """A program on a host, with its log; ended by its number."""

    host: Host
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / f"{self.host.side}.log"

    def start(self, *command: str, **environment: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        line = ["ip", "netns", "exec", self.host.namespace, *command]
        settings = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{SBIN}", **environment}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=settings)

    def check(self) -> None:
        if self.process is not None and self.process.poll() is not None:
            lines = self.log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            raise BenchError(f"{self.folder.name} {self.host.side} ended: {lines[-1]} (all in {self.log})")

    def processor_s(self) -> float:
        """Processor time of all its threads until now."""
        if self.process is None:
            return 0.0
        total = 0
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def upstream(package: str) -> str:
    """The version of an installed Debian package, without epoch and revision: ``5.9.8``."""
    return number(sh("dpkg-query", "-W", "-f", "${Version}", package))


def number(version: str) -> str:
    found = re.match(r"(?:\d+:)?([0-9.]+)", version)
    return found[1].rstrip(".") if found else version


def program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SBIN}")
    if found is None:
        raise BenchError(f"{name} is not installed")
    return found


def total(daemons: Iterable[Daemon]) -> float:
    return sum(daemon.processor_s() for daemon in daemons)

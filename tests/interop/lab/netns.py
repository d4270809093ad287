"""Network namespaces of our own, and code that runs inside one."""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

PREFIX = "fxl"
CLONE_NEWNET = 0x40000000
_numbers = count(1)
_libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """The laboratory itself failed, not what it tests."""


def run(*command: str, stdin: str | None = None, within_s: float = 60.0) -> str:
    """Run a program to its end and return its standard output; a failure says what it said."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=within_s, check=False)
    if done.returncode != 0:
        raise LabError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class Namespace:
    """One network namespace, named after this process so that parallel runs do not meet."""

    def __init__(self, role: str) -> None:
        self.name = f"{PREFIX}{os.getpid()}-{next(_numbers)}-{role}"
        run("ip", "netns", "add", self.name)
        self.ip("link set lo up")

    def ip(self, *lines: str) -> None:
        """Lines of ``ip`` commands, done in one go."""
        run("ip", "-n", self.name, "-batch", "-", stdin="\n".join(lines) + "\n")

    def show(self, *arguments: str) -> str:
        return run("ip", "-n", self.name, *arguments)

    def nft(self, rules: str) -> None:
        run("ip", "netns", "exec", self.name, "nft", "-f", "-", stdin=rules)

    def sysctl(self, key: str, value: str) -> None:
        def write() -> None:
            Path("/proc/sys", *key.split(".")).write_text(value)

        self.inside(write)

    def command(self, *command: str) -> tuple[str, ...]:
        """The same command inside the namespace; it keeps its process id and dies when we die."""
        return ("ip", "netns", "exec", self.name, "setpriv", "--pdeathsig", "KILL", *command)

    def inside(self, work: Callable[[], T]) -> T:
        """Do ``work`` in a thread of its own that has moved into the namespace.

        A socket opened there stays there, whoever uses it afterwards.
        """
        results: list[T] = []
        failures: list[BaseException] = []

        def enter_and_work() -> None:
            try:
                _enter(self.name)
                results.append(work())
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=enter_and_work)
        thread.start()
        thread.join()
        if failures:
            raise failures[0]
        return results[0]

    def delete(self) -> None:
        left_over = run("ip", "netns", "pids", self.name).split()
        run("ip", "netns", "del", self.name)
        if left_over:
            raise LabError(f"{self.name} still had processes: {left_over}")


def _enter(name: str) -> None:
    handle = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        if _libc.setns(handle, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {name}")
    finally:
        os.close(handle)


def ours() -> list[str]:
    """Names of the namespaces that this process has made and not yet deleted."""
    folder = Path("/run/netns")
    return sorted(entry.name for entry in folder.glob(f"{PREFIX}{os.getpid()}-*")) if folder.exists() else []


def sweep() -> None:
    """Delete what an earlier run that was killed left behind (its processes died with it)."""
    for entry in Path("/run/netns").glob(f"{PREFIX}*-*"):
        owner = entry.name[len(PREFIX) :].split("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            with suppress(LabError):
                run("ip", "netns", "del", entry.name)

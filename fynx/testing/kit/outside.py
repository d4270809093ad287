"""Runs the kit in a process of its own, so that a plugin that crashes or hangs is a finding and not the end."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """``why`` is empty when the plugin holds to it."""

    check: str
    why: str = ""

    @property
    def ok(self) -> bool:
        return not self.why


def examine(name: str, file: Path | None = None, *, limit_s: float = LIMIT_S) -> Iterator[Outcome]:
    """Every check of the plugin, as it is made. ``limit_s`` is for each of them."""
    reading, writing = os.pipe()
    line = [sys.executable, "-m", "fynx.testing.kit", "--fd", str(writing), name]
    line += ["--file", str(file)] if file is not None else []
    with open(reading, "rb") as pipe:
        process = subprocess.Popen(line, pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(writing)
        try:
            yield from _follow(process, pipe.fileno(), limit_s)
        finally:
            process.kill()
            process.wait()


def _follow(process: subprocess.Popen[bytes], fd: int, limit_s: float) -> Iterator[Outcome]:
    current, rest, ended = "boot", b"", False
    with selectors.DefaultSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        deadline = time.monotonic() + limit_s
        while selector.select(max(0.0, deadline - time.monotonic())):
            data = os.read(fd, 65536)
            if not data:
                process.wait(limit_s)
                if not ended:
                    yield Outcome(current, _death(process.returncode))
                return
            *lines, rest = (rest + data).split(b"\n")
            for each in lines:
                fact = json.loads(each)
                current, ended = fact.get("begins", current), fact.get("over", False)
                if "check" in fact:
                    yield Outcome(fact["check"], fact["why"])
            deadline = time.monotonic() + limit_s
    yield Outcome(current, f"hangs: it did not return within {limit_s:g} s")


def _death(code: int) -> str:
    if code < 0:
        return f"crashes the program: {signal.Signals(-code).name}"
    return f"ends the program with exit code {code}"


__all__ = ["Outcome", "examine"]

"""What a flood does to those who mean it: ``fynx run`` at the end of a veth pair, ten clients that bring their tunnels
up and down, and beside them a stranger that sends so many datagrams a second (RFC 7296 section 2.6, RFC 8019).

The stranger, the clients and the responder share the processors of the machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benches.lab import BenchError, Host, sh
from benches.responders import SUITES, Ends, FynxResponder
from benches.result import Result
from benches.tunnels.base import Variant

CASES = {
    "quiet": ("spoofed", 0),
    "spoofed-1000": ("spoofed", 1000),
    "spoofed-5000": ("spoofed", 5000),
    "spoofed-8000": ("spoofed", 8000),
    "spoofed-50000": ("spoofed", 50_000),
    "prefix-2000": ("prefix", 2000),
    "esp-50000": ("esp", 50_000),
}
ROUNDS, SECONDS, LONGEST_S = 5, 6, 60
STRANGERS = "198.18.0.0/15"


class Flooded(FynxResponder):
    short = "hg"

    def resident_mb(self) -> float:
        """Resident memory of the responder."""
        assert self.daemons[0].process is not None
        lines = Path(f"/proc/{self.daemons[0].process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1000


@dataclass(slots=True)
class Found:
    """Of one case: a value for each tunnel that came up, or for each round."""

    up_s: list[float] = field(default_factory=list)
    slowest_s: list[float] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    grown_mb: list[float] = field(default_factory=list)


def run(arguments: Sequence[str] = ()) -> Result:
    """Raises BenchError."""
    parser = ArgumentParser(prog="./run bench flood")
    parser.add_argument("--case", default=",".join(CASES), help="floods: " + ", ".join(CASES))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each flood, 60 at most")
    options = parser.parse_args(list(arguments))
    chosen, result = options.case.split(","), Result("flood")
    if unknown := [case for case in chosen if case not in CASES]:
        raise BenchError(f"no case {unknown[0]!r}; there are: {', '.join(CASES)}")
    tunnel = Flooded(Variant())
    ends = Ends(tunnel)
    try:
        ends.open()
        # What is said to the strangers goes nowhere; the kernel takes their addresses for its own.
        sh("ip", "-n", tunnel.link.left.namespace, "route", "add", "local", STRANGERS, "dev", "lo")
        tunnel.link.right.ip(f"route add {STRANGERS} via {tunnel.link.left.outer}")
        ends.initiate(SUITES["psk-x25519"])
        ends.round(2)
        for case in chosen:
            found = Found()
            for _ in range(options.rounds):
                once(ends, tunnel, CASES[case], min(options.seconds, LONGEST_S), found)
            tell(result, case, tunnel, found)
    finally:
        ends.close()
    return result


def once(ends: Ends, tunnel: Flooded, case: tuple[str, int], seconds: int, found: Found) -> None:
    """One flood, and as many tunnels as come up meanwhile."""
    memory, took, failed = tunnel.resident_mb(), list[float](), 0
    stranger = start(tunnel.link.left, tunnel.link.right, case, seconds)
    spent, began = tunnel.processor_s(), time.monotonic()
    while stranger.poll() is None if case[1] else time.monotonic() < began + seconds:
        told = ends.ask(1)
        took += told["up_s"]
        failed += told["failed"]
    wall = time.monotonic() - began
    found.cores.append((tunnel.processor_s() - spent) / wall)
    found.grown_mb.append(tunnel.resident_mb() - memory)
    found.up_s += took
    found.slowest_s.append(max(took, default=0.0))
    found.failed.append(failed)
    heard = json.loads(stranger.communicate()[0] or "{}")
    found.sent.append(heard["sent"] / heard["seconds"] if case[1] else 0.0)


def start(left: Host, right: Host, case: tuple[str, int], seconds: int) -> subprocess.Popen[str]:
    kind, rate = case
    command = [sys.executable, "-m", "benches.flooder", kind, str(rate), str(seconds), right.outer]
    if not rate:
        command = ["true"]
    line = ["ip", "netns", "exec", left.namespace, *command]
    stranger = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if rate:
        assert stranger.stdout is not None
        stranger.stdout.readline()  # its datagrams are made
    return stranger


def tell(result: Result, case: str, tunnel: Flooded, found: Found) -> None:
    rows = {
        "sent": (found.sent, "datagrams/s"),
        "connect": (found.up_s, "s"),
        "slowest": (found.slowest_s, "s"),
        "failed": (found.failed, "tunnels"),
        "responder": (found.cores, "cores"),
        "memory": (found.grown_mb, "MB more"),
    }
    for name, (values, unit) in rows.items():
        result.add(f"{case}-{name}", tunnel.system, tunnel.version, values or [float("nan")], unit)

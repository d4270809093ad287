"""Round trips through Fynx beside other tunnels, in turn within each round: one ping every 2 ms, and a flood of pings.

``ping`` is the median of the round trips of a run, ``flood`` the average of pings that each wait for the one before.
"""

from __future__ import annotations

import re
import subprocess
import sys
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median

from benches.lab import BenchError
from benches.result import Result
from benches.tunnel import RIVALS, ROUNDS, SYSTEMS, split
from benches.tunnels.base import Tunnel, Variant

DEFAULT = ("fynx", *RIVALS, "c-per-packet", "python-per-packet", "bare")
PINGS, FLOOD = 250, 2000


def run(arguments: Sequence[str] = ()) -> Result:
    """Raises BenchError."""
    parser = ArgumentParser(prog="./run bench latency")
    parser.add_argument("--system", default=",".join(DEFAULT))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args(list(arguments))
    result, found = Result("latency"), defaultdict[tuple[str, str], list[float]](list)
    with ExitStack() as stack:
        tunnels = {name: _up(name, stack) for name in split(options.system)}
        for _ in range(options.rounds):
            for name, tunnel in tunnels.items():
                found["ping", name].append(median(_times(_ping(tunnel, "-i", "0.002", "-c", str(PINGS)))))
                found["flood", name].append(_average(_ping(tunnel, "-q", "-f", "-c", str(FLOOD))))
        for (case, name), values in found.items():
            result.add(case, tunnels[name].system, tunnels[name].version, values, "us")
            if name != "fynx" and (case, "fynx") in found:
                result.ratio(f"{case}/fynx/{tunnels[name].name}", found[case, "fynx"], values)
    return result


def _up(name: str, stack: ExitStack) -> Tunnel:
    if name not in SYSTEMS:
        raise BenchError(f"no system {name!r}; there are: {', '.join(SYSTEMS)}")
    tunnel = SYSTEMS[name](Variant())
    stack.callback(tunnel.down)
    tunnel.up()
    print(f"up: {tunnel.name}", file=sys.stderr)
    return tunnel


def _ping(tunnel: Tunnel, *how: str) -> str:
    left, right = (host.address(4, outside=tunnel.outside) for host in tunnel.link.hosts)
    line = ["ip", "netns", "exec", tunnel.link.left.namespace, "ping", "-n", "-W", "1", "-I", left, *how, right]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout


def _times(text: str) -> list[float]:
    """Microseconds of each answer."""
    return [float(each) * 1000 for each in re.findall(r"time=([\d.]+) ms", text)] or [float("nan")]


def _average(text: str) -> float:
    found = re.search(r"= [\d.]+/([\d.]+)/", text)
    return float(found[1]) * 1000 if found else float("nan")

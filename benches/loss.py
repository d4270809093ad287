"""How long each operation takes on a bad path: 30 % lost, 10 % twice, 20 % late, 200 ms there and back.

Both hosts stand in the simulator, so the seconds are those of its clock: what the protocol waits, not what this machine
computes. Whatever fails to complete is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from statistics import quantiles

from benches.lab import BenchError
from benches.result import Result
from benches.weather import OPERATIONS, WITHIN_S, once

TIMES = 200


def run(options: Sequence[str] = ()) -> Result:
    """``--times N`` of each; ``--case NAME`` for one alone."""
    given = dict(zip(options[::2], options[1::2], strict=False))
    times = int(given.get("--times", TIMES))
    names = [given["--case"]] if "--case" in given else list(OPERATIONS)
    result, ours = Result("loss"), version("fynx-ipsec")
    for name in names:
        if name not in OPERATIONS:
            raise BenchError(f"no operation {name!r}; there are: {', '.join(OPERATIONS)}")
        took = [once(name, number) for number in range(times)]
        found = [one for one in took if one is not None]
        if len(found) < times:
            raise BenchError(f"{name}: {times - len(found)} of {times} did not complete within {WITHIN_S:g} s")
        result.add(name, "fynx", ours, found, "s")
        tenths = quantiles(found, n=100, method="inclusive") if times > 1 else found * 99
        for share in (90, 99):
            result.add(f"{name}-p{share}", "fynx", ours, [tenths[share - 1]], "s")
    return result

"""The shape of a result (``fynx.bench/1``): rows of medians with their spread, ratios, and the machine."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from statistics import median

RUNS = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: the median of at least five runs, and the smallest and largest of them."""

    case: str
    system: str
    version: str
    median: float
    min: float
    max: float
    unit: str


@dataclass(slots=True)
class Result:
    """What one benchmark found."""

    bench: str
    rows: list[Row] = field(default_factory=list)
    ratios: dict[str, float] = field(default_factory=dict)

    def add(self, case: str, system: str, version: str, values: Sequence[float], unit: str) -> None:
        middle, low, high = (significant(value) for value in (median(values), min(values), max(values)))
        self.rows.append(Row(case, system, version, middle, low, high, unit))

    def ratio(self, name: str, ours: Sequence[float], theirs: Sequence[float]) -> None:
        """The median of the ratios of each round, since a shared machine drifts between rounds. A round in which one of
        them found nothing (0, or not a number) does not count."""
        found = [a / b for a, b in zip(ours, theirs, strict=True) if b and isfinite(a / b)]
        if found:
            self.ratios[name] = float(f"{median(found):.3g}")

    def as_json(self) -> str:
        rows = [asdict(row) for row in self.rows]
        facts = {"schema": "fynx.bench/1", "bench": self.bench, "machine": machine(), "rows": rows}
        return json.dumps({**facts, "ratios": self.ratios})

    def as_text(self) -> str:
        about = machine()
        lines = [
            f"{self.bench}: {about['cpu']}, {about['cores']} cores, Linux {about['kernel']}, Python {about['python']}"
        ]
        widths = [
            max((len(str(getattr(row, key))) for row in self.rows), default=0) for key in ("case", "system", "version")
        ]
        for row in self.rows:
            names = "  ".join(
                text.ljust(n) for text, n in zip((row.case, row.system, row.version), widths, strict=True)
            )
            lines.append(f"  {names}  {row.median:>10g} {row.unit}  ({row.min:g} to {row.max:g})")
        lines += [f"  ratio {name}: {value:g}" for name, value in self.ratios.items()]
        return "\n".join(lines)


def significant(value: float) -> float:
    """Three or four figures are what a shared machine can promise."""
    return float(f"{value:.4g}")


def machine() -> dict[str, object]:
    info = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.partition(":")[2].strip() for line in info if line.startswith("model name")), platform.machine())
    kernel, python = platform.release(), platform.python_version()
    return {"cpu": cpu, "cores": os.cpu_count() or 1, "kernel": kernel, "python": python}

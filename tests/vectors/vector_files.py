"""Published test vectors: those transcribed beside this file, and the whole reference folder where it exists."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DATA = HERE / "data"
REFERENCE = Path(os.environ.get("FYNX_REFERENCE") or HERE.parents[1].parent / "shared")
"""Extra vectors; a user's clone lacks the folder, and then nothing of it is collected."""

Row = dict[str, Any]


def rfc(name: str) -> Row:
    """A file of RFC vectors, by its name without ``.json``."""
    found: Row = json.loads((DATA / f"{name}.json").read_text())
    return found


def wycheproof(name: str) -> list[Row]:
    """The tests of one Wycheproof file, each with the fields of its group; all of them where the folder exists."""
    tests = {row["tcId"]: row for row in _tests(DATA / f"wycheproof-{name}.json")}
    full = REFERENCE / "vectors" / "wycheproof" / f"{name}_test.json"
    if full.exists():
        tests |= {row["tcId"]: row for row in _tests(full)}
    return [tests[number] for number in sorted(tests)]


def _tests(path: Path) -> Iterator[Row]:
    for group in json.loads(path.read_text())["testGroups"]:
        shared = {key: value for key, value in group.items() if key not in {"tests", "source"}}
        for test in group["tests"]:
            yield shared | test


def octets(row: Row, *names: str) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(row[name]) for name in names)

"""Every row and name of the mission's checklist that the library stands for has a test, and that test is there."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
CHECKLIST: dict[str, dict[str, list[str]]] = yaml.safe_load((ROOT / "tests/checklist.yaml").read_text())


@cache
def defined_in(path: str) -> frozenset[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds) and node.name.startswith("test_"))


@pytest.mark.parametrize("section", CHECKLIST)
def test_each_row_names_tests_that_are_there(section: str) -> None:
    missing = []
    for row, names in CHECKLIST[section].items():
        for name in names:
            path, _, test = name.partition("::")
            found = defined_in(path) if (ROOT / path).is_file() else frozenset()
            if not found or (test and test not in found):
                missing.append(f"{row}: {name}")
        if not names:
            missing.append(f"{row}: no test")
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize(
    ("section", "names"),
    [
        ("1.19 logging functions", 19),
        ("1.20 benchmarks", 12),
        ("1.21 interop scenarios", 10),
        ("1.22 integration tests", 25),
        ("1.23 API tests", 25),
        ("1.24 production tests", 42),
        ("1.25 modules", 21),
    ],
)
def test_no_name_of_the_checklist_is_left_out(section: str, names: int) -> None:
    """The counts are the checklist's own; what it planned and never delivered comes on top."""
    assert len([row for row in CHECKLIST[section] if not row.startswith("planned: ")]) == names


def test_each_module_has_as_many_tests_as_it_had() -> None:
    """Counted as pytest collects them, each case of a parametrised test on its own, a test named twice once."""
    modules = {row: tuple(names) for row, names in CHECKLIST["1.25 modules"].items()}
    named = list(dict.fromkeys(name for names in modules.values() for name in names))
    line = [sys.executable, "-m", "pytest", "--collect-only", "-q", *named]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    found = [each for each in done.stdout.splitlines() if "::" in each]
    too_few = {}
    for row, names in modules.items():
        count = sum(each.partition("[")[0].startswith(names) for each in found)
        if count < int(row.split()[1]):
            too_few[row] = count
    assert not too_few, done.stdout + done.stderr
    assert sum(int(row.split()[1]) for row in modules) == 365

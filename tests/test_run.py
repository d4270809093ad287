"""The launcher `./run`: usage, missing packages without root, and a second start that needs no network."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
NO_VENV = '#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; esac\nexec /usr/bin/python3 "$@"\n'


@pytest.mark.parametrize("arguments", [[], ["fly"], ["lint", "something"]])
def test_wrong_usage_says_what_there_is_and_ends_with_2(arguments: list[str]) -> None:
    done = subprocess.run([str(ROOT / "run"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "usage: ./run COMMAND" in done.stderr
    assert not done.stdout


def test_without_root_a_missing_package_is_named_in_the_exact_line_and_ends_with_4() -> None:
    checkout, python = Path(tempfile.mkdtemp(prefix="fynx ", dir="/var/tmp")), "python without venv"
    try:
        checkout.chmod(0o755)
        shutil.copy(ROOT / "run", checkout / "run")
        (checkout / python).write_text(NO_VENV)
        (checkout / python).chmod(0o755)
        command = [*NOBODY, "env", f"FYNX_PYTHON={checkout / python}", str(checkout / "run"), "fynx", "--version"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    finally:
        shutil.rmtree(checkout)
    assert done.returncode == 4, done.stderr
    assert "  sudo apt-get install -y --no-install-recommends python3-venv\n" in done.stderr


def test_a_second_start_needs_no_network_and_does_nothing_again() -> None:
    subprocess.run([str(ROOT / "run"), "fynx", "--version"], capture_output=True, check=True)
    command = ["unshare", "--net", str(ROOT / "run"), "fynx", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("fynx, version")
    assert not done.stderr, "a step was done again"


def test_a_second_start_is_little_work() -> None:
    """Starts of Python, some 20 ms each, are the dearest of it."""
    subprocess.run([str(ROOT / "run"), "fynx", "--version"], capture_output=True, check=True)
    traced = ["sh", "-x", str(ROOT / "run"), "fynx", "--version"]
    done = subprocess.run(traced, capture_output=True, text=True, check=True)
    steps = [line for line in done.stderr.splitlines() if line.startswith("+ ")]
    assert len(steps) < 150
    assert sum(bool(re.match(r"[+] (exec )?\S*python3? -", step)) for step in steps) <= 7


def test_the_launcher_works_from_any_folder_with_paths_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("nonsense: 1\n")
    command = [str(ROOT / "run"), "fynx", "check", "broken.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 5, done.stderr
    assert "broken.yaml:1" in done.stderr + done.stdout


def test_what_waits_for_long_is_counted_not_passed_over_in_silence() -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/cext/test_sanitized.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert " deselected)" in done.stdout, done.stdout

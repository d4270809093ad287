"""The tests of ESP once more, over the same C built for the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(900)  # for a machine on which compilers are slow
ROOT = Path(__file__).resolve().parent.parent.parent
OVERLAY = ROOT / "build" / "sanitized"
COPIED = ("fynx", "plugins", "cext", "tests/unit/esp", "tests/patience.py", "build_ffi.py", "pyproject.toml")
TESTS = (
    "test_aggfrag.py",
    "test_bad_inputs.py",
    "test_bad_inputs_path.py",
    "test_bad_inputs_send.py",
    "test_early.py",
    "test_engine.py",
    "test_engine_frames.py",
    "test_engine_threads.py",
    "test_extended_numbers.py",
    "test_frames.py",
    "test_pace.py",
    "test_raw.py",
    "test_reference_agrees.py",
    "test_reference_outside.py",
    "test_tfc.py",
    "test_transport_frames.py",
    "test_transport_mode.py",
    "test_window.py",
    "test_workers.py",
)


@pytest.fixture(scope="module")
def overlay() -> Path:
    """A copy of the checkout whose extension modules are instrumented; made again only where sources changed."""
    leave = shutil.ignore_patterns("*.so", "__pycache__", "tmp*")
    for name in COPIED:
        source, target = ROOT / name, OVERLAY / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=leave, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, target)
    environment = os.environ | {"FYNX_SANITIZE": "address,undefined", "CC": "gcc"}
    subprocess.run([sys.executable, "build_ffi.py"], cwd=OVERLAY, env=environment, check=True)
    return OVERLAY


def sanitized(overlay: Path, *command: str, within_s: float = 100) -> subprocess.CompletedProcess[str]:
    libraries = [
        subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    environment = os.environ | {
        "LD_PRELOAD": ":".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": f"{overlay}:{overlay / 'plugins'}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [sys.executable, *command], cwd=overlay, env=environment, capture_output=True, text=True, timeout=within_s
    )


def test_the_sanitizer_sees_what_the_plane_does_wrong(overlay: Path) -> None:
    """The build is instrumented and of the overlay: a read behind the end of a buffer is caught."""
    program = (
        "from fynx.esp._plane import ffi, lib; import fynx.esp._plane as m; print(m.__file__, flush=True)\n"
        "one = ffi.new('uint64_t[]', 1); lib.fynx_window_run(64, 0, one, 9999, ffi.new('uint8_t[]', 9999), one, 0)"
    )
    done = sanitized(overlay, "-c", program)
    assert str(overlay) in done.stdout
    assert done.returncode != 0
    assert "AddressSanitizer" in done.stderr


def test_the_tests_of_esp_pass_under_the_sanitizers(overlay: Path) -> None:
    passes(overlay, "not long", 600)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_the_long_tests_of_esp_pass_under_the_sanitizers(overlay: Path) -> None:
    passes(overlay, "long", 7000)


def passes(overlay: Path, marked: str, within_s: float) -> None:
    paths = [f"tests/unit/esp/{name}" for name in TESTS]
    options = ("-q", "-x", "-p", "tests.patience", f"--timeout={within_s}", "-m", marked)
    done = sanitized(overlay, "-m", "pytest", *options, *paths, within_s=within_s)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    assert "passed" in done.stdout

"""The tests of ESP once more, over the same C built for the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.sanitizers import MEMORY, Sanitized, sanitized

pytestmark = pytest.mark.timeout(900)  # for a machine on which compilers are slow
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
def memory() -> Sanitized:
    return sanitized(MEMORY)


def run(over: Sanitized, *command: str, within_s: float = 100) -> subprocess.CompletedProcess[str]:
    """The small allocations of the interpreter too are watched: the tests hand them to C."""
    environment = os.environ | over.environment() | {"PYTHONMALLOC": "malloc"}
    return subprocess.run(
        [sys.executable, *command], cwd=over.folder, env=environment, capture_output=True, text=True, timeout=within_s
    )


def test_the_sanitizer_sees_what_the_plane_does_wrong(memory: Sanitized) -> None:
    """The build is instrumented and of the overlay: a read behind the end of a buffer is caught."""
    program = (
        "from fynx.esp._plane import ffi, lib; import fynx.esp._plane as m; print(m.__file__, flush=True)\n"
        "one = ffi.new('uint64_t[]', 1); lib.fynx_window_run(64, 0, one, 9999, ffi.new('uint8_t[]', 9999), one, 0)"
    )
    done = run(memory, "-c", program)
    assert str(memory.folder) in done.stdout
    assert done.returncode != 0
    assert "AddressSanitizer" in done.stderr


def test_the_tests_of_esp_pass_under_the_sanitizers(memory: Sanitized) -> None:
    passes(memory, "not long", 600)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_the_long_tests_of_esp_pass_under_the_sanitizers(memory: Sanitized) -> None:
    passes(memory, "long", 7000)


def passes(memory: Sanitized, marked: str, within_s: float) -> None:
    paths = [f"tests/unit/esp/{name}" for name in TESTS]
    options = ("-q", "-x", "-p", "tests.patience", f"--timeout={within_s}", "-m", marked)
    done = run(memory, "-m", "pytest", *options, *paths, within_s=within_s)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    assert "passed" in done.stdout

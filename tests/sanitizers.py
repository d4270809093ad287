"""The C of the checkout built once more with what finds its faults, and how a program is run over it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MEMORY, THREAD = "address,undefined", "thread"
COPIED = ("fynx", "plugins", "cext", "tests/unit/esp", "tests/patience.py", "build_ffi.py", "pyproject.toml")
LIBRARIES = {MEMORY: ("libasan.so", "libubsan.so"), THREAD: ("libtsan.so",)}
OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "ignore_noninstrumented_modules=1 report_signal_unsafe=0 die_after_fork=0 exitcode=66",
}
"""The interpreter itself is not instrumented: it leaks at its end by design, and its own accesses show no order."""
SIGNS = ("AddressSanitizer", "ThreadSanitizer", "runtime error:")

"""Each report has one of these in it."""


@dataclass(frozen=True, slots=True)
class Sanitized:
    """A copy of the checkout whose extension modules are instrumented; its programs run in ``folder``."""

    kind: str
    folder: Path

    def environment(self) -> dict[str, str]:
        found = [
            subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True)
            for name in LIBRARIES[self.kind]
        ]
        return OPTIONS | {
            "LD_PRELOAD": ":".join(each.stdout.strip() for each in found),
            "PYTHONPATH": f"{self.folder}:{self.folder / 'plugins'}",
        }


def sanitized(kind: str) -> Sanitized:
    """Made again only where sources changed."""
    folder = ROOT / "build" / f"sanitized-{kind.partition(',')[0]}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "copy.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in COPIED:
            _copy(ROOT / name, folder / name)
        environment = os.environ | {"FYNX_SANITIZE": kind, "CC": "gcc"}
        subprocess.run([sys.executable, "build_ffi.py"], cwd=folder, env=environment, check=True)
    return Sanitized(kind, folder)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not source.is_dir():
        _copy_changed(str(source), str(target))
        return
    leave = shutil.ignore_patterns("*.so", "__pycache__", "tmp*")
    shutil.copytree(source, target, ignore=leave, dirs_exist_ok=True, copy_function=_copy_changed)


def _copy_changed(source: str, target: str) -> None:
    """Another run may be reading what is there."""
    if not os.path.exists(target) or Path(source).read_bytes() != Path(target).read_bytes():
        shutil.copyfile(source, target)

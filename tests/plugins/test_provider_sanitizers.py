"""The providers' C without Python, under the sanitizers: exact buffers, forged packets, four threads on one key."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
CEXT = HERE.parents[1] / "cext"
STRICT = ("-std=c11", "-D_GNU_SOURCE", "-g", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror")


def run(provider: str, folder: Path, sanitizer: str, *flags: str) -> dict[str, str]:
    """Builds and runs provider_main.c; what it says of each ops, and of the version."""
    program = folder / "program"
    command = [*shlex.split(os.environ.get("CC", "cc")), *STRICT, f"-fsanitize={sanitizer}", *flags]
    command += ["-fno-sanitize-recover=undefined", f"-I{CEXT / 'include'}", f"-I{CEXT / 'providers'}"]
    command += [str(HERE / "provider_main.c"), str(CEXT / "providers" / f"{provider}.c"), "-o", str(program)]
    subprocess.run([*command, "-pthread", "-ldl"], check=True, timeout=100)
    environment = os.environ | {"TSAN_OPTIONS": "halt_on_error=1", "ASAN_OPTIONS": "detect_leaks=1"}
    done = subprocess.run([program], capture_output=True, text=True, timeout=100, env=environment, check=False)
    assert "Sanitizer" not in done.stderr, done.stderr
    words = (line.split(" ", 1) for line in done.stdout.splitlines())
    return {name: verdict for verdict, name in words} if done.returncode == 0 else {done.stdout + done.stderr: "FAILED"}


@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
def test_libcrypto_is_clean(sanitizer: str, tmp_path: Path) -> None:
    said = run("libcrypto", tmp_path, sanitizer)
    assert [said.pop(name) for name in list(said) if "dispatch" in name] == ["version"]
    assert len(said) == 16
    assert set(said.values()) == {"ok"}


def test_libcrypto_through_evp_alone_has_every_algorithm_and_is_clean(tmp_path: Path) -> None:
    said = run("libcrypto", tmp_path, "address,undefined", "-DFYNX_EVP_ONLY=1")
    assert [said.pop(name) for name in list(said) if "(EVP)" in name] == ["version"]
    assert len(said) == 16
    assert set(said.values()) == {"ok"}


@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
def test_ipsecmb_is_clean_or_says_that_its_library_is_missing(sanitizer: str, tmp_path: Path) -> None:
    said = run("ipsecmb", tmp_path, sanitizer)
    (version,) = [name for name, verdict in said.items() if verdict in {"version", "FAILED"}]
    assert said.pop(version) == "version" or "version not available" in version
    assert set(said.values()) == ({"ok"} if said else set())

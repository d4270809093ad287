"""The plane as C programs without Python: strict compilers, replay self-test, thread sanitizer, fuzzing."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(600)  # for a machine on which compilers are slow
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
STRICT = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-pthread", "-g"]
INCLUDES = [f"-I{ROOT / 'cext'}", f"-I{ROOT / 'cext/include'}"]
PLANE = sorted(str(path) for path in (ROOT / "cext").glob("*.c"))
MEMORY = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]


def build(compiler: str, source: str, into: Path, *flags: str) -> Path:
    program = into / Path(source).stem
    command = [compiler, *STRICT, *INCLUDES, *flags, *PLANE, str(HERE / source), "-o", str(program)]
    subprocess.run(command, check=True)
    return program


def run(*command: str | Path, timeout_s: float = 200) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=timeout_s)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
    return done.stdout + done.stderr


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_plane_and_providers_compile_without_a_warning(compiler: str, tmp_path: Path) -> None:
    for source in [*PLANE, *(ROOT / "cext/providers").glob("*.c")]:
        run(compiler, *STRICT, *INCLUDES, "-O2", "-c", source, "-o", tmp_path / "object.o")


def test_the_public_header_stands_alone_in_c_and_cpp(tmp_path: Path) -> None:
    for language, standard in (("c", "c11"), ("c++", "c++17")):
        source = tmp_path / "user.txt"
        source.write_text('#include "fynx.h"\nint main(void) { return sizeof(struct fynx_aead_ops) == 0; }\n')
        command = ["clang", "-x", language, f"-std={standard}", "-Wall", "-Wextra", "-Werror", *INCLUDES]
        run(*command, "-fsyntax-only", source)


def test_E14_the_window_and_the_rings_pass_their_self_test(tmp_path: Path) -> None:
    run(build("gcc", "selftest.c", tmp_path, "-O1", "-Wno-unused-function", *MEMORY))


def test_a_payload_that_came_early_is_kept_before_others_are_joined(tmp_path: Path) -> None:
    run(build("gcc", "early_piece.c", tmp_path, "-O1", "-Wno-unused-function", *MEMORY))


def test_dummies_in_transport_mode_fit_the_path(tmp_path: Path) -> None:
    run(build("gcc", "dummies.c", tmp_path, "-O0", "-Wno-unused-function"))


def test_keys_are_locked_and_wiped_and_packets_allocate_nothing(tmp_path: Path) -> None:
    run(build("gcc", "keys.c", tmp_path, "-O1", "-Wno-unused-function"))


@pytest.mark.parametrize(
    "command", ["storm.c 3", "stream.c 3", "stream.c 3 2 20", "stream.c 3 2 0 restart", "stream.c 3 1 0 paced"]
)
def test_E27_threads_that_change_and_use_one_plane_have_no_race(tmp_path: Path, command: str) -> None:
    """With arguments: two senders and two receivers, bound to a processor, that spin before they sleep, and a peer that
    moves between two ports, so that one SA comes in by both; then such that are restarted in turn, or end by themselves
    in the middle of a batch: no sequence number is sealed twice. The last: constant rate and dummies by the clock."""
    program, *arguments = command.split()
    told = run(build("gcc", program, tmp_path, "-O1", "-fsanitize=thread", "-Wno-unused-function"), *arguments)
    assert "WARNING" not in told


def fuzz(tmp_path: Path, name: str, seconds: int) -> None:
    flags = ["-O1", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=undefined", "-Wno-unused-function"]
    program = build("clang", f"fuzz_{name}.c", tmp_path, *flags)
    corpus = HERE / "corpus" / name
    options = [f"-max_total_time={seconds}", "-max_len=8192", f"-artifact_prefix={tmp_path}/"]
    grown = tmp_path / "corpus"
    grown.mkdir()
    told = run(program, *options, grown, corpus, timeout_s=seconds + 50)
    runs = re.search(r"Done (\d+) runs", told)
    assert runs is not None
    assert int(runs[1]) > 1000


def test_the_receive_path_survives_a_minute_of_fuzzing(tmp_path: Path) -> None:
    """Datagrams for SAs of every kind, the ones that wait for their SA and the raw socket's included."""
    fuzz(tmp_path, "receive", 60)


@pytest.mark.parametrize("name", ["frames", "aggfrag"])
def test_frames_and_payloads_survive_fuzzing(tmp_path: Path, name: str) -> None:
    fuzz(tmp_path, name, 5)


@pytest.mark.long
@pytest.mark.parametrize("name", ["frames", "aggfrag"])
def test_frames_and_payloads_survive_a_minute_of_fuzzing(tmp_path: Path, name: str) -> None:
    fuzz(tmp_path, name, 60)

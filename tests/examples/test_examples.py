"""Every program of docs/examples runs, as a user would start it, and says what it should."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fynx import faults

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
KEY = "a key for the examples, long enough to be good"
SAYS = {
    "echo.py": r"100 packets came back",
    "site_to_site.py": r"from the branch\nfrom headquarters",
    "metrics.py": r"client: 100% of handshakes, 49 octets\n[\s\S]*child_sa_rekeyed 1[\s\S]*server: 100%",
    "logs.py": r"IKE up with server\.test[\s\S]*the last one: IkeDown",
    "many_clients.py": r"^100 sessions at once\n100 of 100 clients got their own answer",
    "handshake_under_loss.py": r" 0% lost: median[\s\S]*50% lost: median",
}
TOGETHER = {"client.py", "server.py"}
ELSEWHERE = {"rootless.py"}
"""By uid 65534 in tests/netns/test_rootless.py."""


def started(name: str, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}", "PSK": KEY, "ACME": KEY}
    program = [name] if name.startswith("-") else [str(EXAMPLES / name)]
    command = [sys.executable, *program, *arguments]
    # Whoever starts this run in the background ignores SIGINT, and so would the program: it must be as at a terminal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    finally:
        signal.signal(signal.SIGINT, before)


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS) | TOGETHER | ELSEWHERE


@pytest.mark.parametrize("name", SAYS)
def test_the_example_says_what_it_should(name: str) -> None:
    with started(name) as program:
        said, _ = program.communicate(timeout=600)
    assert program.returncode == 0, said
    assert re.search(SAYS[name], said), said


def test_client_and_server_as_two_programs() -> None:
    with started("server.py", "127.0.0.1:0", "server.example", KEY) as server:
        assert server.stdout is not None
        try:
            first = server.stdout.readline()
            address = re.fullmatch(r"listening on (127\.0\.0\.1:\d+)\n", first)
            assert address, first
            with started("client.py", address[1], "client.example", "server.example", KEY) as client:
                said, _ = client.communicate(timeout=600)
            assert client.returncode == 0, said
            assert "you said: hello" in said
            assert server.stdout.readline() == "client.example is here\n"
            assert server.stdout.readline() == "client.example is gone\n"
        finally:
            server.send_signal(signal.SIGINT)
        assert "goodbye" in server.communicate(timeout=60)[0]
        assert server.returncode == 0


SIGNATURES = {"docs/hooks.md"}
"""Pages whose blocks are signatures without a body."""
PAGES = {
    path.relative_to(ROOT).as_posix(): path for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
BLOCKS = {
    f"{name}#{number}": block
    for name, path in PAGES.items()
    if name not in SIGNATURES
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE), 1)
}


@pytest.mark.parametrize("name", BLOCKS)
def test_each_block_of_the_pages_runs_as_a_program(name: str, tmp_path: Path) -> None:
    path = tmp_path / "test_block.py"
    path.write_text(BLOCKS[name])
    with started(str(path)) as program:
        said, _ = program.communicate(timeout=600)
    assert program.returncode == 0, said
    if "\ndef test_" in BLOCKS[name]:
        with started("-m", "pytest", "-q", "-p", "no:cacheprovider", str(path)) as program:
            said, _ = program.communicate(timeout=600)
        assert program.returncode == 0, said


HOWTOS = {
    re.match(r'"""(\w+): ', block)[1]: (block, PAGES[name.partition("#")[0]])  # type: ignore[index]
    for name, block in BLOCKS.items()
    if name.startswith("docs/howto/") and "\nFYNX_API" in block
}
"""The plugins of the how-tos by the name of their file, and the page that each stands in."""


@pytest.mark.parametrize("name", HOWTOS)
def test_the_plugin_of_the_howto_passes_the_kit_and_fits_the_yaml_of_its_page(name: str, tmp_path: Path) -> None:
    block, page = HOWTOS[name]
    path = tmp_path / f"{name}.py"
    path.write_text(block)
    with started("-m", "fynx", "plugins", "test", "-p", str(path)) as program:
        said, _ = program.communicate(timeout=600)
    assert program.returncode == 0, said
    for yaml in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        (tmp_path / "fynx.yaml").write_text(yaml)
        with started("-m", "fynx", "check", "-p", str(path), "-c", str(tmp_path / "fynx.yaml")) as program:
            said, _ = program.communicate(timeout=600)
        assert program.returncode == 0, said


def test_the_first_program_says_what_its_page_promises(tmp_path: Path) -> None:
    path = tmp_path / "first.py"
    path.write_text(BLOCKS["docs/first-program.md#1"])
    with started(str(path)) as program:
        said, _ = program.communicate(timeout=600)
    expected = ["the server sees alice@example.net", "the client hears hello to you", "1 packet sealed by the client"]
    assert said.splitlines() == expected


def test_every_fault_stands_in_the_page_of_errors() -> None:
    page = (ROOT / "docs" / "errors.md").read_text()
    assert not {kind.__name__ for kind in (*faults.VARIANTS, faults.NetworkTimeout) if f"`{kind.__name__}`" not in page}

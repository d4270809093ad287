"""TCP through a tunnel as uid 65534 without any capability; the gateway is ``fynx run`` with a kernel behind it that
knows nothing of the client's stack."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.netns.world import INNER, INNER6, NETWORK, NETWORK6, OUTER, SECRET, Gateway, World, until

ROOT = Path(__file__).resolve().parents[2]
NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set", "-all")
NOBODY = (*NOBODY, "--inh-caps", "-all", "--no-new-privs")
NEAR, NEAR6, WEB = "10.1.0.77", "fd00:1::77", 8000
SIZE = 20_000_000


@pytest.fixture
def page(world: World, right: Gateway, tmp_path: Path) -> Iterator[str]:
    """A web server behind the gateway, on the kernel's TCP of both families; the SHA-256 of its one file."""
    right.child["local"].append(NETWORK6["right"])
    right.child["remote"].append(NETWORK6["left"])
    right.start()
    data = os.urandom(SIZE)
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "file").write_bytes(data)
    line = [
        "ip",
        "netns",
        "exec",
        world.right.name,
        sys.executable,
        "-m",
        "http.server",
        str(WEB),
        "--bind",
        "::",
    ]
    with subprocess.Popen(line, cwd=tmp_path / "web", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            until(lambda: str(WEB) in world.right.inside("ss", "-Hltn"), "the web server listens")
            world.clear()  # it asked DNS for its own name, perhaps at an address of the counted networks
            yield hashlib.sha256(data).hexdigest()
        finally:
            server.kill()


@pytest.fixture
def readable() -> Iterator[Path]:
    """A folder that nobody can read: pytest's own are root's alone."""
    folder = Path(tempfile.mkdtemp(prefix="fynx-nobody-", dir="/run"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def as_nobody(world: World, *line: str) -> list[str]:
    environment = ["env", f"PYTHONPATH={ROOT}:{ROOT / 'plugins'}", "HOME=/nonexistent", "PYTHONDONTWRITEBYTECODE=1"]
    return ["ip", "netns", "exec", world.left.name, *NOBODY, *environment, *line]


@pytest.mark.parametrize(
    "inside",
    [(NEAR, NETWORK["right"], INNER["right"]), (NEAR6, NETWORK6["right"], INNER6["right"])],
    ids=["IPv4 inside", "IPv6 inside"],
)
def test_a_program_of_nobody_reaches_what_lies_behind_the_gateway(
    world: World, page: str, inside: tuple[str, ...]
) -> None:
    arguments = [OUTER["right"], "left.test", "right.test", SECRET, *inside, str(WEB)]
    example = str(ROOT / "docs/examples/rootless.py")
    check = (
        "import os; assert os.getuid() == 65534 and 'CapEff:\\t0000000000000000' in open('/proc/self/status').read()"
    )
    subprocess.run(as_nobody(world, sys.executable, "-c", check), check=True, timeout=60)
    done = subprocess.run(
        as_nobody(world, sys.executable, example, *arguments), capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{SIZE} octets, SHA-256 {page}\n"
    assert world.clear() == 0


@contextmanager
def forwarding(world: World, left: Gateway, folder: Path, *options: str) -> Iterator[list[str]]:
    """``fynx forward`` as nobody, with the YAML of ``fynx run``; the lines that it says once it listens."""
    left.peer["start"] = "initiate"
    left.write()
    file = Path(shutil.copy(left.file, folder))
    os.chown(file, 65534, 65534)
    file.chmod(0o600)
    line = as_nobody(world, sys.executable, "-m", "fynx", "forward", "-c", str(file), "--address", NEAR, *options)
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        try:
            said: list[str] = []
            while len(said) < sum(option in ("-L", "--socks") for option in options):
                heard = program.stdout.readline()
                assert heard, program.stderr.read()
                said += [heard] if " leads to " in heard or " is a SOCKS5 proxy " in heard else []
            yield said
            program.send_signal(signal.SIGTERM)
            assert program.wait(60) == 0, program.stderr.read()
        finally:
            program.kill()


def fetch(world: World, *options: str) -> str:
    """By curl, which knows nothing of Fynx; the SHA-256 of what came."""
    line = ["ip", "netns", "exec", world.left.name, "curl", "-sS", "--noproxy", "", "--max-time", "60", *options]
    return hashlib.sha256(subprocess.run(line, capture_output=True, check=True, timeout=90).stdout).hexdigest()


def test_a_forwarded_port_and_a_socks_proxy_of_nobody_serve_curl(
    world: World, left: Gateway, page: str, readable: Path
) -> None:
    options = ["-L", f"18080:{INNER['right']}:{WEB}", "--socks", "11080"]
    with forwarding(world, left, readable, *options) as said:
        assert said[0] == f"127.0.0.1:18080 leads to {INNER['right']}:{WEB}\n"
        assert re.fullmatch(r"127\.0\.0\.1:11080 is a SOCKS5 proxy into right\n", said[1])
        assert fetch(world, "http://127.0.0.1:18080/file") == page
        assert fetch(world, "--socks5", "127.0.0.1:11080", f"http://{INNER['right']}:{WEB}/file") == page
    assert world.clear() == 0


def test_a_refused_port_is_told_through_socks(world: World, left: Gateway, right: Gateway, readable: Path) -> None:
    """A refused port is told to the client as SOCKS5 says it (RFC 1928 section 6)."""
    right.start()
    with forwarding(world, left, readable, "--socks", "[::1]:11080") as said:
        assert said == ["[::1]:11080 is a SOCKS5 proxy into right\n"]
        line = ["curl", "-sS", "--max-time", "60", "--socks5", "[::1]:11080", f"http://{INNER['right']}:9"]
        done = subprocess.run(
            ["ip", "netns", "exec", world.left.name, *line], capture_output=True, text=True, check=False, timeout=90
        )
        assert done.returncode == 97
        assert "(5)" in done.stderr

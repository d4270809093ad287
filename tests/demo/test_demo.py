"""`fynx demo` on this machine, in each of its modes, and what it leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

POWERLESS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--clear-groups")
"""Root by number only: it may read this checkout wherever that is, and has no privilege."""
STEPS = ["handshake", "ping", "file", "wire", "replay", "throughput", "stop", "evidence"]


def demo(folder: Path, *arguments: str, prefix: tuple[str, ...] = (), path: str | None = None) -> dict[str, Any]:
    command = [*prefix, sys.executable, "-m", "fynx", "demo", "--json", *arguments]
    environment = {**os.environ, "PATH": path or f"{os.environ['PATH']}:/usr/sbin"}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode == 0) is facts["pass"], done.stderr
    return facts


def step(facts: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in facts["steps"] if one["name"] == name)
    return found


def check(facts: dict[str, Any]) -> None:
    assert facts["pass"], facts
    assert facts["schema"] == "fynx.demo/1"
    assert [one["name"] for one in facts["steps"]] == STEPS
    replay = step(facts, "replay")
    assert replay["refused"] == replay["sent"] > 0
    assert step(facts, "wire")["canary_outside"] == 0


@pytest.mark.parametrize("peer", ["fynx", "strongswan"])
def test_root_gets_two_namespaces_and_a_pass(tmp_path: Path, peer: str) -> None:
    facts = demo(tmp_path, "--peer", peer)
    check(facts)
    assert (facts["mode"], facts["peer"]) == ("root", peer)
    assert step(facts, "wire")["canary_inside"] > 0


def test_without_privileges_it_takes_a_user_namespace_where_the_system_allows_one(tmp_path: Path) -> None:
    probe = [*POWERLESS, "unshare", "--user", "--map-root-user", "--mount", "true"]
    allowed = subprocess.run(probe, capture_output=True, check=False).returncode == 0  # never in a plain chroot
    facts = demo(tmp_path, prefix=POWERLESS)
    check(facts)
    assert facts["mode"] == ("user" if allowed else "loopback")


def test_without_namespaces_it_runs_over_loopback_and_says_why(tmp_path: Path) -> None:
    facts = demo(tmp_path, path="/nonexistent")
    check(facts)
    assert facts["mode"] == "loopback"
    assert "unshare" in facts["why"]


def test_capture_and_keys_open_in_tshark(tmp_path: Path) -> None:
    check(demo(tmp_path))
    folder = tmp_path / "build/demo"
    for table in ("ikev2_decryption_table", "esp_sa"):
        assert (folder / table).stat().st_mode & 0o777 == 0o600
    keys = [word for line in (folder / "alice.keys").read_text().splitlines() for word in ("-o", line)]
    fields = ["-T", "fields", "-e", "isakmp.id.data.fqdn", "-e", "icmp.type"]
    command = [
        "tshark",
        "-r",
        str(folder / "outside.pcapng"),
        "-o",
        "esp.enable_encryption_decode:TRUE",
        *keys,
        *fields,
    ]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "alice.example" in shown
    assert {"8", "0"} <= {line.strip() for line in shown.splitlines()}, "no decrypted echo"


def test_an_interrupted_demo_ends_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fynx", "demo"]
    child = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert child.stdout is not None
    while "handshake" not in (line := child.stdout.readline()):
        assert line, "the demo ended before its handshake"
    os.killpg(child.pid, signal.SIGINT)
    assert child.wait(60) == 130
    child.stdout.close()
    end = time.monotonic() + 40
    while (left := in_folder(tmp_path)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not left


def in_folder(folder: Path) -> list[str]:
    """Processes that work in ``folder``: everything that a demo started there."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found

"""Hosts as processes of ``fynx run`` on loopback, with the in-process plane, and ``fynx`` commands to them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SECRET = "a secret of the tests of plugins in processes"


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def peer(name: str, side: str, port: int, start: str) -> dict[str, Any]:
    auth = {"psk": {"secret": SECRET}}
    near, far = ("1", "2") if side == "left" else ("2", "1")
    return {
        "remote": {"address": "127.0.0.1", "port": port, "id": f"{name}.test", "auth": auth},
        "local": {"id": f"{side}.test", "auth": auth},
        "start": start,
        "children": {"net": {"local": [f"198.18.{near}.0/24"], "remote": [f"198.18.{far}.0/24"]}},
    }


class Site:
    """Hosts as processes of ``fynx run``, and ``fynx`` commands to them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.environment = folder, {**os.environ, "FYNX_RUN_DIR": str(folder / "run")}
        self.processes: list[subprocess.Popen[bytes]] = []

    def write(self, name: str, port: int, peers: dict[str, Any], **keys: object) -> Path:
        host = {"transport": {"udp": {"listen": ["127.0.0.1"], "ports": [port]}}, "plane": {"inproc": {}}}
        file = self.folder / f"{name}.yaml"
        file.touch(mode=0o600)
        file.write_text(json.dumps({"host": host, "peers": peers, **keys}))
        return file

    def run(self, file: Path, *more: str) -> None:
        line = [sys.executable, "-m", "fynx", "run", "-c", str(file), *more]
        with file.with_suffix(".log").open("wb") as out:
            self.processes.append(subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=out, env=self.environment))

    def plugin(self, name: str, source: str) -> Path:
        file = self.folder / f"{name}.py"
        file.touch(mode=0o600)
        file.write_text(source)
        return file

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def wait_for(self, name: str, text: str) -> None:
        end = time.monotonic() + 60
        while text not in self.log(name):
            assert time.monotonic() < end, self.log(name)
            time.sleep(0.05)

    def fynx(self, *line: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fynx", *line]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=90, check=False)

    def ask(self, *line: str) -> dict[str, Any]:
        done = self.fynx(*line, "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def close(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            assert process.wait(60) == 0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    try:
        yield found
    finally:
        found.close()

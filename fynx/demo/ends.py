"""The two programs at the ends of the tunnel: Fynx as a process of its own, and strongSwan's charon-systemd."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fynx.demo.namespace import DemoError, Place
from fynx.demo.report import Report

IKE = "aes256gcm16-prfsha384-x25519"
ESP = "aes128gcm16"
PATIENCE_S = 90.0
"""The machine may be busy, and a slow step is no failed one."""

YAML = """\
name: {name}
plugins: [default, +keylog]
host:
  transport: {{udp: {{listen: ["0.0.0.0"], ports: [500, 4500]}}}}
  plane: {{tun: {{device: fynx0}}}}
  keylog: "{folder}/{name}.keys"
peers:
  {peer}:
    remote: {{address: {remote}, id: {peer}.example, auth: {{psk: {{secret: "@file:psk"}}}}}}
    local: {{id: {name}.example, auth: {{psk: {{secret: "@file:psk"}}}}}}
    ike: [{ike}]
    start: {start}
    children:
      net: {{local: [{inner}], remote: [{inner_remote}], esp: [{esp}], start: {start}}}
"""


class End(Protocol):
    place: Place

    def start(self) -> None: ...

    def wait_until_ready(self) -> None: ...

    def stop(self) -> float | None:
        """Ends it in order; the seconds that took, None where it had to be killed."""
        ...


def write_private(path: Path, text: str) -> None:
    """Writes a new file that only we read, in place of an old one."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


@dataclass(slots=True)
class Process:
    """A program in a place, with its log in ``folder``."""

    place: Place
    folder: Path
    child: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / f"{self.place.name}.log"

    def start(self, command: list[str], **environment: str) -> None:
        self.child = self.place.start(command, self.log, environment)

    def check(self) -> None:
        """Raises DemoError with the log's last line when the program ended."""
        if self.child is None or self.child.poll() is None:
            return
        lines = self.log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        raise DemoError(f"{self.place.name} ended with code {self.child.returncode}: {lines[-1]} (all in {self.log})")

    def stop(self) -> float | None:
        if self.child is None:
            return 0.0
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        return ended(self.child)


@dataclass(slots=True)
class FynxEnd:
    """``fynx run`` with a configuration of its own; asked about its state as any user would, by ``fynx status``."""

    place: Place
    other: Place
    folder: Path
    run_folder: Path
    initiates: bool
    process: Process = field(init=False)

    def __post_init__(self) -> None:
        self.process = Process(self.place, self.folder)

    @property
    def environment(self) -> dict[str, str]:
        return {"FYNX_RUN_DIR": str(self.run_folder)}

    @property
    def config(self) -> Path:
        return self.folder / f"{self.place.name}.yaml"

    def start(self) -> None:
        text = YAML.format(
            name=self.place.name,
            peer=self.other.name,
            folder=self.folder,
            remote=self.other.outer,
            inner=self.place.network,
            inner_remote=self.other.network,
            start="initiate" if self.initiates else "none",
            ike=IKE,
            esp=ESP,
        )
        self.config.write_text(text)
        (self.folder / f"{self.place.name}.keys").unlink(missing_ok=True)
        self.process.start([sys.executable, "-m", "fynx", "run", "-c", str(self.config)], **self.environment)

    def wait_until_ready(self) -> None:
        wait_for(self.run_folder / f"{self.place.name}.sock", self.process)

    def wait_until_up(self) -> dict[str, Any]:
        """The peer's object of ``fynx status --json``, once its child carries traffic. Raises DemoError."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            self.process.check()
            peer = self.peer()
            if child_of(peer).get("spi_out") and peer.get("established_s") is not None:
                return peer
            time.sleep(0.1)
        raise DemoError(f"no tunnel after {PATIENCE_S:.0f} s (see {self.process.log})")

    def peer(self) -> dict[str, Any]:
        command = [sys.executable, "-m", "fynx", "status", "--json", "-c", str(self.config)]
        environment = {**os.environ, **self.environment}
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        try:
            status = json.loads(done.stdout)
        except ValueError:
            raise DemoError(f"fynx status: {done.stderr.strip() or done.stdout.strip()}") from None
        peers: list[dict[str, Any]] = status.get("peers", [])
        return next((peer for peer in peers if peer["name"] == self.other.name), {})

    def child(self) -> dict[str, Any]:
        return child_of(self.peer())

    def stop(self) -> float | None:
        return self.process.stop()


def child_of(peer: dict[str, Any]) -> dict[str, Any]:
    children = peer.get("children") or [{}]
    first: dict[str, Any] = children[0]
    return first


def drops(child: dict[str, Any], reason: str) -> int:
    counted = child.get("drops")
    return int(counted.get(reason, 0)) if isinstance(counted, dict) else 0


def refused(child: Callable[[], dict[str, Any]], before: int, wanted: int) -> int:
    """Replays that a child refused since ``before``: as soon as they are as many as wanted."""
    end = time.monotonic() + PATIENCE_S
    while (found := drops(child(), "replay") - before) < wanted and time.monotonic() < end:
        time.sleep(0.05)
    return found


def ended(child: subprocess.Popen[Any]) -> float | None:
    """The seconds until a program that was asked to end has ended; None where it had to be killed."""
    began = time.monotonic()
    try:
        child.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return None
    return time.monotonic() - began


def tell_end(report: Report, took: dict[str, float | None]) -> None:
    words = [f"{name} {'had to be killed' if s is None else f'ended in {s:.2f} s'}" for name, s in took.items()]
    facts = {f"{name}_s": None if s is None else round(s, 2) for name, s in took.items()}
    report.add("stop", None not in took.values(), ", ".join(words), **facts)


def split_keys(report: Report, folder: Path) -> None:
    """Splits Alice's key log into the two files of Wireshark's profile folder."""
    lines = (folder / "alice.keys").read_text().splitlines()
    for table in ("ikev2_decryption_table", "esp_sa"):
        prefix = f"uat:{table}:"
        rows = [line.removeprefix(prefix) for line in lines if line.startswith(prefix)]
        write_private(folder / table, "".join(f"{row}\n" for row in rows))
    text = f"{folder}/outside.pcapng; for Wireshark its keys beside it: ikev2_decryption_table, esp_sa"
    report.add("evidence", bool(lines), text, folder=str(folder), keys=len(lines))


def wait_for(path: Path, process: Process) -> None:
    """Waits until a program listens on its control socket: the file is there a moment earlier."""
    end = time.monotonic() + PATIENCE_S
    while not listens(path):
        process.check()
        if time.monotonic() > end:
            raise DemoError(f"{process.place.name} opened no control socket (see {process.log})")
        time.sleep(0.02)


def listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0

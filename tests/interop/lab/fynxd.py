"""Fynx as a process of its own in a namespace, configured by YAML and driven over its control socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.charon import ChildView, Refused
from lab.daemon import Daemon
from lab.plan import Child, Plan, networks
from lab.topology import Host
from lab.wait import until


class Fynx:
    """One Fynx. ``options`` are keys of ``host:`` (``{"cookie_threshold": 0}``)."""

    kind = "fynx"

    def __init__(self, host: Host, directory: Path, options: Mapping[str, object] | None = None) -> None:
        self.host = host
        self.directory = directory
        self.name = f"fxl{os.getpid()}-{('left', 'right')[host.side]}"
        self._file = directory / "site.yaml"
        self._host = {"plane": {"tun": {"device": "fynx0"}}, **(options or {})}
        self._peers: dict[str, object] = {}
        self._daemon = Daemon(host.namespace, directory, "fynx")

    # Life.

    def start(self) -> None:
        """Returns when the control socket answers."""
        plugins = ["default", *(["+keylog"] if "keylog" in self._host else [])]
        site = {"name": self.name, "plugins": plugins, "host": self._host, "peers": self._peers}
        self._file.touch(mode=0o600)
        self._file.write_text(yaml.safe_dump(site, sort_keys=False))
        self._daemon.launch(sys.executable, "-m", "fynx", "run", "-c", str(self._file), environment=_environment())
        until(self._answers, f"Fynx answers on its control socket: {self.log()}", within_s=15.0)

    def _answers(self) -> bool:
        assert self._daemon.running(), f"Fynx ended: {self.log()}"
        return bool(self.status())

    def stop(self) -> int:
        """SIGTERM: the graceful end, with DELETEs. Returns the exit code."""
        return self._daemon.end()

    def kill(self) -> None:
        """SIGKILL: no DELETE, no farewell."""
        self._daemon.end(signal.SIGKILL)

    def log(self) -> str:
        return self._daemon.said()

    # Configuration.

    def load(self, plan: Plan, other: Host, *, dials: bool = True, **options: object) -> None:
        """Write ``plan`` into the configuration; ``options`` are further keys of the peer (``liveness_s=1.0``)."""
        side = self.host.side
        target = (other.address6 if plan.ipv6 else other.seen) if dials else "any"
        proposals = {"ike": list(plan.ike)} if plan.ike else {}
        self._peers[plan.name] = {
            "remote": {
                "address": target,
                "id": plan.identity(1 - side) or "any",
                "auth": {"psk": {"secret": plan.secret}},
            },
            "local": {"id": plan.identity(side), "auth": {"psk": {"secret": plan.secret}}},
            "start": "none",
            "children": {child.name: self._child(child) for child in plan.children},
            **proposals,
            **options,
        }

    def _child(self, child: Child) -> dict[str, object]:
        side = self.host.side
        proposals = {"esp": list(child.esp)} if child.esp else {}
        selectors = {"local": list(networks(child, side)), "remote": list(networks(child, 1 - side))}
        return {**selectors, **proposals}

    # Deeds.

    def up(self, plan: Plan, child: str = "") -> None:
        """As ``fynx up PEER [CHILD]``; raises ``Refused`` with what Fynx says when it does not come up."""
        self._ask({"command": "up", "peer": plan.name, "child": child, "timeout_s": 10})

    def down(self, plan: Plan, child: str = "") -> None:
        self._ask({"command": "down", "peer": plan.name, "child": child})

    def _ask(self, request: Mapping[str, object]) -> Any:
        """One line to the control socket and one back; raises OSError when nobody listens."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(30.0)
            control.connect(f"/run/fynx/{self.name}.sock")
            control.sendall(json.dumps(request).encode() + b"\n")
            with control.makefile("rb") as lines:
                answer = json.loads(lines.readline() or b'{"ok": false, "error": "Fynx hung up"}')
        if not answer["ok"]:
            raise Refused(str(answer))
        return answer["result"]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of Fynx's own command line, such as ``fynx status --json``, on this configuration."""
        line = (sys.executable, "-m", "fynx", *arguments, "-c", str(self._file))
        return subprocess.run(line, capture_output=True, text=True, check=False, timeout=30.0, env=_environment())

    # Sights.

    def status(self) -> dict[str, Any]:
        """What ``fynx status --json`` shows; empty when Fynx does not run."""
        try:
            found: dict[str, Any] = self._ask({"command": "status"})
        except OSError:
            return {}
        assert found["schema"] == "fynx.status/1"
        return found

    def _peer(self, plan: Plan) -> dict[str, Any]:
        return next((peer for peer in self.status().get("peers", []) if peer["name"] == plan.name), {})

    def established(self, plan: Plan) -> bool:
        return bool(self._peer(plan).get("state") == "established")

    def children(self, plan: Plan) -> dict[str, ChildView]:
        """Installed Child SAs of the plan's IKE SA by the name of their configuration."""
        installed = [child for child in self._peer(plan).get("children", []) if child["state"] == "active"]
        return {child["name"]: _view(child) for child in installed}

    def esp_suite(self, plan: Plan) -> str:
        """The algorithms of the plan's first child, in Fynx's notation."""
        return str(self._peer(plan)["children"][0]["esp"])


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}


def _view(child: dict[str, Any]) -> ChildView:
    return ChildView(
        int(str(child["spi_in"]), 16),
        int(str(child["spi_out"]), 16),
        child["packets_in"],
        child["packets_out"],
        tuple(child["local"]),
        tuple(child["remote"]),
    )

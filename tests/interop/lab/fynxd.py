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

from lab.charon import NOTHING, ChildView, Refused, Tree
from lab.daemon import Daemon
from lab.plan import Child, Plan, networks
from lab.topology import Host
from lab.wait import until


class Fynx:
    """One Fynx. ``options`` are keys of ``host:`` (``{"cookie_threshold": 0}``), ``site`` those at the file's top."""

    kind = "fynx"

    def __init__(self, host: Host, directory: Path, options: Mapping[str, object], site: Mapping[str, object]) -> None:
        self.host = host
        self.directory = directory
        self.name = f"fxl{os.getpid()}-{('left', 'right')[host.side]}"
        self.file = directory / f"{self.name}.yaml"
        self._host = {"plane": {"tun": {"device": "fynx0"}}, **options}
        self._site = dict(site)
        self._peers: dict[str, object] = {}
        self._daemon = Daemon(host.namespace, directory, "fynx")

    # Life.

    def start(self) -> None:
        """Write the file and run it; returns when the control socket answers."""
        plugins = ["default", *(["+keylog"] if "keylog" in self._host else [])]
        site = {"name": self.name, "plugins": plugins, **self._site, "host": self._host, "peers": self._peers}
        self.file.touch(mode=0o600)
        self.file.write_text(yaml.safe_dump(site, sort_keys=False))
        self.launch()

    def launch(self) -> None:
        """Run the file as it stands."""
        self._daemon.launch(sys.executable, "-m", "fynx", "run", "-c", str(self.file), environment=self._environment())
        until(self._answers, f"Fynx answers on its control socket: {self.log()}")

    def _answers(self) -> bool:
        assert self._daemon.running(), f"Fynx ended: {self.log()}"
        return bool(self.status())

    def stop(self) -> None:
        """SIGTERM: the graceful end, with DELETEs. Whatever the test was about, Fynx itself must not have failed."""
        code = self._daemon.end()
        assert "Traceback" not in self.log(), self.log()
        assert code in (0, -signal.SIGKILL), f"exit {code}: {self.log()}"

    def kill(self) -> None:
        """SIGKILL: no DELETE, no farewell."""
        self._daemon.end(signal.SIGKILL)

    def log(self) -> str:
        return self._daemon.said()

    # Configuration.

    def load(self, plan: Plan, other: Host, *, dials: bool = True, children: Tree = NOTHING, **options: object) -> None:
        """Write ``plan`` into the configuration; ``options`` are further keys of the peer (``liveness_s=1.0``),
        ``children`` of each child."""
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
            "children": {child.name: {**self._child(child), **children} for child in plan.children},
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
        self._ask({"command": "up", "peer": plan.name, "child": child, "timeout_s": 100})

    def down(self, plan: Plan, child: str = "") -> None:
        self._ask({"command": "down", "peer": plan.name, "child": child})

    def _ask(self, request: Mapping[str, object]) -> Any:
        """One line to the control socket and one back; raises OSError when nobody listens."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(120.0)
            control.connect(str(self.directory / f"{self.name}.sock"))
            control.sendall(json.dumps(request).encode() + b"\n")
            with control.makefile("rb") as lines:
                answer = json.loads(lines.readline() or b'{"ok": false, "error": "Fynx hung up"}')
        if not answer["ok"]:
            raise Refused(str(answer))
        return answer["result"]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of Fynx's own command line, such as ``fynx status --json``, on this configuration."""
        return self.bare(*arguments, "-c", str(self.file))

    def bare(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        line = (sys.executable, "-m", "fynx", *arguments)
        return subprocess.run(line, capture_output=True, text=True, check=False, timeout=120.0, env=self._environment())

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "FYNX_RUN_DIR": str(self.directory), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}

    # Sights.

    def status(self) -> dict[str, Any]:
        """What ``fynx status --json`` shows; empty when Fynx does not run."""
        try:
            found: dict[str, Any] = self._ask({"command": "status"})
        except OSError:
            return {}
        assert found["schema"] == "fynx.status/1"
        return found

    def packets_dropped(self) -> dict[str, int]:
        """ESP and inner packets that the plane dropped, by name."""
        counted = self.status()["plane"]["counters"].items()
        return {name: number for name, number in counted if name.startswith("drop_") and number}

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


def _view(child: dict[str, Any]) -> ChildView:
    return ChildView(
        int(str(child["spi_in"]), 16),
        int(str(child["spi_out"]), 16),
        child["packets_in"],
        child["packets_out"],
        tuple(child["local"]),
        tuple(child["remote"]),
    )

"""Fynx at both ends as ``fynx run``, negotiated by IKE; more Child SAs of the peer where a variant wants them."""

from __future__ import annotations

import json
import sys
from ipaddress import IPv6Address

from benches.lab import FOLDER, Daemon, Host
from benches.tunnels.base import Tunnel
from fynx import __version__

SECRET = "a pre-shared key of more than thirty-two octets"
MORE = {"left": "fd00:10::", "right": "fd00:20::"}
OVERHEAD = {4: 62, 6: 82}
"""IP, UDP, ESP header, IV, trailer and ICV of an AEAD, and up to two octets of padding."""


class Fynx(Tunnel):
    """The configuration is written as JSON, which is YAML, and as short as 10,000 children of one peer want it."""

    system, short = "fynx", "fx"
    version = __version__

    @property
    def name(self) -> str:
        return "fynx"

    def start(self) -> None:
        run = FOLDER / "run"
        run.mkdir(parents=True, exist_ok=True)
        daemons = []
        for host in (self.link.right, self.link.left):
            file = self.folder / f"{host.side}.yaml"
            file.touch(mode=0o600)
            file.write_text(json.dumps(self._site(host)))
            daemon = Daemon(host, self.folder)
            daemon.start(sys.executable, "-m", "fynx", "run", "-c", str(file), FYNX_RUN_DIR=str(run))
            daemons.append(daemon)
        self.daemons = tuple(daemons)

    def _site(self, host: Host) -> dict[str, object]:
        other = self.link.other(host)
        tun: dict[str, object] = {"device": "fynx0", "mtu": 1500 - OVERHEAD[self.variant.family]}
        tun["capacity"] = max(4096, 2 * self.variant.sas)
        peer = {
            "remote": {
                "address": self.outer(other),
                "id": f"{other.side}.example",
                "auth": {"psk": {"secret": SECRET}},
            },
            "local": {"id": f"{host.side}.example", "auth": {"psk": {"secret": SECRET}}},
            "start": "initiate" if host.side == "left" else "none",
            "children": self._children(host, other),
        }
        listen = ["0.0.0.0" if self.variant.family == 4 else "::"]
        return {
            "name": f"{self.link.name}-{host.side}",
            "host": {
                "transport": {"udp": {"listen": listen}},
                "plane": {"tun": tun},
                "children_per_sa": max(256, 2 * self.variant.sas),
            },
            "peers": {other.side: peer},
        }

    def _children(self, host: Host, other: Host) -> dict[str, object]:
        start = "initiate" if host.side == "left" else "none"
        children: dict[str, object] = {}
        for number in range(1, self.variant.sas):
            near, far = (f"{IPv6Address(MORE[one.side]) + number}/128" for one in (host, other))
            children[f"m{number}"] = {"local": [near], "remote": [far], "start": start}
        children["net"] = self._child(self.network(host), self.network(other), start)
        return children

    def _child(self, near: str, far: str, start: str) -> dict[str, object]:
        return {"local": [near], "remote": [far], "esp": [self.variant.suite], "start": start}

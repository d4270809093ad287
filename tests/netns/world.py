"""Two gateways and the world between them, in namespaces; the world counts what it sees of the protected networks.

left (10.1.0.1, 192.0.2.1) -- world (192.0.2.254, 198.51.100.254) -- right (198.51.100.1, 10.2.0.1); both have a default
route into the world, so that a protected packet without a tunnel does leave in clear and is counted.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from fynx.run.client import Control
from tests.sanitizers import SIGNS, Sanitized

SECRET = "a secret of the network tests, 40 octets"
SIDES = ("left", "right")
OUTER = {"left": "192.0.2.1", "right": "198.51.100.1"}
OUTER6 = {"left": "2001:db8:1::1", "right": "2001:db8:2::1"}
INNER = {"left": "10.1.0.1", "right": "10.2.0.1"}
INNER6 = {"left": "fd00:1::1", "right": "fd00:2::1"}
NETWORK = {"left": "10.1.0.0/16", "right": "10.2.0.0/16"}
NETWORK6 = {"left": "fd00:1::/64", "right": "fd00:2::/64"}
COUNTERS = """
table inet seen {
  counter clear {}
  chain passing {
    type filter hook prerouting priority -300;
    ip daddr 10.0.0.0/8 counter name clear
    ip saddr 10.0.0.0/8 counter name clear
    ip6 daddr fd00::/16 counter name clear
    ip6 saddr fd00::/16 counter name clear
  }
}
"""


def run(*command: str, stdin: str | None = None, check: bool = True, within_s: float = 60) -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=within_s, check=False)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def until(true: Callable[[], object], what: str, within_s: float = 100.0) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, f"not within {within_s} s: {what}"
        time.sleep(0.02)


@dataclass
class Place:
    """One namespace."""

    role: str
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = f"fxr{os.getpid()}-{self.role}"
        run("ip", "netns", "add", self.name)
        self.ip("link set lo up")

    def ip(self, *lines: str) -> None:
        run("ip", "-n", self.name, "-batch", "-", stdin="\n".join(lines) + "\n")

    def show(self, *arguments: str) -> str:
        return run("ip", "-n", self.name, *arguments)

    def inside(self, *command: str, check: bool = True, stdin: str | None = None, within_s: float = 60) -> str:
        return run("ip", "netns", "exec", self.name, *command, check=check, stdin=stdin, within_s=within_s)

    def ping(self, address: str, *, source: str = "", count: int = 1, size: int = 56, wait_s: int = 20) -> bool:
        """Whether an answer comes; it has long to come, for the machine may be busy."""
        line = ["ping", "-n", "-c", str(count), "-i", "0.05", "-W", str(wait_s), "-s", str(size)]
        line += ["-I", source] if source else []
        done = subprocess.run(["ip", "netns", "exec", self.name, *line, address], capture_output=True, check=False)
        return done.returncode == 0

    def silent(self, *addresses: str, source: str = "") -> bool:
        """Whether no answer comes from any of them, each asked for a second."""
        return not any(self.ping(address, source=source, wait_s=1) for address in addresses)

    def owned(self) -> dict[str, list[str]]:
        """What in this namespace bears our mark: routes, rules, firewall tables, devices."""
        routes = self.show("route", "show", "table", "all") + self.show("-6", "route", "show", "table", "all")
        rules = self.show("rule") + self.show("-6", "rule")
        return {
            "routes": [line.strip() for line in routes.splitlines() if "proto 249" in line],
            "rules": [line.strip() for line in rules.splitlines() if "proto 249" in line],
            "tables": [line for line in self.inside("nft", "list", "tables").splitlines() if "fynx" in line],
            "devices": [line.split()[0] for line in self.show("-br", "link").splitlines() if "fynx" in line],
        }

    def delete(self) -> None:
        for pid in run("ip", "netns", "pids", self.name).split():
            os.kill(int(pid), signal.SIGKILL)
        run("ip", "netns", "del", self.name)


class Gateway:
    """``fynx run`` in a place, over an instrumented plane where one is given."""

    def __init__(self, place: Place, side: str, folder: Path, sanitizer: Sanitized | None = None) -> None:
        self.place, self.side, self.folder = place, side, folder
        self.other = SIDES[1 - SIDES.index(side)]
        self.outer, self.outer6, self.inner, self.inner6 = OUTER[side], OUTER6[side], INNER[side], INNER6[side]
        self.network, self.network6 = NETWORK[side], NETWORK6[side]
        self.file = folder / f"{side}.yaml"
        self.sanitizer = sanitizer
        self.process: subprocess.Popen[bytes] | None = None
        self.child: dict[str, Any] = {"local": [NETWORK[side]], "remote": [NETWORK[self.other]]}
        self.peer: dict[str, Any] = {
            "remote": {"address": OUTER[self.other], "id": f"{self.other}.test", "auth": {"psk": {"secret": SECRET}}},
            "local": {"id": f"{side}.test", "auth": {"psk": {"secret": SECRET}}},
            "start": "none",
            "retransmission": {"base_s": 0.3, "tries": 5},
            "children": {"net": self.child},
        }
        self.site: dict[str, Any] = {"name": side, "host": {"plane": {"tun": {}}}, "peers": {self.other: self.peer}}

    def start(self, *arguments: str) -> None:
        """Returns when it listens on its control socket: everything is open then."""
        self.launch(*arguments)
        self.wait()

    def wait(self, within_s: float = 120.0) -> None:
        until(self._ready, f"{self.side} runs: {self.log()}", within_s)

    def write(self) -> None:
        self.file.touch(mode=0o600)
        self.file.write_text(yaml.safe_dump(self.site, sort_keys=False))

    def launch(self, *arguments: str) -> None:
        self._socket.unlink(missing_ok=True)
        self.write()
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._inside(), *self.line, *arguments],
                stdout=log,
                stderr=log,
                env=self._environment(),
                cwd=self.sanitizer and self.sanitizer.folder,
            )

    @property
    def line(self) -> tuple[str, ...]:
        return sys.executable, "-m", "fynx", "run", "-c", str(self.file)

    def _inside(self) -> list[str]:
        """What comes before ``line``: only the program itself runs over the sanitizer, not those that start it."""
        given = self.sanitizer.environment() if self.sanitizer else {}
        return ["ip", "netns", "exec", self.place.name, "env", *(f"{name}={value}" for name, value in given.items())]

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"{self.side} ended with {self.process.returncode}: {self.log()}"
        with socket.socket(socket.AF_UNIX) as asking:
            return asking.connect_ex(str(self._socket)) == 0

    def again(self) -> subprocess.CompletedProcess[str]:
        """A second ``fynx run`` of the same configuration, to its end."""
        line = [*self._inside(), *self.line]
        where = self.sanitizer and self.sanitizer.folder
        return subprocess.run(
            line, capture_output=True, text=True, check=False, timeout=120, env=self._environment(), cwd=where
        )

    def stop(self) -> None:
        """SIGTERM: it ends by itself."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(60)
        self.process = None

    def cleanup(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def ask(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "fynx", *arguments, "-c", str(self.file)]
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=120, env=self._environment())
        assert not check or done.returncode == 0, f"{arguments}: {done.returncode}: {done.stderr}\n{self.log()}"
        return done

    def up(self, peer: str = "") -> None:
        with Control(self._socket, 120.0) as control:
            control.ask("up", peer=peer or self.other, timeout_s=100)

    def order(self, command: str, **options: object) -> None:
        """What the program asks the host, without starting it: on a busy machine a start takes seconds."""
        with Control(self._socket) as control:
            control.ask(command, **options)

    def status(self) -> dict[str, Any]:
        with Control(self._socket) as control:
            found: dict[str, Any] = control.ask("status")
        return found

    def established(self) -> bool:
        peers = self.status()["peers"]
        return any(peer["state"] == "established" and peer["children"] for peer in peers)

    def faults(self) -> str:
        """What a sanitizer said of the plane, with all that was written after it."""
        found = self.log()
        return found[min((found.index(sign) for sign in SIGNS if sign in found), default=len(found)) :]

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def logs(self, words: str) -> None:
        """The log is written in batches: what a caller knows to have happened may be said a moment later."""
        until(lambda: words in self.log(), f"{self.side} logs {words!r}")

    @property
    def _socket(self) -> Path:
        return self.folder / "run" / f"{self.site['name']}.sock"

    @property
    def _log(self) -> Path:
        return self.folder / f"{self.side}.log"

    def _environment(self) -> Mapping[str, str]:
        return {**os.environ, "FYNX_RUN_DIR": str(self.folder / "run"), "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two gateways with the world between them, and its devices on the way to each."""

    world: Place
    left: Gateway
    right: Gateway
    devices: tuple[str, str] = ("eth0", "eth1")


def clear(world: Place) -> int:
    """Packets of the protected networks that the world has seen since the last call."""
    found = world.inside("nft", "reset", "counter", "inet", "seen", "clear")
    packets = re.search(r"packets (\d+)", found)
    assert packets is not None
    return int(packets[1])


class World:
    """All of it. ``clear()`` is how many packets of the protected networks the world has seen since the last call."""

    def __init__(self, folder: Path, sanitizer: Sanitized | None = None) -> None:
        self.folder, self.sanitizer = folder, sanitizer
        self.places: list[Place] = []
        self.gateways: dict[str, Gateway] = {}
        try:
            self._make()
        except BaseException:
            self.delete()
            raise

    def _make(self) -> None:
        self.places = [self.world, self.left, self.right] = [Place(role) for role in ("world", *SIDES)]
        ports = {"left": (self.left, "eth0"), "right": (self.right, "eth1")}
        for number, (side, (place, port)) in enumerate(ports.items(), 1):
            link = ("link", "add", "eth0", "type", "veth", "peer", port, "netns", self.world.name)
            run("ip", "-n", place.name, *link)
            near4, near6 = OUTER[side].rsplit(".", 1)[0], f"2001:db8:{number}::"
            place.ip(
                f"addr add {OUTER[side]}/24 dev eth0",
                f"addr add {OUTER6[side]}/64 dev eth0 nodad",
                f"addr add {INNER[side]}/32 dev lo",
                f"addr add {INNER6[side]}/128 dev lo nodad",
                "link set eth0 up",
                f"route add default via {near4}.254",
                f"route add default via {near6}fe",
            )
            self.world.ip(
                f"addr add {near4}.254/24 dev {port}", f"addr add {near6}fe/64 dev {port} nodad", f"link set {port} up"
            )
            self.gateways[side] = Gateway(place, side, self.folder, self.sanitizer)
        self.world.inside("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        self.world.inside("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding")
        self.world.inside("nft", "-f", "-", stdin=COUNTERS)

    def start(self) -> None:
        """Both gateways, at the same time."""
        for gateway in self.gateways.values():
            gateway.launch()
        for gateway in self.gateways.values():
            gateway.wait()

    @property
    def pair(self) -> Pair:
        return Pair(self.world, self.gateways["left"], self.gateways["right"])

    def clear(self) -> int:
        return clear(self.world)

    def check(self) -> None:
        """No gateway's plane did what a sanitizer calls a fault."""
        for gateway in self.gateways.values():
            assert not gateway.faults(), gateway.faults()[:20_000]

    def delete(self) -> None:
        for gateway in self.gateways.values():
            gateway.cleanup()
        for place in self.places:
            place.delete()

"""What a handshake costs the responder: one Fynx initiator drives strongSwan's charon and ``fynx run`` in turn.

A handshake is IKE_SA_INIT, IKE_AUTH with PSK and a Child SA, and the DELETE that makes room for the next; ten peers at
once. The processor time is what the kernel's accounts say of all threads of the responder.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from benches.lab import FOLDER, BenchError, Daemon, Host, until
from benches.result import Result
from benches.tunnels.base import Tunnel, Variant
from benches.tunnels.fynx import Fynx
from benches.tunnels.strongswan import Strongswan

PEERS, CYCLES, ROUNDS = 10, 8, 7
SUITES = {
    "psk-x25519": "aes128gcm16-prfsha256-x25519",
    "psk-ecp256": "aes128gcm16-prfsha256-ecp256",
    "psk-modp2048": "aes128gcm16-prfsha256-modp2048",
}
SAMPLES = "samples.json"
SECRET = "a pre-shared key of more than thirty-two octets"
RESPONDER = "responder.example"


def run(arguments: Sequence[str] = ()) -> Result:
    """Raises BenchError."""
    parser = ArgumentParser(prog="./run bench responder")
    parser.add_argument("--case", default=",".join(SUITES), help="key exchanges: " + ", ".join(SUITES))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--profile", action="store_true", help="fynx run alone: where its processor time goes")
    options = parser.parse_args(list(arguments))
    result = Result("responder")
    for case in options.case.split(","):
        if case not in SUITES:
            raise BenchError(f"no case {case!r}; there are: {', '.join(SUITES)}")
    if options.profile:
        profile(result, options.case.split(","), options.rounds)
        return result
    with ExitStack() as stack:
        ends = [Ends(kind(Variant())) for kind in (FynxResponder, CharonResponder)]
        for each in ends:
            stack.callback(each.close)
            each.open()
        for case in options.case.split(","):
            measure(result, case, ends, options.rounds)
    return result


def profile(result: Result, cases: Sequence[str], rounds: int) -> None:
    end = Ends(SampledResponder(Variant()))
    try:
        end.open()
        for case in cases:
            end.initiate(SUITES[case])
            end.round(2)
            found = defaultdict[str, list[float]](list)
            for number in range(rounds):
                samples = end.sampled()
                for area in (*found, *(samples.keys() - found.keys())):
                    missed = [0.0] * (number - len(found[area]))
                    found[area] += [*missed, 100 * samples.get(area, 0) / sum(samples.values())]
            for area, shares in sorted(found.items(), key=lambda one: -median(one[1])):
                result.add(f"{case}-{area}", end.tunnel.system, end.tunnel.version, shares, "%")
    finally:
        end.close()


def measure(result: Result, case: str, ends: Sequence[Ends], rounds: int) -> None:
    found = defaultdict[tuple[str, str], list[float]](list)
    for each in ends:
        each.initiate(SUITES[case])
        each.round(2)  # the first ones load code and fill caches
    for _ in range(rounds):
        for each in ends:
            for name, value in each.round(CYCLES).items():
                found[name, each.tunnel.name].append(value)
    ours, theirs = ends
    for (name, system), values in found.items():
        tunnel = ours.tunnel if system == ours.tunnel.name else theirs.tunnel
        result.add(f"{case}-{name}", tunnel.system, tunnel.version, values, UNITS[name])
        if system == ours.tunnel.name:
            rival = theirs.tunnel.name
            result.ratio(f"{case}-{name}/fynx/{rival}", values, found[name, rival])


UNITS = {"per-second": "handshakes/s", "responder-cpu": "ms CPU", "initiator-cpu": "ms CPU"}


@dataclass(slots=True)
class Ends:
    """A responder, and the initiator that drives it."""

    tunnel: Tunnel
    driver: subprocess.Popen[str] | None = None

    def open(self) -> None:
        self.tunnel.up()
        print(f"up: {self.tunnel.name}", file=sys.stderr)

    def close(self) -> None:
        self._leave()
        self.tunnel.down()

    def initiate(self, suite: str) -> None:
        """Another initiator, with another suite."""
        self._leave()
        file = self.tunnel.folder / "left.yaml"
        write(file, initiator(self.tunnel.link.left, self.tunnel.link.right, suite))
        command = ["ip", "netns", "exec", self.tunnel.link.left.namespace, sys.executable, "-m", "benches.initiator"]
        log = (self.tunnel.folder / "left.log").open("w")
        with log:
            self.driver = subprocess.Popen(
                [*command, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1
            )
        self._hear()

    def round(self, cycles: int) -> dict[str, float]:
        before = self.tunnel.processor_s()
        told, count = self.ask(cycles), PEERS * cycles
        if told["failed"]:
            raise BenchError(f"{told['failed']} tunnels did not come up; see {self.tunnel.folder}")
        spent = self.tunnel.processor_s() - before
        return {
            "per-second": count / told["seconds"],
            "responder-cpu": spent / count * 1000,
            "initiator-cpu": told["cpu_s"] / count * 1000,
        }

    def sampled(self) -> dict[str, int]:
        """A round, and the samples of the responder by area."""
        file, (daemon,) = self.tunnel.folder / SAMPLES, self.tunnel.daemons
        assert daemon.process is not None
        file.unlink(missing_ok=True)
        daemon.process.send_signal(signal.SIGUSR1)
        self.round(4 * CYCLES)  # a sample comes with the clock's tick at most
        daemon.process.send_signal(signal.SIGUSR2)
        until(file.exists, "the samples are written")
        found: dict[str, int] = json.loads(file.read_text())
        return found

    def ask(self, cycles: int) -> dict[str, Any]:
        """What ``benches.initiator`` tells of so many cycles."""
        assert self.driver is not None
        assert self.driver.stdin is not None
        self.driver.stdin.write(f"{cycles}\n")
        return self._hear()

    def _hear(self) -> dict[str, Any]:
        assert self.driver is not None
        assert self.driver.stdout is not None
        line = self.driver.stdout.readline()
        if not line:
            raise BenchError(f"the initiator ended; see {self.tunnel.folder / 'left.log'}")
        found: dict[str, Any] = json.loads(line)
        return found

    def _leave(self) -> None:
        if self.driver is not None:
            self.driver.communicate(timeout=30)
            self.driver = None


class FynxResponder(Fynx):
    short = "hf"

    @property
    def program(self) -> tuple[str, ...]:
        return (sys.executable, "-m", "fynx")

    def up(self) -> None:
        self.link.make()
        self.start()

    def start(self) -> None:
        host, run = self.link.right, FOLDER / "run"
        run.mkdir(parents=True, exist_ok=True)
        file = self.folder / "right.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, responder(host))
        daemon = Daemon(host, self.folder)
        daemon.start(*self.program, "run", "-c", str(file), FYNX_RUN_DIR=str(run))
        self.daemons = (daemon,)
        until(lambda: _alive(daemon) and (run / "handshakes-right.sock").exists(), "fynx run stands")


class SampledResponder(FynxResponder):
    short = "hp"

    @property
    def program(self) -> tuple[str, ...]:
        return (sys.executable, "-m", "benches.sampled", str(self.folder / SAMPLES))


class CharonResponder(Strongswan):
    short = "hs"

    def up(self) -> None:
        self.link.make()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.start()

    def start(self) -> None:
        self.launch(self.link.right)
        for number in range(1, PEERS + 1):
            self._allow(self.link.right, number)

    def _allow(self, host: Host, number: int) -> None:
        child = {
            "local_ts": [f"{host.inner}/32"],
            "remote_ts": [f"198.51.100.{number}/32"],
            "esp_proposals": ["aes128gcm16"],
        }
        owners = [RESPONDER, f"initiator{number}.example"]
        connection = {
            "version": "2",
            "local_addrs": [host.outer],
            "mobike": "no",
            "proposals": list(SUITES.values()),
            "local": {"auth": "psk", "id": owners[0]},
            "remote": {"auth": "psk", "id": owners[1]},
            "children": {"net": child},
        }
        self._ask(host, "load-conn", {f"peer{number}": connection})
        self._ask(host, "load-shared", {"id": f"peer{number}", "type": "IKE", "data": SECRET, "owners": owners})


def _alive(daemon: Daemon) -> bool:
    daemon.check()
    return True


def write(file: Path, site: dict[str, object]) -> None:
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(site, sort_keys=False))


def initiator(host: Host, other: Host, suite: str) -> dict[str, object]:
    peers = {
        f"peer{number}": peer(
            remote={"address": other.outer, "id": RESPONDER},
            local=f"initiator{number}.example",
            ike=[suite],
            networks=(f"198.51.100.{number}/32", f"{other.inner}/32"),
        )
        for number in range(1, PEERS + 1)
    }
    return {"name": "handshakes-left", "host": section(host, {"inproc": {}}), "peers": peers}


def responder(host: Host) -> dict[str, object]:
    peers = {
        f"peer{number}": peer(
            remote={"address": "any", "id": f"initiator{number}.example"},
            local=RESPONDER,
            ike=list(SUITES.values()),
            networks=(f"{host.inner}/32", f"198.51.100.{number}/32"),
        )
        for number in range(1, PEERS + 1)
    }
    return {"name": "handshakes-right", "host": section(host, {"tun": {"device": "fynx0"}}), "peers": peers}


def section(host: Host, plane: dict[str, object]) -> dict[str, object]:
    return {"transport": {"udp": {"listen": [host.outer]}}, "plane": plane}


def proof() -> dict[str, object]:
    """A new one each time: YAML with anchors is refused."""
    return {"psk": {"secret": SECRET}}


def peer(*, remote: dict[str, str], local: str, ike: list[str], networks: tuple[str, str]) -> dict[str, object]:
    child = {"local": [networks[0]], "remote": [networks[1]], "esp": ["aes128gcm16"]}
    return {
        "remote": {**remote, "auth": proof()},
        "local": {"id": local, "auth": proof()},
        "ike": ike,
        "start": "none",
        "children": {"net": child},
    }

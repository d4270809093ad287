"""The demo where neither root nor namespaces are allowed: two processes on 127.0.0.1, inner packets made by hand."""

from __future__ import annotations

import json
import secrets
import select
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fynx.demo import packet
from fynx.demo.capture import Packet
from fynx.demo.ends import ESP, IKE, PATIENCE_S, child_of, drops, ended, refused, split_keys, tell_end, write_private
from fynx.demo.namespace import DemoError
from fynx.demo.pcapng import RAW_IP, PcapngWriter
from fynx.demo.relay import HOST, Relay, free_port
from fynx.demo.report import Report

FILE_OCTETS, BULK_OCTETS = 1 << 20, 8 << 20
REPLAYS = 200
HEADERS = 28
"""IPv4 and UDP before what the relay saw."""

YAML = """\
name: {name}
plugins: [default, +keylog]
host:
  transport: {{udp: {{listen: ["{host}"], ports: [{port}]}}}}
  plane: {{inproc: {{}}}}
  keylog: "{folder}/{name}.keys"
peers:
  {peer}:
    remote: {{address: {host}, port: {relay}, id: {peer}.example, auth: {{psk: {{secret: "@file:psk"}}}}}}
    local: {{id: {name}.example, auth: {{psk: {{secret: "@file:psk"}}}}}}
    ike: [{ike}]
    start: {start}
    children:
      net: {{local: [{inner}/32], remote: [{inner_remote}/32], esp: [{esp}], start: {start}}}
"""


@dataclass(slots=True)
class Worker:
    """A process with Fynx as a library (``fynx.demo.userland``), spoken to in lines of JSON."""

    name: str
    folder: Path
    process: subprocess.Popen[str]

    def ask(self, **order: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
        except OSError:
            raise DemoError(self.epitaph()) from None
        return self.hear()

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE_S)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            raise DemoError(self.epitaph())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def child(self) -> dict[str, Any]:
        return child_of(self.ask(do="status")["peers"][0])

    def epitaph(self) -> str:
        log = self.folder / f"{self.name}.log"
        lines = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        return f"{self.name} does not answer: {lines[-1]} (all in {log})"

    def stop(self) -> float | None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return ended(self.process)


class Loopback:
    """The same story as in namespaces, with a relay as the outside."""

    def __init__(self, report: Report, folder: Path) -> None:
        self.report, self.folder = report, folder
        self.canary = secrets.token_hex(16)
        self.ports = (free_port(), free_port())
        self.inner = ("198.51.100.1", "203.0.113.1")
        write_private(folder / "psk", secrets.token_hex(32) + "\n")

    def run(self) -> None:
        with ExitStack() as ends:
            relay = Relay(*self.ports)
            ends.callback(relay.stop)
            bob = self._start("bob", "alice", 1, relay)
            ends.callback(bob.stop)
            bob.hear()
            alice = self._start("alice", "bob", 0, relay)
            ends.callback(alice.stop)
            alice.hear()
            self._handshake(alice, relay)
            self._ping(alice)
            self._file(alice, bob)
            outside = list(relay.packets)
            self._wire(outside)
            self._replay(alice, bob, relay, outside)
            self._bulk(alice, bob)
            tell_end(self.report, {end.name: end.stop() for end in (alice, bob)})
        split_keys(self.report, self.folder)

    def _start(self, name: str, peer: str, index: int, relay: Relay) -> Worker:
        text = YAML.format(
            name=name,
            peer=peer,
            host=HOST,
            port=self.ports[index],
            relay=relay.ports[index],
            folder=self.folder,
            ike=IKE,
            esp=ESP,
            start="initiate" if index == 0 else "none",
            inner=self.inner[index],
            inner_remote=self.inner[1 - index],
        )
        config = self.folder / f"{name}.yaml"
        config.write_text(text)
        (self.folder / f"{name}.keys").unlink(missing_ok=True)
        command = [sys.executable, "-m", "fynx.demo.userland", str(config), self.inner[index], self.inner[1 - index]]
        with (self.folder / f"{name}.log").open("w") as log:
            pipe = subprocess.PIPE
            return Worker(
                name, self.folder, subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, text=True, bufsize=1)
            )

    def _handshake(self, alice: Worker, relay: Relay) -> None:
        end = time.monotonic() + PATIENCE_S
        while not (child := alice.child()).get("spi_out"):
            if time.monotonic() > end:
                raise DemoError(f"no tunnel after {PATIENCE_S:.0f} s (see {self.folder}/alice.log)")
            time.sleep(0.05)
        took = packet.handshake_s([seen(one) for one in list(relay.packets)])
        if took is None:
            raise DemoError("the tunnel is up, yet the outside saw no IKE_SA_INIT and IKE_AUTH")
        ends = f"alice {HOST}:{self.ports[0]} <-> fynx bob {HOST}:{self.ports[1]}"
        text = f"{ends}: {took * 1000:.1f} ms; ESP {child['esp']} by {child.get('provider')}"
        self.report.add("handshake", True, text, milliseconds=round(took * 1000, 2), esp=child["esp"])

    def _ping(self, alice: Worker) -> None:
        pings = alice.ask(do="ping", count=5)
        average = pings["average_ms"]
        text = f"{pings['received']} of {pings['sent']} answered" + (
            f", {average:.2f} ms on average" if average else ""
        )
        self.report.add("ping", pings["received"] == pings["sent"], text, **pings)

    def _file(self, alice: Worker, bob: Worker) -> None:
        sent, taken = alice.ask(do="send", octets=FILE_OCTETS, canary=self.canary), bob.ask(do="taken")
        same = sent["sha256"] == taken["sha256"]
        verdict = f"SHA-256 {'equal' if same else 'DIFFERENT'} ({sent['sha256'][:16]}...)"
        text = f"{FILE_OCTETS >> 20} MiB in datagrams, {verdict}"
        self.report.add("file", same, text, octets=taken["octets"], sha256=taken["sha256"])

    def _wire(self, outside: list[Packet]) -> None:
        with (self.folder / "outside.pcapng").open("wb") as file:
            writer = PcapngWriter(file, link_type=RAW_IP, interface="relay", comment="fynx demo, the outside")
            for one in outside:
                writer.packet(one.time_ns, one.data)
        kinds = [seen(one).kind for one in outside]
        ike, esp = kinds.count("ike"), kinds.count("esp")
        out = sum(self.canary.encode() in one.data for one in outside)
        text = f"{ike} IKE, {esp} ESP packets outside; the canary, which was in the file, in {out} of them"
        self.report.add("wire", not out and esp > 0, text, ike=ike, esp=esp, canary_outside=out)

    def _replay(self, alice: Worker, bob: Worker, relay: Relay, outside: list[Packet]) -> None:
        alice.ask(do="ping", count=1)  # once that is back, nothing of the file is on its way any more
        to_bob = [seen(one) for one in outside if int.from_bytes(one.data[22:24], "big") == self.ports[1]]
        old = [one for one in to_bob if one.kind == "esp"][-REPLAYS:]
        before, opened = drops(bob.child(), "replay"), bob.ask(do="taken")["opened"]
        relay.repeat_to_bob([one.body for one in old])
        count = refused(bob.child, before, len(old))
        delivered = bob.ask(do="taken")["opened"] - opened
        text = f"{len(old)} captured packets sent again: {count} refused as replays, {delivered} delivered"
        ok = bool(old) and count == len(old) and not delivered
        self.report.add("replay", ok, text, sent=len(old), refused=count, delivered=delivered)

    def _bulk(self, alice: Worker, bob: Worker) -> None:
        sent, taken = alice.ask(do="send", octets=BULK_OCTETS, canary=self.canary), bob.ask(do="taken")
        rate = BULK_OCTETS * 8 / sent["seconds"] / 1e6
        text = f"{BULK_OCTETS >> 20} MiB in datagrams made in Python in {sent['seconds']:.1f} s: {rate:.0f} Mbit/s"
        self.report.add(
            "throughput", taken["octets"] == BULK_OCTETS, text, mbit_s=round(rate, 1), octets=taken["octets"]
        )


def seen(one: Packet) -> packet.Seen:
    """What the relay passed on; every port is one where the non-ESP marker stands before IKE (RFC 3948 section 2.2)."""
    body = one.data[HEADERS:]
    if body[:4] == bytes(4):
        return packet.Seen("ike", one.time_ns, HOST, HOST, body[4:], one.data)
    return packet.Seen("esp", one.time_ns, HOST, HOST, body, one.data)

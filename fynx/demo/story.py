"""The demo as a story: handshake, ping, a file, the wire under a magnifying glass, replays, throughput, the end."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from contextlib import ExitStack
from pathlib import Path

from fynx.demo import packet, traffic
from fynx.demo.capture import LARGE, Capture, Packet
from fynx.demo.ends import End, FynxEnd, drops, refused, split_keys, tell_end, write_private
from fynx.demo.namespace import DemoError, Place, build, sh
from fynx.demo.pcapng import PcapngWriter
from fynx.demo.report import Report
from fynx.demo.strongswan import StrongswanEnd

FILE_OCTETS = 4 << 20
REPLAYS = 200
BULK_S = 3.0
OWN_RUN = Path("/run/fynx-demo")
"""Where the control sockets stand when /run is ours alone."""


class Story:
    """Runs the steps in order; each adds its line to the report, and a step that cannot be taken ends the story."""

    def __init__(self, report: Report, folder: Path, run_folder: Path) -> None:
        self.report, self.folder, self.run_folder = report, folder, run_folder
        self.canary = secrets.token_hex(16).encode()
        self.seen: list[packet.Seen] = []

    def run(self) -> None:
        if self.run_folder == OWN_RUN:
            sh("mount -t tmpfs -o mode=755 fynx-demo /run")
        self.run_folder.mkdir(mode=0o700)
        self._cast(*build())
        with ExitStack() as ends:
            for end in (self.bob, self.alice):
                ends.callback(end.stop)
            self._run()

    def _cast(self, alice: Place, bob: Place) -> None:
        secret = secrets.token_hex(32)
        write_private(self.folder / "psk", f"{secret}\n")
        self.alice = FynxEnd(alice, bob, self.folder, self.run_folder, initiates=True)
        self.bob: End = (
            StrongswanEnd(bob, alice, self.folder, self.run_folder, secret)
            if self.report.peer == "strongswan"
            else FynxEnd(bob, alice, self.folder, self.run_folder, initiates=False)
        )
        self.target = self.bob if isinstance(self.bob, FynxEnd) else self.alice
        """The Fynx that gets the replays; the capture is taken on its link."""

    def _run(self) -> None:
        outside = Capture(self.target.place.link)
        try:
            self._handshake(outside)
            inside = self._inside()
            self._ping()
            self._file()
            time.sleep(0.1)  # the last acknowledgements pass
        finally:
            lost = outside.stop()
        self._wire(outside, lost, inside)
        self._replay()
        self._bulk()
        self._end()
        split_keys(self.report, self.folder)

    def _handshake(self, outside: Capture) -> None:
        self.bob.start()
        self.bob.wait_until_ready()
        self.alice.start()
        self.alice.wait_until_ready()
        peer = self.alice.wait_until_up()
        took = packet.handshake_s([one for one in map(packet.find, list(outside.packets)) if one])
        if took is None:
            raise DemoError("the tunnel is up, yet the outside saw no IKE_SA_INIT and IKE_AUTH")
        child = peer["children"][0]
        suite = f"{child['esp']} by {child.get('provider') or 'the data plane'}"
        text = f"{self._between()}: {took * 1000:.1f} ms; ESP {suite}"
        self.report.add("handshake", True, text, milliseconds=round(took * 1000, 2), esp=child["esp"])

    def _between(self) -> str:
        return f"alice {self.alice.place.outer} <-> {self.report.peer} bob {self.bob.place.outer}"

    def _inside(self) -> Capture:
        with self.alice.place.entered():
            return Capture("fynx0", megabytes=64, frame=LARGE)

    def _ping(self) -> None:
        pings = traffic.ping(self.alice.place, self.bob.place)
        text = f"{pings.received} of {pings.sent} answered, {pings.average_ms:.2f} ms on average"
        facts = {"sent": pings.sent, "received": pings.received, "average_ms": pings.average_ms}
        self.report.add("ping", pings.received == pings.sent, text, **facts)

    def _file(self) -> None:
        content = os.urandom(FILE_OCTETS - 4096) + self.canary * 128
        digest = hashlib.sha256(content).hexdigest()
        stream = traffic.transfer(self.alice.place, self.bob.place, content)
        same = stream.digest == digest
        text = f"{FILE_OCTETS >> 20} MiB over TCP, SHA-256 {'equal' if same else 'DIFFERENT'} ({digest[:16]}...)"
        self.report.add("file", same, text, octets=stream.count, sha256=stream.digest, seconds=round(stream.seconds, 3))

    def _wire(self, outside: Capture, lost: int, inside: Capture) -> None:
        lost += inside.stop()
        self.seen = [one for one in map(packet.find, outside.packets) if one]
        self._save(outside.packets)
        ike, esp = (sum(one.kind == kind for one in self.seen) for kind in ("ike", "esp"))
        out, control = (sum(self.canary in one.data for one in side.packets) for side in (outside, inside))
        whole = not (lost or outside.cut)
        text = f"{ike} IKE, {esp} ESP packets outside; the canary in {out} of them, in {control} inside the tunnel"
        text += "" if whole else f"; {lost} packets not captured, {outside.cut} in part"
        facts = {"ike": ike, "esp": esp, "canary_outside": out, "canary_inside": control, "lost": lost}
        self.report.add("wire", not out and control > 0 and esp > 0 and whole, text, **facts)

    def _save(self, packets: list[Packet]) -> None:
        with (self.folder / "outside.pcapng").open("wb") as file:
            writer = PcapngWriter(file, interface=self.target.place.link, comment="fynx demo, the outside")
            for one in packets:
                writer.packet(one.time_ns, one.data)

    def _replay(self) -> None:
        place = self.target.place
        old = [one for one in self.seen if one.kind == "esp" and one.destination == place.outer][-REPLAYS:]
        before = drops(self.target.child(), "replay")
        with place.entered():
            inner = Capture("fynx0")
        packet.replay(place.link, old)
        count = refused(self.target.child, before, len(old))
        inner.stop()
        delivered = len([one for one in inner.packets if inward(one, place)])
        text = f"{len(old)} captured packets sent again: {count} refused as replays, {delivered} delivered"
        ok = bool(old) and count == len(old) and not delivered
        self.report.add("replay", ok, text, sent=len(old), refused=count, delivered=delivered)

    def _bulk(self) -> None:
        stream = traffic.flood(self.alice.place, self.bob.place, BULK_S)
        rate = stream.count * 8 / stream.seconds / 1e6
        text = f"{stream.count >> 20} MiB over one TCP connection in {stream.seconds:.1f} s: {rate:.0f} Mbit/s"
        self.report.add("throughput", stream.count > 0, text, mbit_s=round(rate, 1), octets=stream.count)

    def _end(self) -> None:
        tell_end(self.report, {end.place.name: end.stop() for end in (self.alice, self.bob)})


def inward(one: Packet, place: Place) -> bool:
    """Whether a packet on the tunnel's device came out of the tunnel: an IPv4 packet to the place's inner address."""
    return one.data[16:20] == bytes(map(int, place.inner.split(".")))

"""Yardsticks with fixed keys: our plane with a null cipher, a C loop and a Python loop that take packet by packet."""

from __future__ import annotations

import sys
from functools import partial

from benches.lab import ROOT, BenchError, Daemon, Host, compiled, until
from benches.tunnels.base import Tunnel
from benches.tunnels.fynx import OVERHEAD

DEVICE = "tun0"


class Yardstick(Tunnel):
    """A program that makes the device and ends with us; addresses and routes are set here."""

    def command(self, host: Host) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        daemons = []
        for host in self.link.hosts:
            daemon = Daemon(host, self.folder)
            daemon.start(*self.command(host), PYTHONPATH=str(ROOT))
            daemons.append(daemon)
        self.daemons = tuple(daemons)
        self.link_up()

    def link_up(self) -> None:
        for daemon in self.daemons:
            until(partial(self._set_up, daemon), f"{self.name} makes its device")

    def _set_up(self, daemon: Daemon) -> bool:
        daemon.check()
        networks = self.link.other(daemon.host).networks
        mtu = 1500 - OVERHEAD[self.variant.family]
        try:
            daemon.host.ip(
                f"link set {DEVICE} mtu {mtu} up", *(f"route replace {network} dev {DEVICE}" for network in networks)
            )
        except BenchError:
            return False
        return True

    def ends(self, host: Host) -> list[str]:
        return [host.side, self.outer(host), self.outer(self.link.other(host))]


class Null(Yardstick):
    """The plane of ``fynx run`` whose cipher copies nothing and protects nothing: what the rest of the way costs."""

    system, short = "null", "nu"

    def command(self, host: Host) -> list[str]:
        library = compiled("null.so", "benches/null.c", shared=True)
        return [sys.executable, "-m", "benches.tunnels.static", *self.ends(host), str(library), str(self.variant.sas)]


class Plane(Yardstick):
    """The plane of ``fynx run`` without IKE: for more SAs than can be negotiated while one waits."""

    system, short = "plane", "pl"

    def command(self, host: Host) -> list[str]:
        ends, sas = self.ends(host), str(self.variant.sas)
        return [sys.executable, "-m", "benches.tunnels.static", *ends, "aes128gcm16", sas]


class PerPacket(Yardstick):
    """One packet for each system call, in C, AES-128-GCM of ipsec-mb."""

    system, short = "c-per-packet", "cp"

    def command(self, host: Host) -> list[str]:
        made = compiled("perpacket", "benches/perpacket.c", "cext/providers/ipsecmb.c", "cext/wipe.c")
        return [str(made), DEVICE, *self.ends(host)]


class PythonPerPacket(Yardstick):
    """One packet at a time in Python, AES-128-GCM of ``cryptography``."""

    system, short = "python-per-packet", "py"

    def command(self, host: Host) -> list[str]:
        return [sys.executable, "-m", "benches.tunnels.python_loop", DEVICE, *self.ends(host)]

"""wireguard-go of Debian 12 and of Debian 13, configured through its own socket (its cross-platform interface)."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from benches.lab import BenchError, Daemon, Host, program, until, upstream
from benches.packages import unpacked
from benches.tunnels.base import Tunnel

SOCKETS = Path("/var/run/wireguard")
PORT = 51820
MTU = {4: 1440, 6: 1420}


def date(version: str) -> str:
    """``20231211`` of ``0.0.20231211``."""
    return version.rpartition(".")[2]


class Wireguard(Tunnel):
    """As Debian 12 has it: a packet at a time."""

    system, short = "wireguard-go", "wo"

    @property
    def version(self) -> str:  # type: ignore[override]
        return date(upstream("wireguard-go"))

    @property
    def program(self) -> str:
        return program("wireguard-go")

    def start(self) -> None:
        keys = {host.side: X25519PrivateKey.generate() for host in self.link.hosts}
        daemons = []
        for host in self.link.hosts:
            daemon = Daemon(host, self.folder)
            daemon.start(self.program, "-f", self._device(host), LOG_LEVEL="error")
            daemons.append(daemon)
        self.daemons = tuple(daemons)
        for host, daemon in zip(self.link.hosts, daemons, strict=True):
            self._configure(host, daemon, keys)

    def _device(self, host: Host) -> str:
        return f"{self.link.name[:8]}{os.getpid() % 10000}{host.side[0]}"

    def _configure(self, host: Host, daemon: Daemon, keys: dict[str, X25519PrivateKey]) -> None:
        other, path = self.link.other(host), SOCKETS / f"{self._device(host)}.sock"

        def there() -> bool:
            daemon.check()
            return path.exists()

        until(there, "wireguard-go opens its socket")
        far = self.outer(other)
        endpoint = f"[{far}]:{PORT}" if ":" in far else f"{far}:{PORT}"
        lines = [
            "set=1",
            f"private_key={keys[host.side].private_bytes_raw().hex()}",
            f"listen_port={PORT}",
            f"public_key={keys[other.side].public_key().public_bytes_raw().hex()}",
            f"endpoint={endpoint}",
            *(f"allowed_ip={network}" for network in other.networks),
        ]
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(10)
            line.connect(str(path))
            line.sendall("\n".join([*lines, "", ""]).encode())
            answer = line.recv(4096)
        if b"errno=0" not in answer:
            daemon.check()
            raise BenchError(f"wireguard-go: {answer!r}")
        device = self._device(host)
        four, six = other.networks
        host.ip(
            f"link set {device} mtu {MTU[self.variant.family]} up",
            f"route add {four} dev {device} src {host.inner}",
            f"route add {six} dev {device}",
        )

    def down(self) -> None:
        super().down()
        for host in self.link.hosts:
            with contextlib.suppress(OSError):
                (SOCKETS / f"{self._device(host)}.sock").unlink()


class NewWireguard(Wireguard):
    """As Debian 13 has it: with segmentation offload."""

    short = "wn"

    @property
    def version(self) -> str:  # type: ignore[override]
        return date(unpacked("wireguard-go").version)

    @property
    def program(self) -> str:
        return str(unpacked("wireguard-go").root / "usr/bin/wireguard-go")

"""Drives ``traffic.c``: what came through in one measurement."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from benches.lab import BenchError, Link, compiled

KINDS = {"tcp1": ("tcp", 1), "tcp4": ("tcp", 4), "udp1400": ("udp", 1400), "udp64": ("udp", 64)}
"""Streams of TCP; UDP payload, except that ``udp1400`` is the whole inner packet, which fits every tunnel's MTU."""
HEADERS = {4: 28, 6: 48}
UNITS = {"tcp": "Mbit/s", "udp": "packets/s"}


@dataclass(frozen=True, slots=True)
class Measured:
    """``rate`` in the unit of its kind; ``octets`` are all that came, before the measured time too."""

    rate: float
    octets: int


def measure(link: Link, kind: str, family: int, *, outside: bool = False, seconds: float = 1.0) -> Measured:
    protocol, number = KINDS[kind]
    if number == 1400:
        number -= HEADERS[family]
    namespaces = [f"/run/netns/{host.namespace}" for host in link.hosts]
    addresses = [host.address(family, outside=outside) for host in link.hosts]
    line = [str(compiled("traffic", "benches/traffic.c")), *namespaces, *addresses, protocol, str(number), str(seconds)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=seconds + 30)
    if done.returncode:
        raise BenchError(f"traffic through {link.name}: {done.stderr.strip()}")
    octets, packets, took, everything, _sent = map(float, done.stdout.split())
    rate = packets / took if protocol == "udp" else octets * 8 / took / 1e6
    return Measured(rate, int(everything))

"""Throughput between two hosts, Fynx beside other tunnels, in turn within each round.

A case is a kind of traffic and, where it differs from the bare case, suffixes: ``tcp1-ipv6-segmented``. A bare case is
IPv4, AES-128-GCM, offloads passed through, one SA, an outer MTU of 1500; TCP is controlled by CUBIC, as Debian has it,
whatever the machine is set to. Every system of every case has namespaces and
daemons of its own, all up at once; a round measures each of them once, so that ratios are those of neighbours in time.
``CASE-cpu`` is the processor time of both daemons per 10^9 octets that came through; ``tcp1-cipher`` what it is above
that of the null cipher, beside the bare library.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import isfinite, nan

from benches.aead import CIPHERS, bare_loop
from benches.lab import BenchError
from benches.result import Result
from benches.tables import best
from benches.traffic import KINDS, UNITS, measure
from benches.tunnels.base import Bare, Tunnel, Variant
from benches.tunnels.fynx import Fynx
from benches.tunnels.openvpn import Openvpn
from benches.tunnels.strongswan import Strongswan
from benches.tunnels.wireguard import NewWireguard, Wireguard
from benches.tunnels.yardsticks import Null, PerPacket, Plane, PythonPerPacket

ROUNDS = 7
SYSTEMS: dict[str, type[Tunnel]] = {
    "fynx": Fynx,
    "strongswan": Strongswan,
    "wireguard-go-20231211": NewWireguard,
    "wireguard-go-20220316": Wireguard,
    "openvpn": Openvpn,
    "plane": Plane,
    "null": Null,
    "c-per-packet": PerPacket,
    "python-per-packet": PythonPerPacket,
    "bare": Bare,
}
RIVALS = ("strongswan", "wireguard-go-20231211", "wireguard-go-20220316", "openvpn")
OURS = ("fynx", "plane")
SUFFIXES: dict[str, dict[str, object]] = {
    "aes256gcm16": {"suite": "aes256gcm16"},
    "chacha20poly1305": {"suite": "chacha20poly1305"},
    "ipv6": {"family": 6},
    "segmented": {"segmented": True},
    "sas100": {"sas": 100},
    "sas10000": {"sas": 10000},
}
DEFAULT = {
    "tcp1": tuple(name for name in SYSTEMS if name != "plane"),
    "tcp4": ("fynx", *RIVALS),
    "udp1400": ("fynx", *RIVALS),
    "udp64": ("fynx", *RIVALS),
    "tcp1-segmented": ("fynx", "strongswan", "wireguard-go-20231211"),
    "tcp1-ipv6": ("fynx", "strongswan", "wireguard-go-20231211"),
    "tcp1-aes256gcm16": ("fynx", "strongswan", "openvpn"),
    "tcp1-chacha20poly1305": ("fynx", "strongswan", "openvpn"),
    "tcp1-sas100": ("fynx",),
    "tcp1-sas10000": ("fynx", "plane"),
}


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of traffic through a variant."""

    name: str
    kind: str
    variant: Variant

    @staticmethod
    def parse(name: str) -> Case:
        """Raises BenchError for an unknown word."""
        kind, *suffixes = name.split("-")
        if kind not in KINDS or not set(suffixes) <= set(SUFFIXES):
            raise BenchError(f"no case {name!r}: one of {', '.join(KINDS)}, then any of -{', -'.join(SUFFIXES)}")
        facts: dict[str, object] = {}
        for word in suffixes:
            facts |= SUFFIXES[word]
        return Case(name, kind, Variant(**facts))  # type: ignore[arg-type]


@dataclass(slots=True)
class Run:
    """Tunnels that are up, and what was found of each case and system."""

    plan: list[tuple[Case, str]]
    seconds: float
    tunnels: dict[tuple[Variant, str], Tunnel] = field(default_factory=dict)
    rates: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    costs: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    cipher_ns: list[float] = field(default_factory=list)

    @property
    def compares_cipher(self) -> bool:
        planned = {(case.name, system) for case, system in self.plan}
        return {("tcp1", "fynx"), ("tcp1", "null")} <= planned

    def up(self, stack: ExitStack) -> None:
        for case, system in self.plan:
            if (case.variant, system) in self.tunnels:
                continue
            tunnel = SYSTEMS[system](case.variant)
            stack.callback(tunnel.down)
            tunnel.up()
            self.tunnels[case.variant, system] = tunnel
            print(f"up: {tunnel.name} {' '.join(case.variant.words)}", file=sys.stderr)

    def round(self) -> None:
        if self.compares_cipher:
            self.cipher_ns.append(cipher_ns_per_octet())
        for case, system in self.plan:
            tunnel = self.tunnels[case.variant, system]
            before = tunnel.processor_s()
            found = measure(tunnel.link, case.kind, case.variant.family, outside=tunnel.outside, seconds=self.seconds)
            self.rates[case.name, system].append(found.rate)
            if tunnel.daemons:
                used = tunnel.processor_s() - before
                self.costs[case.name, system].append(used / found.octets * 1e9 if found.octets else nan)


def plan(cases: Sequence[str], systems: Sequence[str]) -> list[tuple[Case, str]]:
    """Cases in order, each with its systems; a case with suffixes brings our bare one along, to compare."""
    named = list(cases) or list(DEFAULT)
    if unknown := [system for system in systems if system not in SYSTEMS]:
        raise BenchError(f"no system {unknown[0]!r}; there are: {', '.join(SYSTEMS)}")
    found: dict[tuple[str, str], tuple[Case, str]] = {}
    for name in named:
        case = Case.parse(name)
        offered = systems or DEFAULT.get(name, ("fynx", *RIVALS))
        base = Case.parse(case.kind)
        for system in OURS:
            if case.variant != base.variant and system in offered:
                found.setdefault((base.name, system), (base, system))
        for system in offered:
            found[name, system] = (case, system)
    return list(found.values())


def run(arguments: Sequence[str] = ()) -> Result:
    """Raises BenchError."""
    parser = ArgumentParser(prog="./run bench tunnel")
    parser.add_argument("--case", default="", help="one or more, with commas between them; all without")
    parser.add_argument("--system", default="", help=f"of {', '.join(SYSTEMS)}")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one measurement")
    parser.add_argument("--congestion", default="cubic", help="control of TCP; cubic is what Debian has")
    options = parser.parse_args(list(arguments))
    os.environ["BENCH_CONGESTION"] = options.congestion
    result = Result("tunnel")
    with ExitStack() as stack:
        going = Run(plan(split(options.case), split(options.system)), options.seconds)
        going.up(stack)
        for number in range(options.rounds):
            going.round()
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    tell(result, going)
    return result


def split(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def tell(result: Result, run: Run) -> None:
    for case, system in run.plan:
        tunnel, key = run.tunnels[case.variant, system], (case.name, system)
        unit = UNITS[KINDS[case.kind][0]]
        result.add(case.name, tunnel.system, tunnel.version, run.rates[key], unit)
        if costs := [cost for cost in run.costs[key] if isfinite(cost)]:
            result.add(f"{case.name}-cpu", tunnel.system, tunnel.version, costs, "s/GB")
    for name, ours, theirs, found in pairs(run):
        result.ratio(name, found[ours], found[theirs])
    if run.cipher_ns:
        each = zip(run.costs["tcp1", "fynx"], run.costs["tcp1", "null"], strict=True)
        inside = [ours - null for ours, null in each]
        result.add("tcp1-cipher", "fynx", "", inside, "ns/octet")
        result.add("tcp1-cipher", "bare", "", run.cipher_ns, "ns/octet")
        result.ratio("tcp1-cipher/fynx/bare", inside, run.cipher_ns)


def cipher_ns_per_octet() -> float:
    """What sealing and opening 1400 octets costs with the bare library that the plane uses: twice the sealing, which
    takes as long."""
    provider, _ = best()
    loop, count = bare_loop(provider, CIPHERS[0]), 20_000
    if loop is None:
        raise BenchError(f"{provider.name} cannot be measured bare")
    return 2 * min(loop(1400, count // 4) for _ in range(4)) * 4 / count / 1400


Found = dict[tuple[str, str], list[float]]


def pairs(run: Run) -> Iterator[tuple[str, tuple[str, str], tuple[str, str], Found]]:
    """Fynx against each other system of its case, against the bare case, and the null cipher against the bare link."""
    for case, system in run.plan:
        name, ours, theirs = run.tunnels[case.variant, system].name, (case.name, "fynx"), (case.name, system)
        if system != "fynx" and ours in run.rates:
            yield f"{case.name}/fynx/{name}", ours, theirs, run.rates
            if run.costs[theirs]:
                yield f"{case.name}-cpu/fynx/{name}", ours, theirs, run.costs
        if system in OURS and case.name != case.kind and (case.kind, system) in run.rates:
            yield f"{case.name}/{system}/{case.kind}", theirs, (case.kind, system), run.rates
        if system == "bare" and (case.name, "null") in run.rates:
            yield f"{case.name}/null/bare", (case.name, "null"), theirs, run.rates

"""ESP packets per second on one thread: each provider in batches and one per call, the whole plane, and pure Python.

``batch`` is the C loop's own call of a provider with 64 packets, ``one`` the same with one packet per call: both are
the cipher alone. ``plane`` is the data plane as a program drives it (policy, SA, header, seal, hand back), 64 packets
per crossing from Python, ``plane-one`` one packet per crossing. ``python`` makes the same ESP packet with the package
``cryptography``.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from importlib.metadata import version

from benches.result import RUNS, Result
from fynx.esp.engine import Engine, make_engine
from fynx.esp.ops import MAX_BATCH, bench_loop
from fynx.kernel.loader import boot
from fynx.kernel.registry import Registry
from fynx.plugin import ChildKeys, ChildSpec, EspSuite, Path, Policy, Provider, Secret, Selector

SIZES = (64, 576, 1400, 8900)
AES_GCM_16, CHACHA20_POLY1305 = 20, 28
SUITES = {
    "aes128gcm16": EspSuite(AES_GCM_16, 128, keyword="aes128gcm16"),
    "aes256gcm16": EspSuite(AES_GCM_16, 256, keyword="aes256gcm16"),
    "chacha20poly1305": EspSuite(CHACHA20_POLY1305, 256, keyword="chacha20poly1305"),
}
ROUND_S = 0.1
Rounds = dict[str, list[float]]
Measure = Callable[[], float]


def run() -> Result:
    """Rows ``SUITE-SIZE-KIND``; the kinds of one suite and size take turns, so that their ratios hold."""
    result, registry = Result("esp"), boot(["default"])
    versions = {provider.name: number(provider.version) for provider in registry.providers}
    versions["cryptography"] = version("cryptography")
    for name, suite in SUITES.items():
        for size in SIZES:
            measure(result, f"{name}-{size}", measures(registry, suite, size), versions)
    return result


def number(text: str) -> str:
    """The number in "OpenSSL 3.0.19 27 Jan 2026" or "libsodium 1.0.20"."""
    return next((word for word in text.split() if word[0].isdigit()), text)


def measure(result: Result, case: str, kinds: dict[tuple[str, str], Measure], versions: dict[str, str]) -> None:
    found: dict[tuple[str, str], list[float]] = {kind: [] for kind in kinds}
    for _ in range(RUNS):
        for which, one in kinds.items():
            found[which].append(one())
    slow = found["python", "cryptography"]
    for (kind, system), values in found.items():
        result.add(f"{case}-{kind}", system, versions.get(system, ""), values, "packets/s")
        if kind == "batch":
            result.ratio(f"{case}/{system}/one-per-call", values, found["one", system])
            result.ratio(f"{case}/{system}/python", values, slow)


def measures(registry: Registry, suite: EspSuite, size: int) -> dict[tuple[str, str], Measure]:
    found: dict[tuple[str, str], Measure] = {}
    for provider in registry.providers:
        address = provider.ops(suite.encr_id, suite.key_bits, suite.integ_id)
        if address:
            found["batch", provider.name] = lambda a=address: loop(a, size, MAX_BATCH)  # type: ignore[misc]
            found["one", provider.name] = lambda a=address: loop(a, size, 1)  # type: ignore[misc]
            found["plane", provider.name] = lambda p=provider: plane(p, suite, size, MAX_BATCH)  # type: ignore[misc]
            found["plane-one", provider.name] = lambda p=provider: plane(p, suite, size, 1)  # type: ignore[misc]
    found["python", "cryptography"] = lambda: python(registry, suite, size)
    return found


def loop(address: int, size: int, batch: int) -> float:
    count = MAX_BATCH
    while (taken := bench_loop(address, size, batch, count)) < ROUND_S * 1e9 / 4:
        count *= 4
    return count / taken * 1e9


def plane(provider: Provider, suite: EspSuite, size: int, batch: int) -> float:
    """Inner IPv4 packets of ``size`` octets in, ESP packets out; no socket, so that only the plane is measured."""
    engine = make_engine(providers=[provider], inproc=True, capacity=64)
    try:
        engine.start()
        install(engine, suite)
        packets = [inner_packet(size)] * batch
        if len(engine.send_inner(packets)) != batch:
            raise RuntimeError("the plane did not seal what it was given")
        return rate(lambda: engine.send_inner(packets), batch)
    finally:
        engine.stop()


def install(engine: Engine, suite: EspSuite) -> None:
    everything = (Selector(bytes(4), b"\xff" * 4),)
    keys = ChildKeys(Secret(bytes(range(suite.key_bits // 8))), Secret(bytes(4)))
    path = Path("192.0.2.1", 4500, "192.0.2.2", 4500)
    spi = engine.reserve_spi()
    child = ChildSpec(1, "bench", "bench", spi, 0x1000, suite, keys, keys, path, True, "tunnel", everything, everything)
    engine.install(child)
    engine.policies([Policy("protect", everything, everything, 100, "bench", "bench")])


def inner_packet(size: int) -> bytes:
    addresses = bytes([198, 51, 100, 1, 203, 0, 113, 1])
    header = struct.pack("!BBHHHBBH", 0x45, 0, size, 0, 0, 64, 17, 0) + addresses
    return header + bytes(size - len(header))


def python(registry: Registry, suite: EspSuite, size: int) -> float:
    cipher = next(one for one in registry.algorithms.ciphers.values() if one.keyword == suite.keyword)
    key = cipher.key(bytes(cipher.key_bits // 8 + cipher.salt_len))
    plain = inner_packet(size)
    sequence = 0

    def seal() -> bytes:
        nonlocal sequence
        sequence += 1
        header, iv = struct.pack("!II", 0x1000, sequence), struct.pack("!Q", sequence)
        pad = -(len(plain) + 2) % 4
        trailer = bytes(range(1, pad + 1)) + bytes([pad, 4])
        return header + iv + key.seal(iv, plain + trailer, header)

    return rate(seal, 1)


def rate(work: Callable[[], object], packets: int) -> float:
    """Packets per second over about ``ROUND_S``."""
    began = time.perf_counter()
    end, rounds = began + ROUND_S, 0
    while (now := time.perf_counter()) < end:
        work()
        rounds += 1
    return rounds * packets / (now - began)

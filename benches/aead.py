"""``aead``: packets per second through the table of functions of each provider, beside the bare library.

``fynx`` seals in batches of 64 through ``struct fynx_aead_ops``, as the plane does; ``bare`` calls the same library as
its manual says (``bare.c``). ``ffi``: one packet for each call from Python, 64 for each, and Python alone.
"""

from __future__ import annotations

import ctypes
import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from benches.esp import number, plane, python
from benches.lab import BenchError, compiled
from benches.result import Result
from fynx.esp.ops import MAX_BATCH, bench_loop
from fynx.kernel.loader import boot
from fynx.kernel.registry import Registry
from fynx.plugin import EspSuite, Provider

ROUNDS = 9
ROUND_NS = 25e6
SIZES = (64, 576, 1400, 8900)
PLENTY = 1000
"""More packets than any one measurement needs to be steady."""


@dataclass(frozen=True, slots=True)
class Cipher:
    """A suite and what the libraries call it."""

    name: str
    suite: EspSuite
    openssl: str
    gcm_bits: int


CIPHERS = (
    Cipher("aes128gcm", EspSuite(20, 128, keyword="aes128gcm16"), "AES-128-GCM", 128),
    Cipher("aes256gcm", EspSuite(20, 256, keyword="aes256gcm16"), "AES-256-GCM", 256),
    Cipher("chacha20poly1305", EspSuite(28, 256, keyword="chacha20poly1305"), "ChaCha20-Poly1305", 0),
)
Loop = Callable[[int, int], int]
"""Size and count of packets to nanoseconds."""


def run() -> Result:
    """The first provider of a suite has the bare name ``aes128gcm-1400``; others have theirs behind it."""
    result, registry = Result("aead"), boot(["default"])
    for cipher in CIPHERS:
        loops = {
            provider.name: (provider, *found) for provider in ordered(registry) if (found := loop_of(provider, cipher))
        }
        for size in SIZES:
            for place, (name, (provider, ours, bare)) in enumerate(loops.items()):
                case = f"{cipher.name}-{size}" + (f"-{name}" if place else "")
                compare(result, case, number(provider.version), {"fynx": ours, "bare": bare}, size)
    return result


def ordered(registry: Registry) -> list[Provider]:
    rank = {"ipsecmb": 0, "libcrypto": 1, "sodium": 2}
    return sorted(registry.providers, key=lambda provider: rank.get(provider.name, 3))


def compare(result: Result, case: str, version: str, loops: dict[str, Loop], size: int) -> None:
    count = enough(loops["fynx"], size)
    found: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(ROUNDS):
        for name, loop in loops.items():
            found[name].append(count / loop(size, count) * 1e9)
    for name, values in found.items():
        result.add(case, name, version, values, "packets/s")
    result.ratio(f"{case}/fynx/bare", found["fynx"], found["bare"])


def enough(loop: Loop, size: int) -> int:
    taken = loop(size, PLENTY)
    return max(MAX_BATCH, int(PLENTY * ROUND_NS / taken) // MAX_BATCH * MAX_BATCH)


def loop_of(provider: Provider, cipher: Cipher) -> tuple[Loop, Loop] | None:
    suite = cipher.suite
    address = provider.ops(suite.encr_id, suite.key_bits, suite.integ_id) or provider.ops(suite.encr_id, 0, 0)
    bare = bare_loop(provider, cipher) if address else None
    if not address or bare is None:
        return None
    return lambda size, count: bench_loop(address, size, MAX_BATCH, count), bare


def library() -> ctypes.CDLL:
    made = ctypes.CDLL(str(compiled("bare.so", "benches/bare.c", shared=True)))
    for name in ("bare_ipsecmb_gcm", "bare_libcrypto", "bare_sodium"):
        getattr(made, name).restype = ctypes.c_int64
    return made


def bare_loop(provider: Provider, cipher: Cipher) -> Loop | None:
    """None where `bare.c` has no way (ChaCha20-Poly1305 of ipsec-mb runs as jobs of a manager)."""
    bare, long = library(), ctypes.c_uint64
    if provider.name == "libcrypto":
        openssl = cipher.openssl.encode()
        return lambda size, count: told(bare.bare_libcrypto(openssl, size, long(count)))
    if provider.name == "sodium":
        path, chacha = sodium_file().encode(), int(not cipher.gcm_bits)
        return lambda size, count: told(bare.bare_sodium(path, chacha, size, long(count)))
    found = re.search(r"AES-GCM: (\w+)", provider.version)
    if provider.name != "ipsecmb" or not found or not cipher.gcm_bits:
        return None
    instructions = found[1].encode()
    return lambda size, count: told(bare.bare_ipsecmb_gcm(instructions, cipher.gcm_bits, size, long(count)))


def sodium_file() -> str:
    return str(importlib.import_module("nacl._sodium").__file__)


def told(nanoseconds: int) -> int:
    if nanoseconds <= 0:
        raise BenchError("a library could not be measured bare")
    return int(nanoseconds)


def run_ffi() -> Result:
    """From Python: one packet for each call into the plane, 64 for each, and the same packet in Python alone."""
    result, registry = Result("ffi"), boot(["default"])
    suite = CIPHERS[0].suite
    provider = next((p for p in ordered(registry) if p.ops(suite.encr_id, suite.key_bits, suite.integ_id)), None)
    if provider is None:
        raise BenchError("no provider has AES-128-GCM")
    for size in (64, 1400):
        found: dict[str, list[float]] = {"one-per-call": [], "batches": [], "python": []}
        for _ in range(ROUNDS):
            found["one-per-call"].append(plane(provider, suite, size, 1))
            found["batches"].append(plane(provider, suite, size, MAX_BATCH))
            found["python"].append(python(registry, suite, size))
        for name, values in found.items():
            result.add(f"aes128gcm-{size}", name, number(provider.version), values, "packets/s")
        for name in ("one-per-call", "python"):
            result.ratio(f"aes128gcm-{size}/batches/{name}", found["batches"], found[name])
    return result

"""What the tables of the plane cost, measured in C (``tables.c``).

``lookup``: an inbound SA by its SPI among 1 to 100,000, a policy among 1 to 10,000 (in the tables, and in the cache
of flows that a worker keeps). ``install``: SA pairs per second, outbound policies and all. ``memory``: octets of
the heap for one SA pair. ``replay``: the window's check and commit for a number, with ESN and without.
"""

from __future__ import annotations

import array
import ctypes
import random
import time
from collections.abc import Callable
from functools import cache

from benches.aead import CIPHERS, ordered
from benches.esp import number
from benches.lab import ROOT, BenchError, compiled
from benches.result import Result
from fynx import __version__
from fynx.esp._plane import ffi, lib
from fynx.esp.reference import Window
from fynx.kernel.loader import boot
from fynx.plugin import Provider

ROUNDS = 7
SAS, POLICIES = (1, 100, 10_000, 100_000), (1, 100, 1000, 10_000)
LOOKUPS = 100_000
INSTALLED = (100, 1000, 10_000)
WINDOWS, NUMBERS = (64, 1024, 16_384), 100_000


def library() -> ctypes.CDLL:
    sources = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "cext").glob("*.c"))
    made = ctypes.CDLL(str(compiled("tables.so", "benches/tables.c", *sources, shared=True)))
    made.tables_new.restype = ctypes.c_void_p
    for name in ("tables_find_sas", "tables_find_policies"):
        getattr(made, name).restype = ctypes.c_int64
    return made


class Tables:
    """A plane of its own with ``n`` SA pairs."""

    def __init__(self, tables: ctypes.CDLL, ops: int, n: int, *, window: int = 1024, outbound: bool = False) -> None:
        took, octets = ctypes.c_int64(), ctypes.c_int64()
        new = tables.tables_new
        made = new(ctypes.c_size_t(ops), n, window, int(outbound), ctypes.byref(took), ctypes.byref(octets))
        if not made:
            raise BenchError(f"{n} SAs cannot be installed")
        self._tables, self._made = tables, ctypes.c_void_p(made)
        self.install_s, self.octets = took.value / 1e9, octets.value

    def sa_ns(self) -> float:
        return told(self._tables.tables_find_sas(self._made, LOOKUPS)) / LOOKUPS

    def policies(self, n: int) -> None:
        if self._tables.tables_policies(self._made, n):
            raise BenchError(f"{n} policies are refused")

    def policy_ns(self, n: int, *, cached: bool) -> float:
        return told(self._tables.tables_find_policies(self._made, n, int(cached), LOOKUPS)) / LOOKUPS

    def close(self) -> None:
        self._tables.tables_free(self._made)


def told(nanoseconds: int) -> int:
    if nanoseconds < 0:
        raise BenchError("something that was installed is not found")
    return nanoseconds


@cache
def best() -> tuple[Provider, int]:
    """The first provider with AES-128-GCM, and its operations."""
    suite = CIPHERS[0].suite
    for provider in ordered(boot(["default"])):
        if address := provider.ops(suite.encr_id, suite.key_bits, suite.integ_id):
            return provider, address
    raise BenchError("no provider has AES-128-GCM")


def rounds(work: Callable[[], float]) -> list[float]:
    return [work() for _ in range(ROUNDS)]


def run_lookup() -> Result:
    result, (_, ops), c = Result("lookup"), best(), library()
    for n in SAS:
        tables = Tables(c, ops, n)
        result.add(f"sas{n}", "fynx", __version__, rounds(tables.sa_ns), "ns")
        tables.close()
    tables = Tables(c, ops, 0)
    for n in POLICIES:
        tables.policies(n)
        for kind in ("tables", "cached"):
            values = rounds(lambda n=n, kind=kind: tables.policy_ns(n, cached=kind == "cached"))  # type: ignore[misc]
            result.add(f"policies{n}-{kind}", "fynx", __version__, values, "ns")
    tables.close()
    return result


def run_install() -> Result:
    result, (provider, ops), c = Result("install"), best(), library()

    def rate(n: int) -> float:
        tables = Tables(c, ops, n, outbound=True)
        tables.close()
        return n / tables.install_s

    for n in INSTALLED:
        result.add(f"sas{n}", provider.name, number(provider.version), rounds(lambda n=n: rate(n)), "SA pairs/s")  # type: ignore[misc]
    return result


def run_memory() -> Result:
    result, (provider, ops), c, many = Result("memory"), best(), library(), 1000

    def each(window: int) -> float:
        tables = Tables(c, ops, many, window=window)
        tables.close()
        return tables.octets / many

    for window in WINDOWS:
        values = rounds(lambda window=window: each(window))  # type: ignore[misc]
        result.add(f"window{window}", provider.name, number(provider.version), values, "octets/SA pair")
    return result


def run_replay() -> Result:
    """Numbers in order, and swapped within a distance that the window holds; beside the same in Python."""
    result, chance = Result("replay"), random.Random(1)
    inorder = list(range(1, NUMBERS + 1))
    for window in WINDOWS:
        swapped = sorted(inorder, key=lambda n, window=window: n + chance.randrange(window // 2))  # type: ignore[misc]
        for name, numbers in (("inorder", inorder), ("reordered", swapped)):
            ours = rounds(lambda w=window, n=numbers: replay_ns(w, n))  # type: ignore[misc]
            theirs = rounds(lambda w=window, n=numbers: python_replay_ns(w, n))  # type: ignore[misc]
            result.add(f"window{window}-{name}", "fynx", __version__, ours, "ns")
            result.add(f"window{window}-{name}", "python", "", theirs, "ns")
            result.ratio(f"window{window}-{name}/python/fynx", theirs, ours)
    return result


def replay_ns(window: int, numbers: list[int]) -> float:
    n, given = len(numbers), array.array("Q", numbers)
    accepted, inferred = bytearray(n), array.array("Q", bytes(8 * n))
    pointers = (
        ffi.from_buffer("uint64_t[]", given),
        n,
        ffi.from_buffer(accepted),
        ffi.from_buffer("uint64_t[]", inferred),
    )
    began = time.perf_counter_ns()
    lib.fynx_window_run(window, 0, *pointers, 0)
    taken = time.perf_counter_ns() - began
    if accepted.count(1) != n:
        raise BenchError("the window refused a new number")
    return taken / n


def python_replay_ns(window: int, numbers: list[int]) -> float:
    numbers = numbers[:1000]
    reference = Window(window)
    began = time.perf_counter_ns()
    for each in numbers:
        reference.commit(each)
    return (time.perf_counter_ns() - began) / len(numbers)

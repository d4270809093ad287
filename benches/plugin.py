"""A third party's cipher in C (docs/examples/fynx-private-gcm) beside the built-in one for the same algorithm.

Both are AES-GCM of the same libcrypto, called by the C loop in batches of 64 (``batch``) and one by one (``one``).
"""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

from benches.esp import SIZES, number
from benches.result import Result
from fynx import get_include
from fynx.esp.ops import MAX_BATCH, bench_loop
from fynx.kernel.loader import boot

SOURCE = Path(__file__).resolve().parent.parent / "docs/examples/fynx-private-gcm/src/fynx_private_gcm/ops.c"
AES_GCM_16 = 20
ROUNDS, ROUND_NS = 101, 5_000_000
"""The difference that is looked for is small, and machines drift: many short rounds, in turn."""


def run() -> Result:
    result = Result("plugin")
    library, provider = build(), next(one for one in boot(["default"]).providers if one.name == "libcrypto")
    version = number(provider.version)
    for bits in (128, 256):
        addresses = {
            "private_gcm": int(library.private_gcm_ops(bits) or 0),
            "libcrypto": provider.ops(AES_GCM_16, bits, 0),
        }
        for size in SIZES:
            for kind, batch in (("batch", MAX_BATCH), ("one", 1)):
                case = f"aes{bits}gcm16-{size}-{kind}"
                found = in_turn(addresses, size, batch)
                for name, values in found.items():
                    result.add(case, name, version, values, "packets/s")
                result.ratio(f"{case}/private_gcm/libcrypto", found["private_gcm"], found["libcrypto"])
    return result


def in_turn(addresses: dict[str, int], size: int, batch: int) -> dict[str, list[float]]:
    """Packets per second of each; who goes first changes from round to round."""
    found: dict[str, list[float]] = {name: [] for name in addresses}
    count = MAX_BATCH
    while bench_loop(next(iter(addresses.values())), size, batch, count) < ROUND_NS / 2:
        count *= 2
    for number_ in range(ROUNDS):
        for name in sorted(addresses, reverse=bool(number_ & 1)):
            found[name].append(count / bench_loop(addresses[name], size, batch, count) * 1e9)
    return found


def build() -> ctypes.CDLL:
    """The example's C, compiled as its setup.py does."""
    made = Path("build/bench/private_gcm.so")
    made.parent.mkdir(parents=True, exist_ok=True)
    flags = ["-std=c11", "-O3", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", f"-I{get_include()}"]
    subprocess.run(["cc", *flags, str(SOURCE), "-o", str(made), "-l:libcrypto.so.3"], check=True)
    library = ctypes.CDLL(str(made.resolve()))
    library.private_gcm_ops.restype = ctypes.c_void_p
    return library

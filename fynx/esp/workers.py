"""Each thread of the C plane by itself: what it counts, where it runs, what waits for it. Read without stopping it."""

from __future__ import annotations

from collections.abc import Iterator

from fynx.esp._plane import ffi, lib

STATES = ("none", "running", "lost")
RATES = {
    "packets_per_read": ("packets_out", "tun_reads"),
    "packets_per_send": ("packets_out", "send_messages"),
    "packets_per_receive": ("packets_in", "receive_buffers"),
    "packets_per_write": ("packets_in", "tun_writes"),
}
"""What the offloads bring: 1.0 is one packet for each system call."""


def rates(counters: dict[str, int]) -> dict[str, float]:
    return {
        name: round(counters[packets] / counters[calls], 2)
        for name, (packets, calls) in RATES.items()
        if counters.get(calls) and packets in counters
    }


def drop_name(index: int) -> str:
    return str(ffi.string(lib.fynx_drop_name(index)).decode())


def counter_name(index: int) -> str:
    return str(ffi.string(lib.fynx_counter_name(index)).decode())


def workers(plane: object) -> list[dict[str, object]]:
    """One entry for each direction of a worker, numbered from 1; number 0 is what the program hands over itself."""
    return list(_workers(plane))


def _workers(plane: object) -> Iterator[dict[str, object]]:
    info = ffi.new("struct fynx_worker_info *")
    counters = ffi.new("uint64_t[]", lib.fynx_counter_count())
    drops = ffi.new("uint64_t[]", lib.fynx_drop_count())
    for index in range(lib.fynx_worker_count(plane)):
        lib.fynx_worker_info(plane, index, info, counters, drops)
        counted = {counter_name(i): int(value) for i, value in enumerate(counters) if value}
        if not info.number and not counted:
            continue
        yield {
            "worker": info.number,
            "direction": "in" if info.receiver else "out",
            "state": STATES[info.state],
            "restarts": info.restarts,
            "cpu": None if info.cpu < 0 else info.cpu,
            "queue": None if info.queue < 0 else info.queue,
            "wakeups": counted.get("wakeups", 0),
            "waiting": {
                "sockets": info.sockets_waiting,
                "control": info.upcalls_waiting,
                "program": info.inner_waiting,
            },
            "rates": rates(counted),
            "counters": counted,
            "drops": {drop_name(i): int(value) for i, value in enumerate(drops) if value},
        }


__all__ = ["RATES", "counter_name", "drop_name", "rates", "workers"]

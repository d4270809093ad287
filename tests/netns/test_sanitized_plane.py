"""What a sanitizer says of the plane of a running gateway fails a test: a fault planted in a call of its C is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.netns.world import World, until
from tests.sanitizers import MEMORY, THREAD, sanitized

PLANTED = """
import threading
from fynx.esp._plane import ffi, lib
from fynx.plugin import hookimpl

FYNX_API = 1
MANY = 200_000
numbers, accepted, room = (ffi.new(kind, MANY) for kind in ("uint64_t[]", "uint8_t[]", "uint64_t[]"))
place = ffi.cast("uint64_t *", ffi.cast("char *", room) + {octets})

def go():
    lib.fynx_window_run(64, 0, numbers, MANY, accepted, place, 0)

@hookimpl
def fynx_event(event):
    both = [threading.Thread(target=go) for _ in range({threads})]
    for each in both:
        each.start()
    for each in both:
        each.join()
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "octets", "threads", "sign"),
    [
        (MEMORY, 8, 1, "heap-buffer-overflow"),
        (MEMORY, 1, 1, "misaligned address"),
        (THREAD, 0, 2, "data race"),
    ],
)
def test_a_planted_fault_is_reported(tmp_path: Path, kind: str, octets: int, threads: int, sign: str) -> None:
    """It writes behind the end of what it was given, or across the borders of words, or by two threads at once."""
    world = World(tmp_path, sanitized(kind))
    left = world.gateways["left"]
    plugin = tmp_path / "planted.py"
    plugin.touch(mode=0o600)
    plugin.write_text(PLANTED.format(octets=octets, threads=threads))
    left.peer["start"] = "initiate"
    try:
        left.launch("-p", str(plugin))
        until(lambda: sign in left.faults(), "a report of it")
        with pytest.raises(AssertionError, match=sign):
            world.check()
    finally:
        world.delete()

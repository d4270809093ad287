"""What the engine tells of its threads, and hears when one ends by itself."""

from __future__ import annotations

import contextlib
import socket

import pytest

from fynx.errors import StateError
from fynx.esp.native import RECORD, WORKER, Addresses, upcalls
from fynx.plugin import WorkerEnded
from tests.unit.esp.workshop import child, make, outbound


def test_what_a_program_hands_over_is_counted_as_worker_0() -> None:
    engine = make()
    engine.install(child())
    engine.send_inner([outbound()] * 3)
    (only,) = engine.status()["workers"]  # type: ignore[misc]
    assert (only["worker"], only["direction"], only["state"], only["queue"]) == (0, "out", "none", None)
    assert only["counters"]["packets_out"] == 3
    assert only["drops"] == {}


def test_a_refusal_is_counted_where_it_happened() -> None:
    engine = make()
    engine.send_inner([outbound()])
    (only,) = engine.status()["workers"]  # type: ignore[misc]
    assert only["drops"] == {"no_policy": 1}


def test_an_engine_without_threads_has_none_to_restart() -> None:
    engine = make()
    for number in (0, 1, 99):
        with pytest.raises(StateError, match="no worker has this number"):
            engine.restart_worker(number)


@pytest.mark.parametrize(("receiver", "direction"), [(0, "out"), (1, "in")])
def test_a_thread_that_ended_by_itself_is_told(receiver: int, direction: str) -> None:
    fields = [RECORD.size, WORKER, 0, 0, 3, bytes(16), 0, 0, bytes(16), 0, 0, receiver, 0, 0, 0, 0, 0]
    found = list(upcalls(memoryview(RECORD.pack(*fields)), Addresses(), {}))
    assert found == [WorkerEnded(3, direction)]  # type: ignore[arg-type]


def test_when_the_last_sa_of_a_worker_goes_the_policy_alone_chooses() -> None:
    """And no table leads to what was removed."""
    with contextlib.ExitStack() as stack:
        engine = make(inproc=False)
        for _ in range(2):
            pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            ours, _theirs = (stack.enter_context(each) for each in pair)
            engine.add_tun(ours.fileno(), 1400)
        for handle, resource in ((1, 1), (2, 0), (3, 0)):
            engine.install(child(handle, resource=resource, spi_in=0x1000 + handle, spi_out=0x2000 + handle))
        for handle in (1, 3):
            engine.remove(handle)
        ((_, packet),) = engine.send_inner([outbound()])
        assert int.from_bytes(packet[:4], "big") == 0x2002

"""What the engine tells of its threads, and hears when one ends by itself."""

from __future__ import annotations

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

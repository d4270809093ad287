"""What the engine tells of its threads, and hears when one ends by itself."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from fynx.errors import StateError
from fynx.esp.engine import Engine, make_engine
from fynx.esp.native import RECORD, WORKER, Addresses, upcalls
from fynx.plugin import Algorithms, Path, WorkerEnded
from fynx.plugin.crypto import CipherKey
from tests.unit.esp.workshop import ALGORITHMS, child, make, outbound


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


class Slow:
    """A cipher that seals when it may."""

    def __init__(self) -> None:
        self.sealing, self.may = threading.Event(), threading.Event()
        self._cipher = ALGORITHMS.ciphers[20, 128]
        self.algorithms = Algorithms(ciphers={(20, 128): replace(self._cipher, key=self._key)})

    def _key(self, raw: bytes) -> CipherKey:
        return SlowKey(self, self._cipher.key(raw))


class SlowKey:
    def __init__(self, slow: Slow, key: CipherKey) -> None:
        self._slow, self._key = slow, key

    def seal(self, iv: bytes, plain: bytes, aad: bytes) -> bytes:
        self._slow.sealing.set()
        assert self._slow.may.wait(30)
        return self._key.seal(iv, plain, aad)

    def open(self, iv: bytes, sealed: bytes, aad: bytes) -> bytes:
        return self._key.open(iv, sealed, aad)


@contextlib.contextmanager
def between(algorithms: Algorithms) -> Iterator[tuple[Engine, socket.socket, socket.socket]]:
    """An engine with one worker, the host behind it and the peer before it."""
    host, device = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    outer, far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with host, device, outer, far:
        for each in (outer, far):
            each.bind(("127.0.0.1", 0))
        far.settimeout(40)
        engine = make_engine(providers=(), inproc=False, capacity=64, algorithms=algorithms)
        engine.add_socket(outer.fileno(), socket.AF_INET, outer.getsockname()[1])
        engine.add_tun(device.fileno(), 1400)
        engine.start()
        path = Path("127.0.0.1", outer.getsockname()[1], "127.0.0.1", far.getsockname()[1])
        engine.install(child(path=path))
        yield engine, host, far
        engine.stop()


def test_a_worker_that_ends_later_than_a_restart_waits_is_begun_again() -> None:
    slow = Slow()
    slow.may.set()
    with between(slow.algorithms) as (engine, host, far):
        slow.sealing.clear()
        slow.may.clear()
        host.send(outbound())
        assert slow.sealing.wait(40)
        with pytest.raises(StateError, match="did not end in time"):
            engine.restart_worker(1)
        slow.may.set()
        assert select.select([engine.event_fd], [], [], 40)[0], "it ended, and says so"
        (ended,) = engine.drain()
        assert ended in (WorkerEnded(1, "in"), WorkerEnded(1, "out")), "whichever read the device"
        host.send(outbound())
        assert [far.recv(2048)[4:8] for _ in range(2)] == [bytes([0, 0, 0, n]) for n in (1, 2)]

"""The watch over calls into plugins: what does not return is broken off and named, and nothing is thrown afterwards."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from typing import Any

import pytest

from fynx.kernel.limit import Overtime
from fynx.kernel.watch import BrokenOff, Watch

LIMIT_S = 0.05


@pytest.fixture
def watch() -> Iterator[Watch]:
    found = Watch(LIMIT_S)
    found.start()
    yield found
    found.stop()


def forever() -> None:
    while True:
        pass


def swallowing() -> None:
    """Catches what a plugin may catch and goes on."""
    while True:
        with suppress(Exception):
            forever()


def swallowing_all_once() -> None:
    try:
        forever()
    except BaseException:
        forever()


def saying_something_else() -> None:
    try:
        forever()
    finally:
        raise ValueError("another excuse")


def late() -> int:
    with suppress(BrokenOff):
        forever()
    return 1


@pytest.mark.parametrize("hangs", [forever, swallowing, swallowing_all_once, saying_something_else, late])
def test_a_call_that_does_not_return_is_broken_off_and_named(
    watch: Watch, hangs: Callable[[], object], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Overtime, match=r"task x\.process of plugin acme did not return within 0\.05 s"):
        watch.call("acme", "task x.process", hangs)
    until(lambda: "plugin acme: task x.process did not return within 0.05 s and is broken off" in caplog.text)
    assert f"{__file__}:" in caplog.text
    assert watch.counters() == {"acme.task x.process.hung": 1}


def test_a_call_that_returns_gives_what_it_returns_or_raises(watch: Watch) -> None:
    assert watch.call("acme", "x", lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        watch.call("acme", "x", lambda: 1 // 0)
    assert not watch.counters()


def test_nothing_is_thrown_once_the_call_is_over(watch: Watch) -> None:
    """Calls that end when the watch strikes, one after the other: whatever it throws stays inside of the call."""
    ended = [0, 0]
    for n in range(60):
        stop = time.monotonic() + LIMIT_S * (0.98 + n / 600)
        try:
            watch.call("acme", "x", lambda stop=stop: wait_until(stop))
        except Overtime:
            ended[1] += 1
        else:
            ended[0] += 1
    wait_until(time.monotonic() + LIMIT_S)
    assert sum(ended) == 60


def until(true: Callable[[], bool]) -> None:
    """What the watch says it says on its own thread, after it struck."""
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def wait_until(moment: float) -> None:
    while time.monotonic() < moment:
        pass


def test_a_call_inside_a_call_is_blamed_alone(watch: Watch) -> None:
    def outer() -> str:
        with pytest.raises(Overtime, match="of plugin inner"):
            watch.call("inner", "x", forever)
        return "outer goes on"

    assert watch.call("outer", "x", outer) == "outer goes on"
    until(lambda: watch.counters() == {"inner.x.hung": 1})


def test_what_the_host_does_for_a_plugin_takes_its_time_and_what_follows_is_watched(watch: Watch) -> None:
    done: list[str] = []

    def asked() -> None:
        wait_until(time.monotonic() + 3 * LIMIT_S)
        done.append("the host's own work")

    def call() -> None:
        watch.aside(asked)
        wait_until(time.monotonic() + 20)

    with pytest.raises(Overtime):
        watch.call("acme", "x", call)
    assert done == ["the host's own work"]


class Looks:
    """A clock that knows how often the watch has looked at a call whose time was over."""

    def __init__(self) -> None:
        self.began = self.over = 0.0

    def __call__(self) -> float:
        now = time.monotonic()
        self.began = self.began or now
        self.over += now - self.began > LIMIT_S
        return now


def test_a_call_is_not_broken_off_inside_of_logging_where_it_would_keep_a_lock() -> None:
    """The plugin waits for a handler that another thread uses, until the watch has looked at it ten times."""
    handler, plain = logging.StreamHandler(io.StringIO()), logging.Logger("acme")
    held, looks, lock = threading.Event(), Looks(), handler.lock
    assert lock is not None
    plain.addHandler(handler)

    def use() -> None:
        with lock:
            held.set()
            until(lambda: looks.over > 10)

    def call() -> None:
        plain.warning("said")
        forever()

    user = threading.Thread(target=use)
    user.start()
    assert held.wait(30)
    watch = Watch(LIMIT_S, looks)
    watch.start()
    with pytest.raises(Overtime):
        watch.call("acme", "x", call)
    watch.stop()
    user.join()
    free: list[bool] = []
    other = threading.Thread(target=lambda: free.append(lock.acquire(blocking=False)))
    other.start()
    other.join()
    assert free == [True]


def test_each_step_of_a_generator_is_watched(watch: Watch) -> None:
    def steps() -> Generator[str, Any, None]:
        yield "first"
        forever()

    driven = watch.drive("acme", "x", steps())
    assert next(driven) == "first"
    with pytest.raises(Overtime):
        next(driven)


def refusing_to_end() -> Generator[None, Any, None]:
    with suppress(BaseException):
        forever()
    with suppress(GeneratorExit):
        yield
    yield


def excusing_itself() -> Generator[None, Any, None]:
    with suppress(BaseException):
        forever()
    try:
        yield
    finally:
        raise ValueError("another excuse")


@pytest.mark.parametrize("steps", [refusing_to_end, excusing_itself])
def test_a_generator_that_is_closed_badly_is_still_said_to_have_hung(
    watch: Watch, steps: Callable[[], Generator[None, Any, None]]
) -> None:
    with pytest.raises(Overtime):
        next(watch.drive("acme", "x", steps()))


def test_what_a_generator_is_told_and_returns_passes_through(watch: Watch) -> None:
    def steps() -> Generator[Any, Any, str]:
        heard = yield "ask"
        with suppress(KeyError):
            yield heard
        return "end"

    driven = watch.drive("acme", "x", steps())
    assert next(driven) == "ask"
    assert driven.send("heard") == "heard"
    with pytest.raises(StopIteration) as end:
        driven.throw(KeyError("x"))
    assert end.value.value == "end"


def test_no_thread_stays_when_the_watch_is_stopped() -> None:
    watch = Watch(0.02)
    watch.start()
    watch.stop()
    end = time.monotonic() + 10
    while any(one.name == "plugin-watch" and one.is_alive() for one in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.01)


SEARCHES = """
import sys
from contextlib import suppress
from fynx.kernel.limit import Overtime
from fynx.kernel.watch import Watch

def forever():
    while True:
        pass

watch = Watch(0.05)
watch.start()
with suppress(Overtime):
    watch.call("acme", "task", forever)
watch.stop()
sys.setprofile(lambda *_: None)
(lambda: None)()
print("done")
"""


def test_after_a_call_was_broken_off_the_interpreter_looks_for_no_exception_any_more() -> None:
    """It would look for ever at the first call that a profiler or a debugger follows."""
    done = subprocess.run([sys.executable, "-c", SEARCHES], capture_output=True, text=True, timeout=60)
    assert done.stdout == "done\n"

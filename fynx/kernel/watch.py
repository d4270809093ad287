"""Notices a call into a plugin that does not return, names it, and breaks it off where Python runs.

A call costs a note of what began and when. The look at that note is a thread's, and it runs only in hosts with plugins
of third parties. What is broken off gets an exception thrown into it; code in C gets it when it comes back to Python.
"""

from __future__ import annotations

import ctypes
import logging
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any, TypeVar

from fynx.kernel.limit import Overtime

T = TypeVar("T")
Steps = Generator[Any, Any, T] | Coroutine[Any, Any, T]

LIMIT_S = 2.0
"""How long a call may hold up the loop, and with it the IKE of all peers."""
AGAIN_S = 0.001
"""Until the next look at a call that is just inside ``logging``: broken off there, it would keep a handler's lock."""
WAKE = signal.SIGURG
"""Gets the loop's thread out of a system call that waits, where ``fynx run`` listens to it."""

log = logging.getLogger("fynx.kernel")


class BrokenOff(BaseException):
    """Thrown into a call that took too long. No ``Exception``, so that a plugin that catches those lets it pass."""


class _Nothing(BaseException):
    """Thrown and caught at once, see ``_take_back``."""


@dataclass(slots=True)
class _Call:
    plugin: str
    what: str
    began: float
    struck: int = 0


class Watch:
    """The calls of one host into plugins, on one thread. ``call`` raises ``Overtime`` for what was broken off."""

    def __init__(self, limit_s: float = LIMIT_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s, self._clock = limit_s, clock
        self._under_way: _Call | None = None
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread = 0
        self._counts: Counter[str] = Counter()

    def start(self) -> None:
        """For calls on the thread that calls this."""
        self._thread = threading.get_ident()
        threading.Thread(target=self._look_on, name="plugin-watch", daemon=True).start()

    def stop(self) -> None:
        self._ended.set()

    def counters(self) -> Mapping[str, int]:
        """``PLUGIN.CALL.hung``."""
        return dict(self._counts)

    def call(self, plugin: str, what: str, step: Callable[[], T]) -> T:
        one = _Call(plugin, what, self._clock())
        outer, self._under_way = self._under_way, one
        try:
            try:
                found = step()
            finally:
                self._left(one, outer)
        except BaseException as error:
            self._left(one, outer)
            if not one.struck or isinstance(error, KeyboardInterrupt):
                raise
        else:
            if not one.struck:
                return found
        raise Overtime(f"{what} of plugin {plugin} did not return within {self._limit_s:g} s")

    def aside(self, step: Callable[[], T]) -> T:
        """What the host does because a plugin asks for it: it takes its time, and is not broken off."""
        one = self._under_way
        if one is None:
            return step()
        self._left(one, None)
        try:
            return step()
        finally:
            one.began, self._under_way = self._clock(), one

    def drive(self, plugin: str, what: str, steps: Steps[T]) -> Generator[Any, Any, T]:
        """A generator (or the inside of a coroutine), each step of it watched."""
        step: Callable[[], Any] = partial(steps.send, None)
        while True:
            try:
                asked = self.call(plugin, what, step)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            except Overtime:
                with suppress(Exception):  # one that caught it may go on: it ends now, under the watch
                    self.call(plugin, what, steps.close)
                raise
            try:
                step = partial(steps.send, (yield asked))
            except GeneratorExit:
                self.call(plugin, what, steps.close)
                raise
            except BaseException as error:
                step = partial(steps.throw, error)

    def _left(self, one: _Call, outer: _Call | None) -> None:
        """After this no exception of the watch can come any more: it looks again after it said that it will strike."""
        self._under_way = outer
        if not one.struck:
            return
        with self._lock:
            _take_back(self._thread)
        if outer is not None:
            outer.began = self._clock()

    def _look_on(self) -> None:
        pause = self._limit_s / 4
        while not self._ended.wait(pause):
            one, pause = self._under_way, self._limit_s / 4
            if one is None or self._clock() - one.began < self._limit_s * (one.struck + 1):
                continue
            if _logs(self._thread):
                pause = AGAIN_S
            else:
                self._strike(one)

    def _strike(self, one: _Call) -> None:
        with self._lock:
            one.struck += 1
            if self._under_way is not one:
                return
            place = _place(self._thread)
            _throw(self._thread, BrokenOff)
            if signal.getsignal(WAKE) is _woken:
                signal.pthread_kill(self._thread, WAKE)
        if one.struck == 1:
            self._counts[f"{one.plugin}.{one.what}.hung"] += 1
            log.error(
                "plugin %s: %s did not return within %g s and is broken off (%s)",
                one.plugin, one.what, self._limit_s, place,
            )  # fmt: skip


def reach_system_calls() -> None:
    """Lets a call be broken off that waits in the system. For programs of our own: it takes ``WAKE``, main thread
    only."""
    signal.signal(WAKE, _woken)


def _woken(_number: int, _frame: FrameType | None) -> None:
    """Nothing to do: Python looks for a thrown exception when it comes here."""


def _take_back(thread: int) -> None:
    """On that thread itself. Only the delivery of an exception ends the interpreter's search for one: as long as it
    searches, Python 3.11 is slow, and any profiler or debugger makes it search for ever."""
    _throw(thread, None)
    with suppress(_Nothing):
        _throw(thread, _Nothing)
        while True:
            pass


def _throw(thread: int, what: type[BaseException] | None) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(what) if what else None)


def _logs(thread: int) -> bool:
    frame = sys._current_frames().get(thread)
    return frame is not None and frame.f_code.co_filename == logging.__file__


def _place(thread: int) -> str:
    """Where the thread is; no value of it."""
    frame = sys._current_frames().get(thread)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "in C"


__all__ = ["LIMIT_S", "BrokenOff", "Watch", "reach_system_calls"]

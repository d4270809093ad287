"""Threads for what may block (a name server, a plugin that decides): none of them holds up the end of the program."""

from __future__ import annotations

import logging
import queue
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
Job = tuple[Callable[[], object], Callable[[object], None]]

log = logging.getLogger("fynx.run")


class Threads:
    """A few daemon threads, made when they are needed. Executors of the library would be joined at exit."""

    def __init__(self, name: str, loop: AbstractEventLoop, most: int) -> None:
        self._name, self._loop, self._most = name, loop, most
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Work that is not done yet, also what nobody waits for any more."""
        return self._waiting

    def submit(self, work: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        """``done`` is called on the loop's thread with the result, or with the exception that ``work`` raised."""
        self._waiting += 1

        def over(outcome: object) -> None:
            self._waiting -= 1
            done(outcome)  # type: ignore[arg-type]

        if self._waiting > len(self._threads) and len(self._threads) < self._most:
            thread = threading.Thread(target=self._run, name=f"fynx-{self._name}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._jobs.put((work, over))

    def close(self) -> None:
        """Those that are free end now; one that hangs ends with the program."""
        for _ in self._threads:
            self._jobs.put(None)
        self._threads.clear()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, done = job
            outcome: object
            try:
                outcome = work()
            except Exception as error:
                outcome = error
            try:
                self._loop.call_soon_threadsafe(done, outcome)
            except RuntimeError:
                log.debug("an answer came after the end")

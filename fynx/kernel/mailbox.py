"""One plugin's listeners on a thread of their own: they hear everything in order, and one that hangs stops nobody."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

WAIT_S = 0.050
"""How long whoever tells waits for the listener, so that in the usual case all is done when the telling is."""
ROOM = 256
IDLE_S = 1.0
"""A thread without work for so long ends; the next piece of news starts another."""

Job = Callable[[], None]


class Mailbox:
    """``tell`` waits at most ``WAIT_S``; while a call is under way for longer, news is kept and nobody waits."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._news: deque[tuple[Job, threading.Event]] = deque()
        self._arrived = threading.Condition(self._lock)
        self._running = False
        self._behind = False

    @property
    def behind(self) -> bool:
        """A call is under way that took longer than anybody waits."""
        return self._behind

    def tell(self, job: Job) -> bool:
        """``job`` must not raise. False when there is no room: the listener hangs, and this news is lost to it."""
        done = threading.Event()
        with self._lock:
            if len(self._news) >= ROOM:
                return False
            self._news.append((job, done))
            waits = not self._behind
            if self._running:
                self._arrived.notify()
            else:
                self._running = True
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
        if waits and threading.current_thread().name != self._name and not done.wait(WAIT_S):
            with self._lock:
                self._behind = not done.is_set()
        return True

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._news and not self._arrived.wait_for(lambda: self._news, IDLE_S):
                    self._running = False
                    return
                job, done = self._news.popleft()
            job()
            with self._lock:
                done.set()
                self._behind = self._behind and bool(self._news)


__all__ = ["Mailbox"]

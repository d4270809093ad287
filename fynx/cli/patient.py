"""A log that never holds up the program: what reads it may be slow, or stand still (bad-inputs D8)."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TextIO

ROOM = 10_000
"""Records that wait for the reader at most."""
BATCH = 256
"""Lines that are written at once, at most."""
GATHER_S = 0.05
"""How long the thread waits for company before the next batch: a change of thread costs more than a record."""
LAST_WAIT_S = 1.0
"""How long the end of the program waits for what is left to be written."""


class Lines(logging.StreamHandler[TextIO]):
    """Writes where it is told to; a batch is one piece that ends with ``flush``, not each record."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.append(self.format(record) + self.terminator)
        except Exception:
            self.handleError(record)
        if len(self._lines) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """A full disk loses what does not fit, and not the thread that writes."""
        self.acquire()
        text, self._lines = "".join(self._lines), []
        self.release()
        try:
            self.stream.write(text)
            super().flush()
        except (OSError, ValueError):
            self.handleError(logging.LogRecord("fynx.run", logging.ERROR, "", 0, "the log cannot be written", (), None))


class Patient(logging.Handler):
    """Hands records to a handler on a thread of its own, in batches; drops them, and says how many, when that falls
    behind."""

    def __init__(self, target: logging.Handler) -> None:
        super().__init__()
        self._target, self._lost = target, 0
        self._queue: queue.SimpleQueue[logging.LogRecord | None] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._write, name="fynx-log", daemon=True)
        self._thread.start()

    def handle(self, record: logging.LogRecord) -> bool:
        """Without a lock: the queue has its own."""
        found = self.filter(record)
        if found:
            self.emit(found if isinstance(found, logging.LogRecord) else record)
        return bool(found)

    def emit(self, record: logging.LogRecord) -> None:
        if self._queue.qsize() < ROOM:
            self._queue.put(record)
        else:
            self._lost += 1

    def close(self) -> None:
        """Also at the end of the program, by ``logging`` itself."""
        self._ending.set()
        # Where it is full nobody reads: what waits is lost, and the program ends.
        if self._thread.is_alive() and self._queue.qsize() < ROOM:
            self._queue.put(None)
            self._thread.join(LAST_WAIT_S)
        super().close()

    def _write(self) -> None:
        while (record := self._queue.get()) is not None:
            if self._lost:
                lost, self._lost = self._lost, 0
                text = f"{lost} log records were dropped: whoever reads the log is too slow"
                self._target.handle(logging.LogRecord("fynx.run", logging.WARNING, "", 0, text, (), None))
            self._target.handle(record)
            if self._queue.empty():
                self._target.flush()
                self._ending.wait(GATHER_S)
        self._target.flush()

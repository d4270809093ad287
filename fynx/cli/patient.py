"""A log that never holds up the program: what reads it may be slow, or stand still (bad-inputs D8)."""

from __future__ import annotations

import logging
import queue
import threading

ROOM = 10_000
"""Records that wait for the reader at most."""
LAST_WAIT_S = 1.0
"""How long the end of the program waits for what is left to be written."""


class Patient(logging.Handler):
    """Hands records to a handler on a thread of its own; drops them, and says how many, when that falls behind."""

    def __init__(self, target: logging.Handler) -> None:
        super().__init__()
        self._target, self._lost = target, 0
        self._queue: queue.Queue[logging.LogRecord | None] = queue.Queue(ROOM)
        self._thread = threading.Thread(target=self._write, name="fynx-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._lost += 1

    def close(self) -> None:
        """Also at the end of the program, by ``logging`` itself."""
        if self._thread.is_alive():
            try:
                self._queue.put_nowait(None)
                self._thread.join(LAST_WAIT_S)
            except queue.Full:
                pass  # nobody reads: what waits is lost, and the program ends
        super().close()

    def _write(self) -> None:
        while (record := self._queue.get()) is not None:
            if self._lost:
                lost, self._lost = self._lost, 0
                text = f"{lost} log records were dropped: whoever reads the log is too slow"
                self._target.handle(logging.LogRecord("fynx.run", logging.WARNING, "", 0, text, (), None))
            self._target.handle(record)

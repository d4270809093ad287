"""Who hears of events in this program: callbacks, and readers with a bounded queue each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from fynx.events import Event
from fynx.run import journal

QUEUE = 1000


class Audience:
    """Belongs to the loop's thread. A callback that raises is logged and goes on being called."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[[Event], None]] = []

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Calls back for every event, on the loop's thread; returns what ends it."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback) if callback in self._callbacks else None

    def tell(self, event: Event) -> None:
        for callback in tuple(self._callbacks):
            try:
                callback(event)
            except Exception as error:
                journal.failed("a subscriber to events failed", error)

    async def events(self) -> AsyncIterator[Event]:
        """Every event from now on. A reader that falls 1000 behind loses the oldest."""
        queue: asyncio.Queue[Event] = asyncio.Queue(QUEUE)

        def put(event: Event) -> None:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(event)

        end = self.subscribe(put)
        try:
            while True:
                yield await queue.get()
        finally:
            end()

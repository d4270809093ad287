"""What waits inside a program: packets and events, taken by as many tasks as like, ended by a reason."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Generic, TypeVar

from fynx.errors import FynxError
from fynx.plugin.planes import PacketPlane

T = TypeVar("T")

BATCH = 256
"""Packets taken from the plane in one crossing."""


class Mailbox(Generic[T]):
    """A bounded queue of one loop. Whoever falls behind loses the oldest; cancelling a taker loses nothing."""

    def __init__(self, limit: int) -> None:
        self._items: deque[T] = deque()
        self._limit = limit
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._ended: Callable[[], FynxError] | None = None
        self.lost = 0

    def put(self, item: T) -> None:
        if len(self._items) >= self._limit:
            self._items.popleft()
            self.lost += 1
        self._items.append(item)
        self._wake()

    def end(self, why: Callable[[], FynxError]) -> None:
        """What is there can still be taken; then ``why`` is raised."""
        self._ended = why
        while self._waiting:
            self._wake()

    async def one(self) -> T:
        while not self._fill(1):
            await self._wait()
        item = self._items.popleft()
        if self._items:
            self._wake()
        return item

    async def some(self, limit: int) -> list[T]:
        """At least one, at most ``limit``."""
        while not self._fill(limit):
            await self._wait()
        if len(self._items) <= limit:
            found = list(self._items)
            self._items.clear()
            return found
        return [self._items.popleft() for _ in range(limit)]

    async def each(self) -> AsyncIterator[T]:
        """Until the end, which ends the iteration."""
        while True:
            try:
                item = await self.one()
            except FynxError:
                if self._ended is None:
                    raise
                return
            yield item

    def _fill(self, _limit: int) -> bool:
        return bool(self._items)

    async def _wait(self) -> None:
        if self._ended is not None:
            raise self._ended()
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._wake()  # it was our turn: another's now
            raise
        finally:
            if future in self._waiting:
                self._waiting.remove(future)

    def _wake(self) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return


class Tap(Mailbox[bytes]):
    """Packets straight from a plane, a batch per crossing, and only when somebody wants one: the ring in C is the
    queue."""

    def __init__(self, plane: PacketPlane) -> None:
        super().__init__(1 << 30)
        self._plane: PacketPlane | None = plane
        self._watching = False

    def close(self, why: Callable[[], FynxError]) -> None:
        """What had arrived can still be taken. Call it before the plane closes."""
        if self._plane is not None:
            while got := self._plane.recv_inner(BATCH):
                self._items.extend(got)
            self._plane.on_inner(None)
            self._plane = None
        self.end(why)

    @property
    def waited_for(self) -> bool:
        """Whether somebody waits for a packet."""
        return bool(self._waiting)

    def leave(self, why: Callable[[], FynxError]) -> None:
        """Another takes the plane's packets from now on."""
        self._plane = None
        self.end(why)

    def _fill(self, limit: int) -> bool:
        if not self._items and self._plane is not None:
            self._items.extend(self._plane.recv_inner(max(limit, BATCH)))
        return bool(self._items)

    async def _wait(self) -> None:
        if self._plane is not None and self._ended is None and not self._watching:
            self._watching = True
            self._plane.on_inner(self._readable)
        await super()._wait()

    def _readable(self) -> None:
        """Stops to watch when nobody waits: what comes then stays in C until somebody asks."""
        if self._plane is None:
            return
        self._fill(BATCH)
        self._wake()
        if not self._waiting:
            self._watching = False
            self._plane.on_inner(None)


class Fork(Generic[T]):
    """One stream of items for any number of readers, each with a mailbox of its own."""

    def __init__(self, limit: int) -> None:
        self._limit, self._readers = limit, list[Mailbox[T]]()
        self._ended: Callable[[], FynxError] | None = None

    def put(self, item: T) -> None:
        for reader in self._readers:
            reader.put(item)

    def end(self, why: Callable[[], FynxError]) -> None:
        self._ended = why
        for reader in self._readers:
            reader.end(why)

    def again(self) -> None:
        """After an end, a new beginning for new readers."""
        if self._ended is not None:
            self._ended, self._readers = None, []

    def open(self) -> Mailbox[T]:
        """Everything from now on."""
        reader: Mailbox[T] = Mailbox(self._limit)
        self._readers.append(reader)
        if self._ended is not None:
            reader.end(self._ended)
        return reader

    def close(self, reader: Mailbox[T]) -> None:
        if reader in self._readers:
            self._readers.remove(reader)


def as_batch(packets: Sequence[bytes]) -> Sequence[bytes]:
    """A caller's packets; one packet given for a sequence is a mistake that would be sent octet by octet."""
    if isinstance(packets, bytes | bytearray | memoryview):
        raise TypeError("send_batch takes a sequence of packets; one packet goes by send_packet")
    return packets

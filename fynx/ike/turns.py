"""One message at a time for each IKE SA: runs its steps, parks them while work is done outside, keeps others waiting.

Without this a response could be judged while a request of the peer is half answered, and the two sides would draw
different
conclusions from a collision (RFC 7296 section 2.25).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from itertools import count
from typing import TYPE_CHECKING, Any

from fynx.errors import Drop, Dropped, FynxError
from fynx.events import PluginFailed
from fynx.ike.effects import Ask, GiveBack, ReleaseSpi, Remove
from fynx.ike.exchange import where
from fynx.ike.sa import IkeSa
from fynx.plugin.transport import Path
from fynx.plugin.work import InstallChild, Lease, ReserveSpi, Work
from fynx.wire.header import Header

if TYPE_CHECKING:
    from fynx.ike.endpoint import Endpoint

Running = Generator[Any, Any, Any]
Finished = Callable[[FynxError | None], None]
Message = Callable[[IkeSa, Header, Path, bytes], None]
MAX_WAITING = 16
"""Messages kept for an SA that is at work; more are dropped, and come again."""


class Turns:
    def __init__(self, endpoint: Endpoint, message: Message) -> None:
        self._endpoint, self._message = endpoint, message
        self._parked: dict[int, tuple[IkeSa, Running, Finished, Work]] = {}
        self._tickets = count(1)

    def start(self, sa: IkeSa, running: Running, finished: Finished) -> None:
        sa.working = True
        self._step(sa, running, finished, None)

    def wait(self, sa: IkeSa, header: Header, path: Path, data: bytes) -> None:
        if len(sa.deferred) >= MAX_WAITING:
            raise Dropped(Drop.BUSY, "the SA is at work and others wait already")
        sa.deferred.append((header, path, data))

    def answer(self, ticket: int, outcome: object) -> None:
        """Goes on with what was parked. For an SA that is gone the outcome is undone."""
        parked = self._parked.pop(ticket, None)
        if parked is None:
            return
        sa, running, finished, work = parked
        if sa.serial in self._endpoint.sas:
            self._step(sa, running, finished, outcome)
            return
        match work, outcome:
            case ReserveSpi(), int(spi):
                self._endpoint.effect(ReleaseSpi(spi))
            case InstallChild(child), None:
                self._endpoint.effect(Remove(child.handle))
            case Lease(), tuple(addresses) if addresses:
                self._endpoint.effect(GiveBack(work.pool, work.identity))

    def forget(self, sa: IkeSa) -> None:
        """The SA goes; what is under way outside is undone when its outcome comes."""
        for parked in self._parked.values():
            if parked[0] is sa:
                parked[1].close()
        sa.deferred.clear()

    def _step(self, sa: IkeSa, running: Running, finished: Finished, outcome: object) -> None:
        """Runs until the next piece of work or the end. A bug ends this SA, not the host."""
        error: FynxError | None = None
        try:
            work = running.throw(outcome) if isinstance(outcome, BaseException) else running.send(outcome)
        except StopIteration:
            pass
        except FynxError as refusal:
            error = refusal
        except Exception as bug:
            self._endpoint.emit(PluginFailed(sa.peer, "core", "exchange", f"{type(bug).__name__} at {where(bug)}"))
            self._endpoint.drop(sa, "an internal error")
            return
        else:
            ticket = next(self._tickets)
            self._parked[ticket] = (sa, running, finished, work)
            self._endpoint.effect(Ask(ticket, work))
            return
        sa.working = False
        finished(error)
        self._next(sa)

    def _next(self, sa: IkeSa) -> None:
        while sa.deferred and not sa.working:
            header, path, data = sa.deferred.popleft()
            try:
                self._message(sa, header, path, data)
            except Dropped as refusal:
                self._endpoint.refuse(path, refusal)
        self._endpoint.pump(sa)

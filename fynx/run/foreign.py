"""Work of third parties' plugins: on threads, within a limit of time, every failure with the plugin's name."""

from __future__ import annotations

import logging
from asyncio import AbstractEventLoop
from collections.abc import Callable

from fynx.errors import FynxError
from fynx.kernel.entrypoints import DISTRIBUTION
from fynx.kernel.registry import Registry
from fynx.plugin.work import InstallChild, KexAnswer, KexFinish, KexStart, ReserveSpi, Sign, Verify, Work
from fynx.run.threads import Threads

log = logging.getLogger("fynx.run")

LIMIT_S, THREADS = 10.0, 8
MOST = 256
"""Work of plugins that may wait for a thread; what comes beyond that is refused at once (bad-inputs D11)."""
OWN = "fynx_plugins"


def foreign_owner(registry: Registry, work: Work) -> str:
    """The plugin of another distribution that does this work; empty when it is ours or nobody's."""
    owner = ""
    if isinstance(work, ReserveSpi | InstallChild):
        return owner
    match work:
        case Sign() | Verify():
            owner = registry.owners.get(("auth method", work.method), "")
        case KexStart() | KexAnswer():
            owner = registry.owners.get(("key exchange", str(work.method)), "")
        case KexFinish():
            # An offer says nothing of its method; its class says whose it is.
            module = type(work.offer).__module__
            return "" if module.partition(".")[0] == OWN else module
    info = registry.plugins.get(owner)
    return owner if info is not None and info.distribution != DISTRIBUTION else ""


class Foreign:
    """Asks plugins. One that does not answer in time is named, and its answer means nothing any more."""

    def __init__(self, loop: AbstractEventLoop, limit_s: float = 0.0) -> None:
        self._loop, self._limit_s = loop, limit_s or LIMIT_S
        self._threads = Threads("plugin", loop, THREADS)
        self._refusing = False

    def ask(self, owner: str, what: str, call: Callable[[], object], done: Callable[[object], None]) -> None:
        """``done`` is called once, on the loop's thread."""
        if self._threads.waiting >= MOST:
            if not self._refusing:
                log.error("plugin %s: %s is refused, and what follows: %d calls wait already", owner, what, MOST)
            self._refusing = True
            done(FynxError(f"{what} of plugin {owner} is refused: {MOST} calls wait already"))
            return
        self._refusing = False
        open_ = [True]

        def answer(outcome: object) -> None:
            if open_:
                open_.clear()
                timer.cancel()
                done(outcome)

        def late() -> None:
            log.error("plugin %s: %s did not return within %g s", owner, what, self._limit_s)
            answer(FynxError(f"{what} of plugin {owner} did not return within {self._limit_s:g} s"))

        timer = self._loop.call_later(self._limit_s, late)
        self._threads.submit(lambda: call() if open_ else None, answer)

    def close(self) -> None:
        self._threads.close()


__all__ = ["Foreign", "foreign_owner"]

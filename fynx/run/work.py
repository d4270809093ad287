"""Runs what the protocol core asks for: key exchanges, signatures and SAs at once, authorisation on a thread.

Signatures and key exchanges take well under a millisecond with what is built in, less than a change of thread costs;
those of a third party's plugin run on threads, since nobody knows how long they take.
"""

from __future__ import annotations

import logging
import os
from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping
from functools import partial
from traceback import format_tb
from typing import Any

from fynx.errors import FynxError
from fynx.ike.effects import GiveBack
from fynx.kernel.registry import Registry
from fynx.plugin.auth import AuthMethod
from fynx.plugin.crypto import KeyExchange, Random
from fynx.plugin.dataplane import Plane
from fynx.plugin.work import (
    Authorize,
    InstallChild,
    KexAnswer,
    KexFinish,
    KexStart,
    Lease,
    ReserveSpi,
    Sign,
    Verify,
    Work,
)
from fynx.run.foreign import Foreign, foreign_owner
from fynx.run.leases import Leases
from fynx.run.threads import Threads

log = logging.getLogger("fynx.run")

AUTHORIZERS = 8


class Worker:
    """``submit(work, done)`` calls ``done(outcome)``, at once or later, always on the loop's thread; never raises."""

    def __init__(
        self,
        registry: Registry,
        plane: Plane,
        loop: AbstractEventLoop,
        random: Random = os.urandom,
        leases: Leases | None = None,
    ) -> None:
        self._registry = registry
        self._leases = leases or Leases((), None, loop)
        self._threads = Threads("authorize", loop, AUTHORIZERS)
        self._plugins = Foreign(loop)
        self._ways: Mapping[type[Work], Callable[[Any], object]] = {
            KexStart: lambda work: self._exchange(work.method).start(random),
            KexFinish: lambda work: work.offer.finish(work.peer),
            KexAnswer: lambda work: self._exchange(work.method).answer(work.peer, random),
            Sign: lambda work: self._method(work.method).sign(work.context),
            Verify: lambda work: self._method(work.method).verify(work.context),
            ReserveSpi: lambda _: plane.reserve_spi(),
            InstallChild: lambda work: plane.install(work.child),
            Lease: self._leases.lease,
        }

    def submit(self, work: Work, done: Callable[[object], None]) -> None:
        if isinstance(work, Authorize):
            self._authorize(work, done)
        elif owner := foreign_owner(self._registry, work):
            self._plugins.ask(owner, type(work).__name__, partial(self._outcome, work, owner), done)
        else:
            done(self._outcome(work, "core"))

    def _outcome(self, work: Work, owner: str) -> object:
        try:
            return self._perform(work)
        except FynxError as error:
            return error
        except Exception as error:
            # A plugin's bug ends this exchange; its text may quote secrets, so only its kind and place are told.
            kind, place = type(error).__name__, "".join(format_tb(error.__traceback__))
            log.error("%s failed inside plugin %s (%s)\n%s", type(work).__name__, owner, kind, place)
            return FynxError(f"{type(work).__name__} failed inside plugin {owner} ({kind})")

    def close(self) -> None:
        self._threads.close()
        self._plugins.close()
        self._leases.close()

    def give_back(self, lease: GiveBack) -> None:
        self._leases.give_back(lease.pool, lease.identity)

    def _perform(self, work: Work) -> object:
        way = self._ways.get(type(work))
        if way is None:
            raise FynxError(f"nobody knows how to do {type(work).__name__}")
        return way(work)

    def _exchange(self, method: int) -> KeyExchange:
        found = self._registry.algorithms.key_exchanges.get(method)
        if found is None:
            raise FynxError(f"no loaded plugin offers key exchange method {method}")
        return found

    def _method(self, name: str) -> AuthMethod:
        found = self._registry.auth_methods.get(name)
        if found is None:
            raise FynxError(f"no loaded plugin offers authentication by {name}")
        return found

    def _authorize(self, work: Authorize, done: Callable[[object], None]) -> None:
        if not self._registry.notify.authorizes:
            done(True)
            return
        ask = partial(self._registry.notify.authorize, work.request)
        self._threads.submit(ask, lambda outcome: done(outcome is True))

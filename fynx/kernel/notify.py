"""Calls listeners one by one, each guarded, timed and counted, none waited for; authorisation fails closed."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from fynx.events import Event, PluginFailed
from fynx.kernel.mailbox import Mailbox
from fynx.kernel.words import describe
from fynx.plugin.auth import AuthorizeRequest
from fynx.plugin.keylog import KeyRecord

SLOW_S = 0.050
AUTHORIZE_S = 5.0
HUNG_LIMIT = 32
"""Threads that never came back from ``fynx_authorize``; from here on the answer is no at once."""

log = logging.getLogger("fynx.kernel")


@dataclass(frozen=True, slots=True)
class Listener:
    """One plugin's implementation of a notification hook, taking all arguments of the hook in their order."""

    plugin: str
    origin: str
    call: Callable[..., object] = field(repr=False)


class Notify:
    """The listeners of one host. ``event`` and ``keylog`` belong to the loop's thread, ``authorize`` to a worker's.

    Each plugin hears events and keys on a thread of its own: usually before ``event`` returns, later when it is slow.
    """

    def __init__(
        self,
        events: Sequence[Listener] = (),
        keylogs: Sequence[Listener] = (),
        authorizers: Sequence[Listener] = (),
        *,
        clock: Callable[[], float] = time.perf_counter,
        authorize_s: float = AUTHORIZE_S,
    ) -> None:
        self._events, self._keylogs, self._authorizers = tuple(events), tuple(keylogs), tuple(authorizers)
        self._clock, self._authorize_s = clock, authorize_s
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._hung = 0
        self._mailboxes = {one.plugin: Mailbox(f"listener-{one.plugin}") for one in (*self._events, *self._keylogs)}

    def event(self, event: Event) -> None:
        """Tells every listener; never raises. The others hear of one that failed as ``PluginFailed``."""
        for listener in self._events:
            self._tell(listener, "fynx_event", partial(self._event, listener, event))

    def keylog(self, record: KeyRecord, path: str = "") -> None:
        """Hands a key record to every listener; never raises, and never logs what the listener's exception says.

        ``path`` is the configuration's ``host.keylog``.
        """
        for listener in self._keylogs:
            call = partial(self._guarded, listener, "fynx_keylog", record, path, quiet=True)
            self._tell(listener, "fynx_keylog", lambda call=call: ignore(call()))  # type: ignore[misc]

    @property
    def authorizes(self) -> bool:
        """Whether any plugin wants to be asked."""
        return bool(self._authorizers)

    def authorize(self, request: AuthorizeRequest) -> bool:
        """True when no plugin says no. Blocks up to the time-out; exception, time-out and odd answers mean no."""
        answers = [self._ask(listener, request) for listener in self._authorizers]
        deadline = self._clock() + self._authorize_s
        heard = [answer.wait(max(0.0, deadline - self._clock())) for answer in answers]
        return all(heard)

    def counters(self) -> Mapping[str, int]:
        """``PLUGIN.HOOK.calls``, ``.failed``, ``.slow``, ``.hung``, ``.lost``, ``.refused``, ``.timeout``."""
        with self._lock:
            return dict(sorted(self._counts.items()))

    def _tell(self, listener: Listener, hook: str, job: Callable[[], None]) -> None:
        mailbox = self._mailboxes[listener.plugin]
        before = mailbox.behind
        if not mailbox.tell(job):
            if self._worth_logging(listener, hook, "lost"):
                log.error("plugin %s (%s): %s does not return: it misses news", listener.plugin, listener.origin, hook)
        elif mailbox.behind and not before and self._worth_logging(listener, hook, "hung"):
            why = "has not returned yet; all else goes on without it"
            log.warning("plugin %s (%s): %s %s", listener.plugin, listener.origin, hook, why)

    def _event(self, listener: Listener, event: Event) -> None:
        """On the plugin's thread."""
        failure = self._guarded(listener, "fynx_event", event)
        if failure is not None and not isinstance(event, PluginFailed):
            self._tell_others(listener, PluginFailed(event.peer, listener.plugin, "fynx_event", describe(failure)))

    def _guarded(self, listener: Listener, hook: str, *arguments: object, quiet: bool = False) -> BaseException | None:
        began = self._clock()
        failure: BaseException | None = None
        try:
            listener.call(*arguments)
        except (Exception, SystemExit) as error:  # the fence: a listener may raise anything
            failure = error
        took = self._clock() - began
        self._count(listener, hook, "calls")
        if failure is not None and self._worth_logging(listener, hook, "failed"):
            why = type(failure).__name__ if quiet else describe(failure)
            log.error("plugin %s (%s): %s raised %s", listener.plugin, listener.origin, hook, why)
        if took > SLOW_S and self._worth_logging(listener, hook, "slow"):
            log.warning("plugin %s (%s): %s took %.0f ms", listener.plugin, listener.origin, hook, took * 1000)
        return failure

    def _tell_others(self, failed: Listener, news: PluginFailed) -> None:
        for listener in self._events:
            if listener is not failed:
                self._tell(listener, "fynx_event", partial(self._event, listener, news))

    def _ask(self, listener: Listener, request: AuthorizeRequest) -> _Answer:
        answer = _Answer(self, listener)
        with self._lock:
            crowded = self._hung >= HUNG_LIMIT
        if crowded:
            answer.refuse("too many earlier calls never returned")
            return answer
        threading.Thread(target=answer.run, args=(request,), name=f"authorize-{listener.plugin}", daemon=True).start()
        return answer

    def _count(self, listener: Listener, hook: str, what: str) -> int:
        key = f"{listener.plugin}.{hook}.{what}"
        with self._lock:
            self._counts[key] += 1
            return self._counts[key]

    def _worth_logging(self, listener: Listener, hook: str, what: str) -> bool:
        """Counts, and says whether to log: the 1st, 2nd, 4th, 8th … time, so that an event storm floods no log."""
        count = self._count(listener, hook, what)
        return count & (count - 1) == 0

    def _hang(self, change: int) -> None:
        with self._lock:
            self._hung += change


def ignore(_: object) -> None:
    """What a listener returns means nothing."""


class _Answer:
    """One plugin's answer to one request, given by a thread of its own."""

    def __init__(self, notify: Notify, listener: Listener) -> None:
        self._notify, self._listener = notify, listener
        self._done = threading.Event()
        self._gate = threading.Lock()
        self._late = False
        self._yes = False

    def run(self, request: AuthorizeRequest) -> None:
        answer: object = False
        try:
            answer = self._listener.call(request)
        except (Exception, SystemExit) as error:  # the fence: any exception is a no
            self._log("failed", f"raised {describe(error)}")
        else:
            if not (answer is None or isinstance(answer, bool)):
                self._log("failed", f"returned a {type(answer).__name__}, True, False or None is needed")
        with self._gate:
            self._yes = answer is True or answer is None
            self._done.set()
            if self._late:
                self._notify._hang(-1)

    def refuse(self, why: str) -> None:
        self._log("refused", why)
        self._done.set()

    def wait(self, timeout_s: float) -> bool:
        self._notify._count(self._listener, "fynx_authorize", "calls")
        self._done.wait(timeout_s)
        with self._gate:
            if self._done.is_set():
                return self._counted(self._yes)
            self._late = True
        self._notify._hang(+1)
        self._log("timeout", "did not answer in time")
        return False

    def _counted(self, yes: bool) -> bool:
        if not yes:
            self._notify._count(self._listener, "fynx_authorize", "no")
        return yes

    def _log(self, what: str, why: str) -> None:
        listener = self._listener
        if self._notify._worth_logging(listener, "fynx_authorize", what):
            log.error("plugin %s (%s): fynx_authorize %s: the peer is refused", listener.plugin, listener.origin, why)

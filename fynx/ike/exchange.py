"""Runs the tasks of one exchange, in order, and finds payloads in its messages.

A task of the core that fails refuses the message; one of a plugin that raises anything but a refusal is taken out of
the
exchange and named, and the exchange goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from fynx.errors import FynxError, PeerFault
from fynx.events import PluginFailed
from fynx.ike.sa import IkeSa
from fynx.plugin.extension import ExchangeSpec, Extension, Incoming, Outgoing, Running, Task, TaskSpec
from fynx.wire.iana import NotifyType
from fynx.wire.payload import NotifyPayload, Payload

CORE = "core"
Phase = Literal["build", "process"]


class Restart(FynxError):
    """IKE_SA_INIT is to be sent again, with what the peer asked for (RFC 7296 sections 2.6 and 2.7)."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A task with the extension that brought it."""

    extension: str
    spec: TaskSpec


@dataclass(slots=True)
class Exchange:
    number: int
    options: Mapping[str, object]
    tasks: list[tuple[Registered, Task]] = field(default_factory=list)


class Catalogue:
    """All exchange types and tasks of one endpoint, sorted once, at boot."""

    def __init__(self, extensions: tuple[Extension, ...]) -> None:
        self.exchanges: dict[int, ExchangeSpec] = {}
        tasks: dict[int, list[Registered]] = {}
        for extension in extensions:
            for exchange in extension.exchanges:
                if exchange.number in self.exchanges:
                    raise FynxError(f"extension {extension.name!r} registers exchange type {exchange.number} again")
                self.exchanges[exchange.number] = exchange
            for spec in extension.tasks:
                tasks.setdefault(spec.exchange, []).append(Registered(extension.name, spec))
        self._tasks = {number: sorted(found, key=lambda one: one.spec.order) for number, found in tasks.items()}

    def begin(self, sa: IkeSa, number: int, options: Mapping[str, object]) -> Exchange:
        """Makes the tasks of one exchange."""
        exchange = Exchange(number, options)
        for registered in self._tasks.get(number, ()):
            try:
                task = registered.spec.make(sa, options)
            except Exception as error:
                _blame(sa, registered, "make", error)
                continue
            if task is not None:
                exchange.tasks.append((registered, task))
        return exchange


def run(sa: IkeSa, exchange: Exchange, phase: Phase, message: Incoming | Outgoing) -> Running:
    """Calls each task with the message; a generator, so that a task may ask for work."""
    for registered, task in list(exchange.tasks):
        try:
            steps = getattr(task, phase)(message)
            if steps is not None:
                yield from steps
        except FynxError:
            raise
        except Exception as error:
            _blame(sa, registered, phase, error)
            exchange.tasks.remove((registered, task))


def _blame(sa: IkeSa, registered: Registered, phase: str, error: Exception) -> None:
    if registered.extension == CORE:
        raise error
    sa.emit(PluginFailed(sa.peer, registered.extension, f"task {registered.spec.name}.{phase}", type(error).__name__))


P = TypeVar("P")


def every(message: Incoming, kind: type[P]) -> tuple[P, ...]:
    return tuple(message.kinds.get(kind, ()))


def one(message: Incoming, kind: type[P], *, initiator: bool | None = None) -> P:
    """The only payload of that kind; none or several is INVALID_SYNTAX (RFC 7296 sections 1.2, 2.21)."""
    found = maybe(message, kind, initiator=initiator)
    if found is None:
        raise PeerFault(NotifyType.INVALID_SYNTAX, f"{kind.__name__} is missing")
    return found


def maybe(message: Incoming, kind: type[P], *, initiator: bool | None = None) -> P | None:
    found = message.kinds.get(kind)
    if found is None:
        return None
    if initiator is not None:
        found = [payload for payload in found if getattr(payload, "initiator", None) is initiator]
    if len(found) > 1:
        raise PeerFault(NotifyType.INVALID_SYNTAX, f"{kind.__name__} occurs {len(found)} times")
    return found[0] if found else None


def notify(message: Incoming, kind: int) -> NotifyPayload | None:
    return message.notifies.get(kind)


def first_error(message: Incoming) -> NotifyPayload | None:
    return next((payload for payload in every(message, NotifyPayload) if payload.is_error), None)


def errors(payloads: tuple[Payload, ...]) -> tuple[NotifyPayload, ...]:
    return tuple(payload for payload in payloads if isinstance(payload, NotifyPayload) and payload.is_error)


def where(bug: Exception) -> str:
    """The innermost line of our own code, without any value of it."""
    frame = bug.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return f"{frame.tb_frame.f_code.co_name}:{frame.tb_lineno}" if frame is not None else "unknown"

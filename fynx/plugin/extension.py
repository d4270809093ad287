"""IKE extensions: exchanges and tasks that a plugin registers. Provisional until three extensions outside the core
use it.

A task contributes payloads to the messages of one exchange and reads those of the peer (strongSwan's idea). The
initiator of
an exchange calls ``build`` then ``process``; the responder ``process`` then ``build``. Each may be a plain function
that returns
None, or a generator that yields a request (see ``fynx.plugin.work``) and receives its outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from fynx.events import Event
from fynx.wire.payload import NotifyPayload, Payload

Running = Generator[Any, Any, None]
"""A task's steps under way: yields requests of ``fynx.plugin.work``, receives their outcomes."""
Steps = Running | None
Role = Literal["initiator", "responder"]


class SaView(Protocol):
    """What a task may know and do about its IKE SA."""

    @property
    def peer(self) -> str: ...

    @property
    def role(self) -> Role:
        """Our role in the IKE SA (not in this exchange)."""
        ...

    @property
    def established(self) -> bool: ...

    @property
    def spi_i(self) -> bytes: ...

    @property
    def spi_r(self) -> bytes: ...

    @property
    def notes(self) -> dict[str, object]:
        """Scratch space that lives as long as the IKE SA; use your plugin's name as the key."""
        ...

    def emit(self, event: Event) -> None: ...

    def start(self, exchange: int, **options: object) -> None:
        """Queue an exchange of that type; its tasks are those registered for it."""
        ...

    def random(self, count: int) -> bytes: ...


@dataclass(slots=True)
class Incoming:
    """A message from the peer: its payloads in order, and whether it came protected."""

    exchange: int
    message_id: int
    response: bool
    payloads: tuple[Payload, ...]
    protected: bool
    kinds: dict[type, list[Any]] = field(init=False, repr=False, compare=False)
    """The payloads of each kind, in order; sorted once, since every task looks for its own."""
    notifies: dict[int, NotifyPayload] = field(init=False, repr=False, compare=False)
    """The first notification of each type."""

    def __post_init__(self) -> None:
        self.kinds, self.notifies = {}, {}
        for payload in self.payloads:
            kind = type(payload)
            if kind in self.kinds:
                self.kinds[kind].append(payload)
            else:
                self.kinds[kind] = [payload]
        for note in reversed(self.kinds.get(NotifyPayload, ())):
            self.notifies[note.type] = note


@dataclass(slots=True)
class Outgoing:
    """A message being built. ``add`` appends in order."""

    exchange: int
    response: bool
    payloads: list[Payload] = field(default_factory=list)

    def add(self, *payloads: Payload) -> None:
        self.payloads.extend(payloads)


class Task(Protocol):
    """``done`` False after ``process`` asks for another round of the same exchange type (IKE_AUTH with EAP does)."""

    def build(self, out: Outgoing) -> Steps: ...

    def process(self, message: Incoming) -> Steps: ...


MakeTask = Callable[[SaView, Mapping[str, object]], Task | None]
"""Called once per exchange, with the options given to ``start`` (empty for the responder); None: no part in this
one."""


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """Registers a task for an exchange type. Lower ``order`` runs first; the core uses 100 to 900."""

    name: str
    exchange: int
    order: int
    make: MakeTask


@dataclass(frozen=True, slots=True)
class ExchangeSpec:
    """Registers an exchange type: its number, its name, and the states in which it is legal."""

    number: int
    name: str
    protected: bool = True
    before_auth: bool = False


@dataclass(frozen=True, slots=True)
class Extension:
    name: str
    exchanges: tuple[ExchangeSpec, ...] = ()
    tasks: tuple[TaskSpec, ...] = ()

"""An extension of IKE: a notification of its own in IKE_AUTH, and an exchange of its own that asks the peer something.

``fynx run -p ./greeting.py`` on both sides. A peer without it ignores the notification (RFC 7296 section 3.10.1).
All numbers are from the ranges for private use.
"""

from __future__ import annotations

from dataclasses import dataclass

from fynx.events import Event
from fynx.plugin import ExchangeSpec, Extension, Incoming, Outgoing, SaView, TaskSpec, hookimpl
from fynx.wire.payload import NotifyPayload

FYNX_API = 1

IKE_AUTH, ASK = 35, 241
GREETING, ANSWER = 40961, 40962
LONGEST = 64
"""Octets of a greeting that we look at: it is the peer's text."""


@dataclass(frozen=True, slots=True)
class Greeted(Event):
    """The peer sent a greeting, or answered a question."""

    text: str


class Greet:
    """Adds N(GREETING) to both messages of IKE_AUTH, and reads the peer's."""

    def __init__(self, view: SaView) -> None:
        self._view = view

    def build(self, out: Outgoing) -> None:
        out.add(NotifyPayload(GREETING, b"hello from the " + self._view.role.encode()))

    def process(self, message: Incoming) -> None:
        tell(self._view, message, GREETING)


class Ask:
    """HDR, SK {}  -->  <--  HDR, SK {N(ANSWER)}"""

    def __init__(self, view: SaView) -> None:
        self._view = view

    def build(self, out: Outgoing) -> None:
        if out.response:
            out.add(NotifyPayload(ANSWER, b"we are well"))

    def process(self, message: Incoming) -> None:
        if message.response:
            tell(self._view, message, ANSWER)


def tell(view: SaView, message: Incoming, kind: int) -> None:
    for payload in message.payloads:
        if isinstance(payload, NotifyPayload) and payload.type == kind:
            text = payload.data[:LONGEST].decode("ascii", "replace")
            view.emit(Greeted(view.peer, "".join(char if char.isprintable() else "?" for char in text)))


@hookimpl
def fynx_extensions() -> list[Extension]:
    tasks = (
        TaskSpec("greet", IKE_AUTH, 350, lambda view, _: Greet(view)),
        TaskSpec("ask", ASK, 500, lambda view, _: Ask(view)),
    )
    return [Extension("greeting", (ExchangeSpec(ASK, "ASK"),), tasks)]

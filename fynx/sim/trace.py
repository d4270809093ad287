"""The record of a simulation: every effect of every node with its time, comparable by one digest."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from fynx.ike.effects import Ask, Effect, Emit, Keepalive, Transmit
from fynx.plugin.work import InstallChild


@dataclass(frozen=True, slots=True)
class Entry:
    """One effect, or one thing that the network did (``kind`` lower case)."""

    time: float
    node: str
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.time:.9f} {self.node} {self.kind} {self.text}"


class Trace:
    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def effect(self, time: float, node: str, effect: Effect) -> None:
        self.entries.append(Entry(time, node, type(effect).__name__, _text(effect)))

    def note(self, time: float, node: str, kind: str, text: str) -> None:
        self.entries.append(Entry(time, node, kind, text))

    def of_kind(self, kind: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.kind == kind]

    def digest(self) -> str:
        """SHA-256 over all entries: equal for equal seeds, in any process."""
        state = sha256()
        for entry in self.entries:
            state.update(f"{entry}\n".encode())
        return state.hexdigest()

    def __str__(self) -> str:
        return "\n".join(str(entry) for entry in self.entries)


class NoTrace(Trace):
    """Keeps nothing: for searches over many worlds."""

    def effect(self, time: float, node: str, effect: Effect) -> None:
        pass

    def note(self, time: float, node: str, kind: str, text: str) -> None:
        pass


def _text(effect: Effect) -> str:
    """Octets of messages count, keys do not appear."""
    match effect:
        case Transmit(path, data):
            return f"{path.local_port} -> {path} {data.hex()}"
        case Keepalive(path):
            return f"{path.local_port} -> {path}"
        case Ask(ticket, InstallChild(child)):
            return f"{ticket} InstallChild {child.child} {child.spi_in:08x} {child.spi_out:08x} {child.suite.keyword}"
        case Ask(ticket, work):
            return f"{ticket} {type(work).__name__}"
        case Emit(event):
            return repr(event)
    return repr(effect)

"""The tree of a YAML document: every node knows its line and column, and none shows its content."""

from __future__ import annotations

from dataclasses import dataclass, field

LARGEST = 1 << 20
DEEPEST = 32


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the file, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value. ``plain`` is True without quotes. Its content is never shown: it may be a secret."""

    mark: Mark
    value: str | int | float | bool | None = field(repr=False)
    plain: bool = True


@dataclass(frozen=True, slots=True)
class Sequence:
    mark: Mark
    items: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping; ``marks`` are the places of its keys."""

    mark: Mark
    entries: dict[str, Node] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Broken:
    """Something already reported; decoding passes over it."""

    mark: Mark


Node = Scalar | Sequence | Table | Broken


def plain(node: Node) -> object:
    """The node as ordinary Python objects; broken parts are None."""
    match node:
        case Scalar():
            return node.value
        case Sequence():
            return tuple(plain(item) for item in node.items)
        case Table():
            return {key: plain(value) for key, value in node.entries.items()}
        case Broken():
            return None


def find(node: Node, path: str) -> Node | None:
    """The node at a dotted path such as ``peers.hq.local``; None when it is not there."""
    if not path:
        return node
    if not isinstance(node, Table):
        return None
    cut = len(path)
    while cut > 0:  # a key may hold dots: the longest one that fits comes first
        found = find(node.entries[path[:cut]], path[cut + 1 :]) if path[:cut] in node.entries else None
        if found is not None:
            return found
        cut = path.rfind(".", 0, cut)
    return None

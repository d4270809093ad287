"""Which of a peer's children a request may touch, without asking each of them (RFC 7296 section 2.9)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from fynx.plugin.dataplane import Selector

if TYPE_CHECKING:
    from fynx.ike.policy import ChildPolicy


FEW = 32
"""So many are asked one by one rather than looked up on the other side too."""


class Side:
    """Ranges of addresses of one side, of one family: sorted by their first address."""

    __slots__ = ("_highest", "_ranges", "_starts")

    def __init__(self, ranges: Iterable[tuple[bytes, bytes, int]]) -> None:
        self._ranges = sorted(ranges)
        self._starts = [start for start, _end, _child in self._ranges]
        self._highest = list(accumulate((end for _start, end, _child in self._ranges), max))

    def touched(self, start: bytes, end: bytes) -> Iterator[int]:
        for at in range(bisect_right(self._starts, end) - 1, -1, -1):
            if self._highest[at] < start:
                return
            if self._ranges[at][1] >= start:
                yield self._ranges[at][2]


class Reach:
    """Places in the list of children. Those whose addresses show only later (leased ones, those of the hosts in
    transport mode) may be touched by anything."""

    __slots__ = ("_local", "_open", "_remote")

    def __init__(self, children: Sequence[ChildPolicy]) -> None:
        sides = [(*one.local, *one.remote) for one in children]
        self._open = {
            at
            for at, one in enumerate(children)
            if one.mode == "transport" or not all(selector.start for selector in sides[at])
        }
        closed = [(at, one) for at, one in enumerate(children) if at not in self._open]
        self._local = _by_family((selector, at) for at, one in closed for selector in one.local)
        self._remote = _by_family((selector, at) for at, one in closed for selector in one.remote)

    def touched(self, local: Iterable[Selector], remote: Iterable[Selector]) -> list[int]:
        """In the order of the list; some may turn out not to be touched."""
        found = _all(self._remote, remote)
        return sorted(self._open | (found if len(found) < FEW else found & _all(self._local, local)))


def _by_family(selectors: Iterable[tuple[Selector, int]]) -> dict[int, Side]:
    found: dict[int, list[tuple[bytes, bytes, int]]] = {}
    for one, at in selectors:
        found.setdefault(len(one.start), []).append((one.start, one.end, at))
    return {size: Side(ranges) for size, ranges in found.items()}


def _all(sides: dict[int, Side], selectors: Iterable[Selector]) -> set[int]:
    return {
        at for one in selectors if len(one.start) in sides for at in sides[len(one.start)].touched(one.start, one.end)
    }

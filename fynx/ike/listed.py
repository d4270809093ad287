"""The established IKE SAs of one peer, in the order in which they came up: by the identity that the other end proved.

A peer that takes anybody has thousands, of as many identities; what asks for those of one identity asks with each
message, and does not look at the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fynx.plugin.auth import Identity

if TYPE_CHECKING:
    from fynx.ike.sa import IkeSa


class Listed:
    def __init__(self) -> None:
        self._all: dict[int, IkeSa] = {}
        self._by_identity: dict[Identity | None, dict[int, IkeSa]] = {}

    def __iter__(self) -> Iterator[IkeSa]:
        return iter(self._all.values())

    def __reversed__(self) -> Iterator[IkeSa]:
        return reversed(self._all.values())

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, sa: IkeSa) -> bool:
        return sa.serial in self._all

    def add(self, sa: IkeSa) -> None:
        self._all[sa.serial] = self._by_identity.setdefault(sa.remote_id, {})[sa.serial] = sa

    def remove(self, sa: IkeSa) -> None:
        """An identity whose last IKE SA goes leaves nothing behind."""
        del self._all[sa.serial]
        same = self._by_identity[sa.remote_id]
        del same[sa.serial]
        if not same:
            del self._by_identity[sa.remote_id]

    def beside(self, sa: IkeSa) -> tuple[IkeSa, ...]:
        """The others of its identity; all of them as long as it has proved none."""
        found = self._all if sa.remote_id is None else self._by_identity.get(sa.remote_id, {})
        if len(found) == 1 and sa.serial in found:
            return ()
        return tuple(other for other in found.values() if other is not sa)

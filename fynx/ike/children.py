"""The Child SAs of one IKE SA, by handle in the order in which they were made; many of them also by name and SPI."""

from __future__ import annotations

from typing import Any

from fynx.ike.child import ChildSa

FEW = 16
"""Up to so many are looked through: most IKE SAs have one, and ten thousand of those cost memory."""


class Children(dict[int, ChildSa]):
    """Changed by assignment, ``pop`` and ``del`` alone."""

    __slots__ = ("_names", "_spis")

    def __init__(self) -> None:
        super().__init__()
        self._names: dict[str, dict[int, ChildSa]] | None = None
        self._spis: set[int] | None = None

    def named(self, name: str) -> list[ChildSa]:
        if self._names is None:
            return [child for child in self.values() if child.name == name]
        return list(self._names.get(name, {}).values())

    def sends_with(self, spi: int) -> bool:
        """Whether one of them has this SPI of the peer's."""
        if self._spis is None:
            return any(child.spi_out == spi for child in self.values())
        return spi in self._spis

    def __setitem__(self, handle: int, child: ChildSa) -> None:
        super().__setitem__(handle, child)
        if self._names is None or self._spis is None:
            if len(self) <= FEW:
                return
            self._names, self._spis = {}, set()
        fresh = ((handle, child),) if self._spis else tuple(self.items())
        for each, one in fresh:
            self._names.setdefault(one.name, {})[each] = one
            self._spis.add(one.spi_out)

    def __delitem__(self, handle: int) -> None:
        self._forget(self[handle], handle)
        super().__delitem__(handle)

    def pop(self, handle: int, *default: Any) -> Any:
        if handle in self:
            self._forget(self[handle], handle)
        return super().pop(handle, *default)

    def _forget(self, child: ChildSa, handle: int) -> None:
        if self._names is None or self._spis is None:
            return
        alike = self._names[child.name]
        del alike[handle]
        if not alike:
            del self._names[child.name]
        self._spis.discard(child.spi_out)


__all__ = ["Children"]

"""Records: dataclasses that nobody changes, of which every message makes dozens."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """``dataclass(frozen=True, slots=True)`` for whoever checks types, and in Python's development mode (``-X dev``).

    Else the guard is left out: it makes each field of each new object cost eight times as much.
    """
    if sys.flags.dev_mode:
        return dataclass(frozen=True, slots=True)(cls)
    return dataclass(slots=True, unsafe_hash=True)(cls)

"""Records: alike by value, one hash for what is alike, and guarded in development mode."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from types import SimpleNamespace

import pytest

from fynx import record as module
from fynx.record import record


@record
class Point:
    x: int
    y: int = 0


def test_a_record_is_known_by_its_values() -> None:
    assert Point(1) == Point(1, 0) != Point(1, 2)
    assert {Point(1): "found"}[Point(1, 0)] == "found"
    assert replace(Point(1), y=3) == Point(1, 3)
    assert not hasattr(Point(1), "__dict__")


def test_in_development_mode_nobody_changes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "sys", SimpleNamespace(flags=SimpleNamespace(dev_mode=True)))

    @record
    class Guarded:
        x: int

    with pytest.raises(FrozenInstanceError):
        Guarded(1).x = 2  # type: ignore[misc]
    assert hash(Guarded(1)) == hash(Guarded(1))

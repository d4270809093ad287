"""Packets that say nothing, sent when somebody asks (RFC 4303 section 2.6); the plane sends some by the clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fynx.errors import StateError
from fynx.plugin.dataplane import Plane
from fynx.plugin.planes import DummyPlane
from fynx.run.standing import Standing

MOST = 10_000


def named(children: Mapping[int, Standing], peer: str, child: str) -> list[int]:
    """Handles of a peer's Child SAs, or of those of one child."""
    return [handle for handle, each in children.items() if (each.peer, each.child) == (peer, child or each.child)]


def send_dummies(plane: Plane | None, handles: Sequence[int], count: int, size: int) -> int:
    """``count`` for each of the Child SAs; how many in all."""
    if not isinstance(plane, DummyPlane):
        raise StateError("this data plane cannot send dummies")
    if not 0 < count <= MOST:
        raise StateError(f"between 1 and {MOST} dummies at a time, not {count}")
    if not handles:
        raise StateError("no Child SA is up that could carry dummies")
    for handle in handles:
        plane.dummies(handle, count, size)
    return count * len(handles)

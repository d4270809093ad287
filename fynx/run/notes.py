"""Reads the note that the last run left in NAME.state; what does not look as we wrote it is passed over."""

from __future__ import annotations

from collections.abc import Mapping


def adopted(note: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Peer and child of every guard that was in force."""
    plane = note.get("plane")
    guards = plane.get("guards") if isinstance(plane, dict) else None
    if not isinstance(guards, list):
        return ()
    found = [(each.get("peer"), each.get("child")) for each in guards if isinstance(each, dict)]
    return tuple((peer, child) for peer, child in found if isinstance(peer, str) and isinstance(child, str))


def names(note: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """The last good addresses of DNS names."""
    resolved = note.get("resolved")
    if not isinstance(resolved, dict):
        return {}
    return {
        name: tuple(str(address) for address in found)
        for name, found in resolved.items()
        if isinstance(name, str) and isinstance(found, list)
    }

"""Marks on the fields of the model that tell the decoder more than a type can."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChoiceOf:
    """A mapping with exactly one key: the name of a plugin of this ``kind`` (transport, plane, store, auth)."""

    kind: str


@dataclass(frozen=True, slots=True)
class Check:
    """Each text in the field must pass the checker of this name.

    ``trim``: of the default, only what passes is kept, and something must be: it depends on the loaded plugins.
    """

    name: str
    trim: bool = False


@dataclass(frozen=True, slots=True)
class OneOrMany:
    """A single value may stand for a list of one."""


@dataclass(frozen=True, slots=True)
class Names:
    """The keys of this mapping are names of things: letters, digits and ``_ . @ -``."""

"""Commands that a plugin adds to ``fynx``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """``command`` is a ``click.Command``; typed as object so that importing ``fynx.plugin`` does not import click."""

    name: str
    command: object

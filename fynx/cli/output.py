"""Data on stdout: one JSON object that names its schema, or a table (drawn by rich on a terminal, plain elsewhere)."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence

import click


def as_json(kind: str, facts: Mapping[str, object]) -> None:
    """One object, ``"schema": "fynx.KIND/1"`` first."""
    click.echo(json.dumps({"schema": f"fynx.{kind}/1", **facts}, indent=2, ensure_ascii=False, default=str))


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if sys.stdout.isatty():
        _drawn(headings, rows)
        return
    lines = [list(headings), *[list(row) for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _drawn(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(*headings, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        drawn.add_row(*[Text(cell) for cell in row])
    Console().print(drawn)

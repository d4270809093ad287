"""Words for people: suggestions for a mistyped name, and exceptions of plugins on one safe line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LIMIT = 256


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` or the empty string."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def describe(failure: BaseException) -> str:
    """Type and text of an exception on one line, without control characters, cut at 256 characters."""
    text = "".join(char if char.isprintable() else " " for char in str(failure))
    return f"{type(failure).__name__}: {' '.join(text.split())}"[:LIMIT].rstrip(": ")

"""A listener in a single file: a line on stderr for each event. ``fynx run -p ./bell.py``."""

from __future__ import annotations

import sys

from fynx.events import Event
from fynx.plugin import hookimpl

FYNX_API = 1


@hookimpl
def fynx_event(event: Event) -> None:
    print(f"\a{event.peer}: {type(event).__name__}", file=sys.stderr, flush=True)

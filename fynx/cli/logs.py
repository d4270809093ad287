"""Where a foreground host writes: events to stdout, the rest to stderr, as text or as JSON lines."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from time import localtime, strftime
from typing import Literal

from fynx.cli.patient import Lines, Patient
from fynx.events import Event
from fynx.logs import LEVELS, clean
from fynx.run.control import as_json


class Text(logging.Formatter):
    """``HH:MM:SS words``; warnings and errors say what they are."""

    _clock = 0, ""

    def format(self, record: logging.LogRecord) -> str:
        second, time = self._clock
        if second != int(record.created):
            time = strftime("%H:%M:%S", localtime(record.created))
            self._clock = int(record.created), time
        level = "" if record.levelno <= logging.INFO else f"{_level(record)}: "
        lines = [clean(line) for line in record.getMessage().splitlines()]
        if record.exc_info:
            lines += self.formatException(record.exc_info).splitlines()
        return f"{time} {level}" + "\n    ".join(lines)


class Json(logging.Formatter):
    """One object a line: ``fynx.event/1`` for events, ``fynx.log/1`` for the rest."""

    def format(self, record: logging.LogRecord) -> str:
        event, kind = getattr(record, "event", None), getattr(record, "fynx", "")
        named = {"log": kind, "level": _level(record), "fields": record.__dict__["fields"]} if kind else {}
        if isinstance(event, Event):
            return json.dumps({**as_json(event), **named}, default=str)
        facts = {
            "schema": "fynx.log/1",
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": _level(record),
            "logger": record.name,
            "text": clean(record.getMessage()),
            **named,
        }
        if record.exc_info:
            facts["traceback"] = self.formatException(record.exc_info)
        return json.dumps(facts, default=str)


def _level(record: logging.LogRecord) -> str:
    names = {number: name for name, number in LEVELS.items()}
    return names.get(record.levelno, record.levelname.lower())


def set_up(style: Literal["text", "json"], *, verbose: bool) -> None:
    """For the program alone: a library must not decide where its user's logs go."""
    form = Json() if style == "json" else Text()
    told, rest = Lines(sys.stdout), Lines(sys.stderr)
    for handler in (told, rest):
        handler.setFormatter(form)
    events, root = logging.getLogger("fynx.events"), logging.getLogger("fynx")
    events.handlers, root.handlers = [Patient(told)], [Patient(rest)]
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # no line says them
    setattr(logging, "logAsyncioTasks", False)  # noqa: B010  from Python 3.12 on
    events.propagate = root.propagate = False
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    events.setLevel(logging.DEBUG if verbose else logging.INFO)
    logging.getLogger("fynx.events.state").setLevel(logging.NOTSET if verbose else logging.WARNING)

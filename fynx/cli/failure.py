"""Failures in words and exit codes: 1 failed, 3 port in use, 4 permission or package, 5 configuration, 6 time-out."""

from __future__ import annotations

import errno
import os
import sys

import click

from fynx.errors import ConfigError, FynxError, PluginError

FAILED, NOT_RUNNING, PERMISSION, CONFIGURATION, TIMED_OUT = 1, 3, 4, 5, 6
_BY_ERRNO = {
    errno.EADDRINUSE: NOT_RUNNING,
    errno.EBUSY: NOT_RUNNING,
    errno.EACCES: PERMISSION,
    errno.EPERM: PERMISSION,
}


def exit_code(error: BaseException) -> int | None:
    """The exit code of a failure that people can act on; None for a bug, which deserves its traceback."""
    given = getattr(error, "exit_code", None)
    if isinstance(given, int):
        return given
    match error:
        case ConfigError() | PluginError():
            return CONFIGURATION
        case FynxError():
            return FAILED
        case TimeoutError():
            return TIMED_OUT
        case OSError():
            return _BY_ERRNO.get(error.errno or 0, FAILED)
        case ModuleNotFoundError() if not (error.name or "").startswith("fynx"):
            return PERMISSION
    return None


def say(error: BaseException) -> None:
    """What went wrong, on stderr: what, where, why, and what to try."""
    match error:
        case ConfigError():
            for problem in error.problems:
                click.echo(f"{_label(error)} {problem}", err=True)
            count = len(error.problems)
            click.echo(f"{count} error{'s' if count != 1 else ''}: nothing was started or changed", err=True)
            return
        case FynxError():
            click.echo(f"{_label(error)} {error}", err=True)
        case ModuleNotFoundError():
            line = f"{sys.executable} -m pip install {error.name}"
            click.echo(f"fynx: the package {error.name} is missing\n    try: {line}", err=True)
            return
        case OSError():
            place = f"{error.filename}: " if error.filename else ""
            click.echo(f"fynx: {place}{error.strerror or error}", err=True)
        case _:
            click.echo(f"fynx: {error}", err=True)
    remedy = getattr(error, "remedy", "")
    if not remedy and exit_code(error) == PERMISSION:
        from fynx.run.failures import permission_line  # not for commands that need no runtime

        remedy = permission_line()
    if remedy:
        click.echo(f"    try: {remedy}", err=True)


def _label(error: FynxError) -> str:
    coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return f"{click.style(error.label, fg='red') if coloured else error.label}:"

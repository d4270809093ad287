"""Failures in words and exit codes: 1 failed, 3 port in use, 4 permission or package, 5 configuration, 6 time-out."""

from __future__ import annotations

import errno
import os
import sys

import click

from fynx.errors import ConfigError, FynxError, PluginError

FAILED, NOT_RUNNING, PERMISSION, CONFIGURATION, TIMED_OUT = 1, 3, 4, 5, 6
NETWORK_ERROR, NETWORK_TIMEOUT = 5001, 5002
"""Codes of what the system refuses, under which its own errors are shown as well."""
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
    """What went wrong, on stderr: code, place, reason, and what to try."""
    if isinstance(error, ConfigError):
        for problem in error.problems:
            click.echo(f"{_label(error.code)} {problem}", err=True)
        count = len(error.problems)
        click.echo(f"{count} error{'s' if count != 1 else ''}: nothing was started or changed", err=True)
        return
    code, why, remedy = _told(error)
    click.echo(f"{_label(code)} {why}\n    try: {remedy}", err=True)


def _told(error: BaseException) -> tuple[int, str, str]:
    """Code, place with reason, and the next step."""
    match error:
        case FynxError():
            return error.code, str(error), error.remedy
        case ModuleNotFoundError():
            line = f"{sys.executable} -m pip install {error.name}"
            return NETWORK_ERROR, f"the package {error.name} is missing", line
        case TimeoutError():
            why = error.strerror or str(error) or "nobody answered in time"
            return NETWORK_TIMEOUT, why, "fynx status tells what stands"
        case OSError():
            place = f"{error.filename}: " if error.filename else ""
            return NETWORK_ERROR, f"{place}{error.strerror or error}", _privileges(error) or FynxError.remedy
    return FynxError.code, str(error), FynxError.remedy


def _privileges(error: OSError) -> str:
    if exit_code(error) != PERMISSION:
        return ""
    from fynx.run.failures import permission_line  # not for commands that need no runtime

    return permission_line()


def _label(code: int) -> str:
    label = f"FYNX-{code}"
    coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return f"{click.style(label, fg='red') if coloured else label}:"

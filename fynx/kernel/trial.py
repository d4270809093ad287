"""Imports plugins of third parties in processes that may die, before a host does it itself.

A child is forked for each: it imports, asks the hooks and runs the self-test, and comes to its end or not. What a
plugin *raises* is no matter here: the boot itself names that.
"""

from __future__ import annotations

import faulthandler
import os
import select
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress

from fynx.errors import FynxError
from fynx.kernel.entrypoints import DISTRIBUTION, Candidate
from fynx.kernel.file import FileCandidate
from fynx.kernel.limit import BOOT_S
from fynx.kernel.loader import boot

LIMIT_S = 2 * BOOT_S
"""The child gives up plugins that hang by itself, unless they hang in C."""
CAME_THROUGH = 77


def crashes(candidates: Sequence[Candidate]) -> Mapping[str, str]:
    """By plugin: how it takes its process down. Ours are not tried. For programs of one thread: it forks."""
    foreign = [one for one in candidates if one.distribution != DISTRIBUTION]
    deaths = {one.name: _death(one) for one in foreign}
    return {name: why for name, why in deaths.items() if why}


def _death(one: Candidate) -> str:
    child = os.fork()
    if child == 0:
        _try(one)
    fd = os.pidfd_open(child)
    try:
        over, _, _ = select.select([fd], [], [], LIMIT_S)
        if not over:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    finally:
        os.close(fd)
    if not over:
        return f"hangs the program at its import: it did not return within {LIMIT_S:g} s"
    code = os.waitstatus_to_exitcode(status)
    if code == CAME_THROUGH:
        return ""
    what = f"crashes the program ({signal.Signals(-code).name})" if code < 0 else f"ends the program (exit code {code})"
    return f"{what} at its import"


def _try(one: Candidate) -> None:
    """In the child, which says nothing and never comes back."""
    code = 1
    try:
        faulthandler.disable()
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nothing, fd)
        with suppress(FynxError):
            if isinstance(one, FileCandidate):
                boot([], files=[one])
            else:
                boot([one.name])
        code = CAME_THROUGH
    finally:
        os._exit(code)


__all__ = ["crashes"]

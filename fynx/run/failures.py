"""Why a host cannot start or a command fails, with the exit code of the command line."""

from __future__ import annotations

import errno
import os
import shlex
import sys
from collections.abc import Iterable, Mapping

from fynx.errors import FynxError
from fynx.events import ChildRefused, HandshakeFailed
from fynx.faults import (
    AuthenticationFailed,
    Fault,
    Internal,
    InvalidMessage,
    InvalidProposal,
    InvalidState,
    NetworkTimeout,
    NoProposalChosen,
)

OURS = ("FYNX_CONFIG", "FYNX_RUN_DIR")
"""Variables of the environment that this program reads itself."""
FAILED, NOT_RUNNING, PERMISSION, TIMED_OUT = 1, 3, 4, 6


class HostError(FynxError):
    """``exit_code`` is what ``fynx`` ends with; ``remedy`` is the exact line to run where there is one."""

    code: int = 5001

    def __init__(self, why: str, exit_code: int = FAILED, remedy: str = "", *, code: int = 0) -> None:
        self.exit_code, self.remedy, self.code = exit_code, remedy or self.remedy, code or self.code
        super().__init__(why)


class HostTimeout(HostError):
    """Nobody answered in time."""

    code: int = 5002
    remedy = "is the peer on, and do UDP 500 and 4500 pass? tcpdump -ni any udp port 500 or udp port 4500 tells"

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why, TIMED_OUT, remedy)


CAUSES: Mapping[str, type[Fault]] = {
    "NO_PROPOSAL_CHOSEN": NoProposalChosen,
    "INVALID_KE_PAYLOAD": NoProposalChosen,
    "AUTHENTICATION_FAILED": AuthenticationFailed,
    "TS_UNACCEPTABLE": InvalidProposal,
    "INVALID_SYNTAX": InvalidMessage,
}
"""Notification of a refused tunnel -> whose code it has, and whose next step if nobody knows better."""
SAID: Mapping[str, type[Fault]] = {"no answer": NetworkTimeout, "an internal error": Internal}
"""The same for what no notification names, by how the reason begins."""


def refused(event: HandshakeFailed | ChildRefused) -> HostError:
    """Why a tunnel does not stand, under the code of its cause."""
    words = () if event.notify else (kind for begins, kind in SAID.items() if event.reason.startswith(begins))
    cause = CAUSES.get(event.notify) or next(iter(words), None)
    code, remedy = (cause.code, cause.remedy) if cause is not None else (InvalidState.code, Fault.remedy)
    exit_code = TIMED_OUT if cause is NetworkTimeout else FAILED
    return HostError(f"{event.peer}: {event.reason}", exit_code, event.remedy or remedy, code=code)


def from_os(error: OSError, doing: str, *, busy: str, variables: Iterable[str] = ()) -> HostError:
    """An OSError of start-up in the words and the exit code that people and scripts expect.

    ``busy``: what to do when something is taken; ``variables``: those that the configuration reads.
    """
    text = error.strerror or str(error)
    if error.errno in (errno.EADDRINUSE, errno.EBUSY):
        return HostError(f"{doing}: {text}", NOT_RUNNING, busy)
    if error.errno in (errno.EACCES, errno.EPERM):
        return HostError(f"{doing}: {text}", PERMISSION, permission_line(variables))
    if error.errno == errno.ENOENT and "tun" in text + str(error.filename or ""):
        return HostError(f"{doing}: /dev/net/tun is missing", PERMISSION, "sudo modprobe tun")
    return HostError(f"{doing}: {text}", FAILED)


def permission_line(variables: Iterable[str] = ()) -> str:
    """The line that gives this very program the two privileges that it needs, and what it reads in its environment:
    sudo takes that away (sudo(8))."""
    kept = dict.fromkeys((*(name for name in OURS if name in os.environ), *variables))
    keep = [f"--preserve-env={','.join(kept)}"] if kept else []
    return shlex.join(["sudo", *keep, sys.executable, "-m", "fynx", *sys.argv[1:]])

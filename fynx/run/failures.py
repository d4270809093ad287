"""Why a host cannot start or a command fails, with the exit code of the command line."""

from __future__ import annotations

import errno
import sys
from typing import ClassVar

from fynx.errors import FynxError

FAILED, NOT_RUNNING, PERMISSION, TIMED_OUT = 1, 3, 4, 6


class HostError(FynxError):
    """``exit_code`` is what ``fynx`` ends with; ``remedy`` is the exact line to run where there is one."""

    code: ClassVar[int] = 5001

    def __init__(self, why: str, exit_code: int = FAILED, remedy: str = "") -> None:
        self.exit_code, self.remedy = exit_code, remedy or self.remedy
        super().__init__(why)


class HostTimeout(HostError):
    """Nobody answered in time."""

    code: ClassVar[int] = 5002
    remedy = "is the peer on, and do UDP 500 and 4500 pass? tcpdump -ni any udp port 500 or udp port 4500 tells"

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why, TIMED_OUT, remedy)


def from_os(error: OSError, doing: str) -> HostError:
    """An OSError of start-up in the words and the exit code that people and scripts expect."""
    text = error.strerror or str(error)
    if error.errno in (errno.EADDRINUSE, errno.EBUSY):
        remedy = "stop the other program, or choose other ports (host.transport.udp.ports) or another device"
        return HostError(f"{doing}: {text}", NOT_RUNNING, remedy)
    if error.errno in (errno.EACCES, errno.EPERM):
        return HostError(f"{doing}: {text}", PERMISSION, permission_line())
    if error.errno == errno.ENOENT and "tun" in text + str(error.filename or ""):
        return HostError(f"{doing}: /dev/net/tun is missing", PERMISSION, "sudo modprobe tun")
    return HostError(f"{doing}: {text}", FAILED)


def permission_line() -> str:
    """The line that gives this very program the two privileges that it needs."""
    return f"sudo {sys.executable} -m fynx {' '.join(sys.argv[1:])}".rstrip()

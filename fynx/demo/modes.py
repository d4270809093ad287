"""Chooses how the demo can run on this machine, and starts it there: root, a user namespace, or loopback alone."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Mode = Literal["root", "user", "loopback"]
TUN = Path("/dev/net/tun")
TOOLS = ("unshare", "ip", "ping")
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Choice:
    mode: Mode
    why: str
    prefix: tuple[str, ...] = ()
    """Command that makes the namespaces and runs the rest of the line in them."""


NAMESPACES = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child")


def choose() -> Choice:
    """The most real mode that this machine and this user allow."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return Choice("loopback", f"two processes on 127.0.0.1, since {', '.join(missing)} is not installed")
    trouble = tun_trouble()
    if trouble:
        return Choice("loopback", f"two processes on 127.0.0.1, since {trouble}")
    if os.geteuid() == 0 and works(NAMESPACES):
        return Choice("root", "root, so two network namespaces", NAMESPACES)
    as_user = (*NAMESPACES, "--user", "--map-root-user")
    if works(as_user):
        return Choice("user", "no root, so two network namespaces inside a user namespace", as_user)
    return Choice("loopback", "two processes on 127.0.0.1, since neither root nor user namespaces are allowed here")


def tun_trouble() -> str:
    try:
        os.close(os.open(TUN, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return f"{TUN} cannot be opened ({error.strerror})"
    return ""


def works(prefix: tuple[str, ...]) -> bool:
    """Whether the namespaces can be made, and a mount and a device in them."""
    probe = "mount -t tmpfs probe /run && ip link add fynxprobe type veth peer name fynxprobe2"
    done = subprocess.run([*prefix, "sh", "-c", probe], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.returncode == 0


def run(choice: Choice, arguments: list[str]) -> int:
    """Runs the demo where ``choice`` says; returns its exit code. Whatever ends us ends all of it."""
    command = [*choice.prefix, sys.executable, "-m", "fynx.demo", choice.mode, choice.why, *arguments]
    libc = ctypes.CDLL(None, use_errno=True)
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    )
    before = signal.signal(signal.SIGTERM, lambda *_: child.kill())
    try:
        return child.wait()
    except KeyboardInterrupt:
        return interrupted(child)
    finally:
        child.kill()
        child.wait()
        signal.signal(signal.SIGTERM, before)


def interrupted(child: subprocess.Popen[bytes]) -> int:
    """The terminal told the inner demo too: give it a moment to end its tunnel in order."""
    try:
        child.wait(5)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.kill()
    return 130

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
    run_folder: str = "/run/fynx-demo"
    """For the control sockets; on a private /run where the namespaces have mounts of their own."""


NAMESPACES = ("unshare", "--net", "--pid", "--fork", "--kill-child")
OWN_MOUNTS = (*NAMESPACES, "--mount")
PROBE = "ip link add fynxprobe type veth peer name fynxprobe2"


def choose() -> Choice:
    """The most real mode that this machine and this user allow."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return Choice("loopback", f"two processes on 127.0.0.1, since {', '.join(missing)} is not installed")
    trouble = tun_trouble()
    if trouble:
        return Choice("loopback", f"two processes on 127.0.0.1, since {trouble}")
    if os.geteuid() == 0:
        why = "root, so two network namespaces"
        if works(OWN_MOUNTS):
            return Choice("root", why, OWN_MOUNTS)
        if works(NAMESPACES):  # a plain chroot: its root is no mount point, so that private mounts cannot be had
            return Choice("root", why, NAMESPACES, f"/run/fynx-demo-{os.getpid()}")
    as_user = (*OWN_MOUNTS, "--user", "--map-root-user")
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
    """Whether the namespaces can be made, and a device (and a mount, where they have their own) in them."""
    probe = f"mount -t tmpfs probe /run && {PROBE}" if prefix is not NAMESPACES else PROBE
    done = subprocess.run([*prefix, "sh", "-c", probe], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.returncode == 0


def run(choice: Choice, arguments: list[str]) -> int:
    """Runs the demo where ``choice`` says; returns its exit code. Whatever ends us ends all of it."""
    command = [
        *choice.prefix,
        sys.executable,
        "-m",
        "fynx.demo",
        choice.mode,
        choice.why,
        choice.run_folder,
        *arguments,
    ]
    libc = ctypes.CDLL(None, use_errno=True)
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    )
    before = signal.signal(signal.SIGTERM, lambda *_: child.kill())
    try:
        code = child.wait()
        return code if code >= 0 else 128 - code
    except KeyboardInterrupt:
        return interrupted(child)
    finally:
        child.kill()
        child.wait()
        if choice.prefix == NAMESPACES:
            shutil.rmtree(choice.run_folder, ignore_errors=True)
        signal.signal(signal.SIGTERM, before)


def interrupted(child: subprocess.Popen[bytes]) -> int:
    """The terminal told the inner demo too: give it a moment to end its tunnel in order."""
    try:
        child.wait(5)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.kill()
    return 130

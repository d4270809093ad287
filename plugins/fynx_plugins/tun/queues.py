"""How many queues a TUN device gets, each with a worker: as configured, or as many as there are processors for us."""

from __future__ import annotations

import fcntl
import os
import struct
from typing import Literal

from fynx_plugins.tun.device import IFF_MULTI_QUEUE

TUNGETFEATURES = 0x800454CF
MOST = 15
"""Workers of one plane."""


def workers_of(wanted: int | Literal["auto"], *, processors: int, multiqueue: bool) -> int:
    """``auto``: one for each processor, and one in all where the kernel's TUN devices have a single queue."""
    if wanted != "auto":
        return wanted
    return max(1, min(processors, MOST)) if multiqueue else 1


def processors() -> int:
    """On which this process may run (sched_getaffinity(2)), which may be fewer than there are."""
    return len(os.sched_getaffinity(0))


def multiqueue() -> bool:
    """Whether the kernel's TUN devices can have many queues. Raises OSError where /dev/net/tun cannot be opened."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        (features,) = struct.unpack("I", fcntl.ioctl(fd, TUNGETFEATURES, bytes(4)))
    finally:
        os.close(fd)
    return bool(features & IFF_MULTI_QUEUE)

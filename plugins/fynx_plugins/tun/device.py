"""Opens a TUN device (linux/Documentation/networking/tuntap)."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
from pathlib import Path

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000


def open_tun(name: str) -> int:
    """A descriptor of a new TUN device that lives as long as it. Raises OSError: EBUSY when the name is taken."""
    if _exists(name):
        # Attaching to a device that someone else made persistent would take his traffic.
        raise OSError(errno.EBUSY, f"device {name} exists already: choose another name in host.plane.tun.device")
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    except OSError as error:
        os.close(fd)
        raise OSError(error.errno, f"device {name}: {error.strerror}") from error
    return fd


def quieten(name: str) -> None:
    """No link-local address, no router solicitations; loose reverse-path check: the tunnel vouches for sources."""
    _sysctl(f"ipv6/conf/{name}/addr_gen_mode", "1")
    _sysctl(f"ipv6/conf/{name}/accept_ra", "0")
    _sysctl(f"ipv4/conf/{name}/rp_filter", "2")


def _exists(name: str) -> bool:
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def _sysctl(key: str, value: str) -> None:
    with contextlib.suppress(OSError):
        Path("/proc/sys/net", key).write_text(value)

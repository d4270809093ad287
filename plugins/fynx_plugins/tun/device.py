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
IFF_MULTI_QUEUE = 0x0100
IFF_VNET_HDR = 0x4000


def open_tun(name: str, *, vnet: bool = False, queues: int = 1) -> tuple[int, ...]:
    """Descriptors of a new TUN device, one for each queue; it lives as long as they.

    Raises OSError: EBUSY when the name is taken. ``vnet``: packets carry a virtio-net header where the kernel can.
    """
    if _exists(name):
        # Attaching to a device that someone else made persistent would take his traffic.
        raise OSError(errno.EBUSY, f"device {name} exists already: choose another name in host.plane.tun.device")
    flags = IFF_TUN | IFF_NO_PI | (IFF_VNET_HDR if vnet else 0) | (IFF_MULTI_QUEUE if queues > 1 else 0)
    found: list[int] = []
    try:
        for _ in range(queues):
            found.append(os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK))
            fcntl.ioctl(found[-1], TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    except OSError as error:
        for fd in found:
            os.close(fd)
        if vnet and error.errno == errno.EINVAL:
            return open_tun(name, vnet=False, queues=queues)
        raise OSError(error.errno, f"device {name}: {error.strerror}") from error
    return tuple(found)


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

"""Reads what passes an interface through a packet ring (packet(7), TPACKET_V2), so that a slow reader loses nothing."""

from __future__ import annotations

import mmap
import select
import socket
import struct
import threading
from typing import NamedTuple

SOL_PACKET, PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION = 263, 5, 6, 10
TPACKET_V2 = 1
ETH_P_ALL = 3
FRAME, BLOCK = 4096, 1 << 20
LARGE = 1 << 17
"""Frame for an interface where the kernel passes packets of up to 64 KiB (a TUN device with segmentation offload)."""
KERNEL, USER = 0, 1
HEADER = struct.Struct("=IIIHHII")


class Packet(NamedTuple):
    """A packet as it was on the link: ``data`` begins with the link's header, where the link has one."""

    time_ns: int
    data: bytes


class Capture:
    """Collects the packets of one interface of the calling thread's network namespace, until ``stop``."""

    def __init__(self, interface: str, *, megabytes: int = 32, frame: int = FRAME) -> None:
        self.packets: list[Packet] = []
        self.cut = 0
        """Packets longer than a frame of the ring: kept in part only."""
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
        self._frame, self._frames = frame, (megabytes << 20) // frame
        ring = struct.pack("=IIII", BLOCK, megabytes, frame, self._frames)
        self._socket.setsockopt(SOL_PACKET, PACKET_RX_RING, ring)
        self._ring = mmap.mmap(self._socket.fileno(), megabytes << 20)
        self._socket.bind((interface, ETH_P_ALL))
        self._next = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"capture-{interface}", daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """Ends the capture; returns how many packets the kernel had no room for."""
        self._stopping.set()
        self._thread.join()
        statistics = self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
        self._ring.close()
        self._socket.close()
        return int(struct.unpack("=II", statistics)[1])

    def _run(self) -> None:
        while not self._stopping.is_set():
            while self._take():
                pass
            select.select([self._socket], [], [], 0.02)
        while self._take():
            pass

    def _take(self) -> bool:
        at = self._next * self._frame
        status, length, kept, mac, _, seconds, nanoseconds = HEADER.unpack_from(self._ring, at)
        if not status & USER:
            return False
        self.packets.append(Packet(seconds * 1_000_000_000 + nanoseconds, self._ring[at + mac : at + mac + kept]))
        self.cut += kept < length
        struct.pack_into("=I", self._ring, at, KERNEL)
        self._next = (self._next + 1) % self._frames
        return True

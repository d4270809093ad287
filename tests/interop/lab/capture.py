"""What passes on a link, taken by a packet socket and a thread, and kept as pcap for tshark."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.netns import Namespace

ETH_P_ALL = 3
LINKTYPE_ETHERNET = 1
IPV4, IPV6 = 0x0800, 0x86DD
UDP, ESP = 17, 50


@dataclass(frozen=True, slots=True)
class Datagram:
    """A UDP datagram seen on the link; ``protocol`` 50 marks ESP that stands directly in IP."""

    source: str
    destination: str
    source_port: int
    destination_port: int
    data: bytes
    protocol: int = UDP

    @property
    def ike(self) -> bytes | None:
        """The IKE message inside, without the non-ESP marker."""
        if self.protocol != UDP or len(self.data) < 28:
            return None
        if self.destination_port == 500 or self.source_port == 500:
            return self.data
        return self.data[4:] if self.data[:4] == bytes(4) and len(self.data) >= 32 else None

    @property
    def esp(self) -> bytes | None:
        """The ESP packet inside."""
        if self.protocol == ESP:
            return self.data
        encapsulated = 4500 in (self.source_port, self.destination_port)
        return self.data if encapsulated and len(self.data) > 8 and self.data[:4] != bytes(4) else None


class Capture:
    """Frames of one link from the moment of construction; use as a context manager."""

    def __init__(self, namespace: Namespace, link: str) -> None:
        self._frames: list[tuple[float, bytes]] = []
        self._socket = namespace.inside(
            lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        )
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        namespace.inside(lambda: self._socket.bind((link, ETH_P_ALL)))
        self._socket.settimeout(0.05)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._collect, name="capture")
        self._thread.start()

    def _collect(self) -> None:
        while True:
            try:
                frame = self._socket.recv(65600)
            except TimeoutError:
                if self._stopping.is_set():
                    return
                continue
            self._frames.append((time.time(), frame))

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop once the link has been quiet for a moment, so that nothing already sent is missing."""
        self._stopping.set()
        self._thread.join()
        self._socket.close()

    @property
    def octets(self) -> bytes:
        """All frames joined: to look for what must not be there."""
        return b"\n".join(frame for _, frame in list(self._frames))

    def datagrams(self) -> list[Datagram]:
        return [found for _, frame in list(self._frames) for found in _datagrams(frame)]

    def ike(self) -> list[bytes]:
        return [message for datagram in self.datagrams() if (message := datagram.ike)]

    def esp(self) -> list[bytes]:
        return [packet for datagram in self.datagrams() if (packet := datagram.esp)]

    def write(self, path: Path) -> Path:
        with path.open("wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65600, LINKTYPE_ETHERNET))
            for when, frame in list(self._frames):
                file.write(struct.pack("<IIII", int(when), int(when % 1 * 1e6), len(frame), len(frame)) + frame)
        return path


def _datagrams(frame: bytes) -> Iterator[Datagram]:
    (kind,) = struct.unpack_from("!H", frame, 12)
    packet = frame[14:]
    if kind == IPV4:
        end, header, protocol = struct.unpack_from("!H", packet, 2)[0], (packet[0] & 15) * 4, packet[9]
        ends = [socket.inet_ntop(socket.AF_INET, packet[at : at + 4]) for at in (12, 16)]
    elif kind == IPV6:
        end, header, protocol = struct.unpack_from("!H", packet, 4)[0] + 40, 40, packet[6]
        ends = [socket.inet_ntop(socket.AF_INET6, packet[at : at + 16]) for at in (8, 24)]
    else:
        return
    body = packet[header:end]
    if protocol == ESP:
        yield Datagram(*ends, 0, 0, body, ESP)
    if protocol == UDP:
        ports = struct.unpack_from("!HH", body)
        yield Datagram(*ends, *ports, body[8:])

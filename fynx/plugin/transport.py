"""Transports carry IKE messages and sealed ESP packets between addresses (RFC 7296 section 2, RFC 3948)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from fynx.record import record


@record
class Path:
    """Where a datagram travels. Addresses are text (``"192.0.2.1"``, ``"2001:db8::1"``); local "" lets the system
    choose."""

    local: str
    local_port: int
    remote: str
    remote_port: int

    @property
    def encapsulated(self) -> bool:
        """True on a port where the non-ESP marker stands before IKE (RFC 3948 section 2.2): any local port but 500."""
        return self.local_port != 500

    def __str__(self) -> str:
        host = f"[{self.remote}]" if ":" in self.remote else self.remote
        return f"{host}:{self.remote_port}"


@record
class Datagram:
    """One datagram as it is on the wire, with the non-ESP marker where the path has one."""

    path: Path
    data: bytes


Deliver = Callable[[Datagram], None]
"""Called on the event loop's thread for each datagram received; never raises."""


class Port(Protocol):
    """An open transport. ``framing`` "udp" and real ``sockets()`` let the C plane read and send ESP itself."""

    @property
    def framing(self) -> Literal["udp", "message"]: ...

    @property
    def local(self) -> tuple[Path, ...]:
        """One Path per listening socket, remote fields empty."""
        ...

    def sockets(self) -> Sequence[PortSocket]:
        """The sockets for the C plane; empty when the transport is no socket."""
        ...

    def attach(self) -> None:
        """Start delivering on the running loop. Sockets that a plane took over (``PortSocket.taken``) are left
        alone."""
        ...

    def send(self, batch: Sequence[Datagram]) -> None:
        """Sends without blocking; what the system refuses is counted and lost, as a network loses it."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class HintingPort(Protocol):
    """A port that hears when the network says that its datagrams do not arrive, as ICMP does. Optional; anybody may say
    so, and what comes of it is a liveness check at most (RFC 7296 section 2.4)."""

    def on_unreachable(self, tell: Callable[[Path], None]) -> None:
        """``tell`` is called on the event loop's thread with the path of a datagram that we sent; before ``attach``."""
        ...


@dataclass(slots=True)
class PortSocket:
    """A socket that a plane may take over: it then reads it, and hands IKE back through its own upcall."""

    fd: int
    family: int
    local_port: int
    encapsulated: bool
    taken: bool = False
    raw: bool = False
    """ESP without UDP (IP protocol 50): only a plane reads it and sends on it."""


class Transport(Protocol):
    @property
    def name(self) -> str: ...

    def open(self, section: object, deliver: Deliver) -> Awaitable[Port]:
        """Opens the sockets. Raises OSError; a port in use is reported as exit code 3."""
        ...

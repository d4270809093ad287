"""UDP sockets with known local addresses (RFC 7296 section 2.11: replies leave from the address that was asked)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from fynx.plugin import Datagram, Deliver, Path, Port, PortSocket
from fynx_plugins.udp.config import UdpConfig
from fynx_plugins.udp.icmp import IcmpEars
from fynx_plugins.udp.pktinfo import CONTROL_ROOM, local_address, source_control
from fynx_plugins.udp.raw import open_raw, shared

BATCH = 64
"""Datagrams read per wake-up, so that one busy socket cannot hold the loop."""
LARGEST = 65535
BUFFER = 4 << 20


@dataclass(slots=True)
class Listener:
    """One bound socket; ``address`` as configured, wildcard included."""

    sock: socket.socket
    address: str
    shared: PortSocket
    wildcard: bool = field(init=False)
    v6: bool = field(init=False)

    def __post_init__(self) -> None:
        self.wildcard = ipaddress.ip_address(self.address).is_unspecified
        self.v6 = self.shared.family == socket.AF_INET6

    @property
    def family(self) -> int:
        return self.shared.family


class UdpPort:
    """The open sockets of one host. Reads those that no plane took over; sends on all of them."""

    framing: Literal["udp", "message"] = "udp"

    def __init__(self, listeners: Sequence[Listener], deliver: Deliver, raw: Sequence[socket.socket] = ()) -> None:
        self._listeners = tuple(listeners)
        self._raw = tuple((sock, shared(sock)) for sock in raw)
        self._deliver = deliver
        self._loop: asyncio.AbstractEventLoop | None = None
        self._attached: list[int] = []
        self._tell: Callable[[Path], None] | None = None
        self._ears: IcmpEars | None = None
        self.lost = 0
        """Datagrams that the system refused to send."""

    @property
    def local(self) -> tuple[Path, ...]:
        return tuple(Path(each.address, each.shared.local_port, "", 0) for each in self._listeners)

    def sockets(self) -> Sequence[PortSocket]:
        return [each.shared for each in self._listeners] + [each for _, each in self._raw]

    def on_unreachable(self, tell: Callable[[Path], None]) -> None:
        self._tell = tell

    def attach(self) -> None:
        self._loop = asyncio.get_running_loop()
        if self._tell is not None:
            self._ears = IcmpEars(self._complaint)
        for each in self._listeners:
            if each.shared.taken:
                continue
            self._loop.add_reader(each.sock.fileno(), self._readable, each)
            self._attached.append(each.sock.fileno())

    def send(self, batch: Sequence[Datagram]) -> None:
        for datagram in batch:
            if not self._send_one(datagram):
                self.lost += 1

    def close(self) -> None:
        if self._ears is not None:
            self._ears.close()
        for fd in self._attached:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(fd)
        self._attached.clear()
        for each in self._listeners:
            each.sock.close()
        for sock, _ in self._raw:
            sock.close()

    def _send_one(self, datagram: Datagram) -> bool:
        path = datagram.path
        listener = self._listener_for(path)
        if listener is None:
            return False
        try:
            listener.sock.sendmsg(
                [datagram.data],
                source_control(listener.family, path.local),
                socket.MSG_DONTWAIT,
                (path.remote, path.remote_port),
            )
        except (OSError, ValueError):
            return False
        return True

    def _listener_for(self, path: Path) -> Listener | None:
        """The one bound to that address, else one that is bound to any."""
        wide = None
        v6 = ":" in path.remote
        for each in self._listeners:
            if each.v6 is not v6 or each.shared.local_port != path.local_port:
                continue
            if each.address == path.local:
                return each
            if wide is None and (each.wildcard or not path.local):
                wide = each
        return wide

    def _complaint(self, path: Path) -> None:
        if self._tell is not None and self._listener_for(path) is not None:
            self._tell(path)

    def _readable(self, listener: Listener) -> None:
        for _ in range(BATCH):
            try:
                data, control, _flags, source = listener.sock.recvmsg(LARGEST, CONTROL_ROOM, socket.MSG_DONTWAIT)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # An ICMP error queued on the socket: it was read by this call, the next datagram is unharmed.
                continue
            local = local_address(control) or listener.address
            remote = source[0].partition("%")[0]
            self._deliver(Datagram(Path(local, listener.shared.local_port, remote, source[1]), data))


class UdpTransport:
    """Opens the sockets of the section ``host.transport.udp``."""

    name = "udp"

    async def open(self, section: object, deliver: Deliver) -> Port:
        config = section if isinstance(section, UdpConfig) else UdpConfig()
        listeners: list[Listener] = []
        try:
            for wanted in config.ports:
                listeners += _open_port(config.listen, wanted)
            raw = open_raw(config.listen) if config.encap == "auto" else []
        except OSError:
            for each in listeners:
                each.sock.close()
            raise
        return UdpPort(listeners, deliver, raw)


def _open_port(addresses: Sequence[str], wanted: int) -> list[Listener]:
    listeners: list[Listener] = []
    try:
        for address in addresses:
            optional = address == "::" and len(addresses) > 1
            port = listeners[0].shared.local_port if wanted == 0 and listeners else wanted
            listener = _listen(address, port, optional)
            if listener is not None:
                listeners.append(listener)
    except OSError:
        for each in listeners:
            each.sock.close()
        raise
    return listeners


def _listen(address: str, port: int, optional: bool) -> Listener | None:
    """None when the machine has no IPv6 and the address is one that may be missing. Raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    except OSError as error:
        if optional and error.errno == errno.EAFNOSUPPORT:
            return None
        raise
    try:
        _options(sock, family)
        sock.bind((address, port))
    except OSError as error:
        sock.close()
        if optional and error.errno == errno.EADDRNOTAVAIL:
            return None
        raise OSError(error.errno, f"UDP port {port} on {address}: {error.strerror}") from error
    number = sock.getsockname()[1]
    return Listener(sock, address, PortSocket(sock.fileno(), family, number, number != 500))


def _options(sock: socket.socket, family: int) -> None:
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_PKTINFO", 8), 1)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, option, BUFFER)

"""Sockets inside a tunnel, as asyncio has them outside: streams, servers, datagrams, and local ports that lead in."""

from __future__ import annotations

import asyncio
import errno
import ssl as tls
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from fynx.api.runtime import raised
from fynx.api.streams import Tap
from fynx.faults import InvalidParameter, InvalidState
from fynx.plugin.dataplane import Selector
from fynx.plugin.planes import FlatPlane

if TYPE_CHECKING:
    from fynx.net.forward import Forwarder, Place
    from fynx.net.stack import IP, Stack
    from fynx.net.tcp import TcpServer

LIMIT = 1 << 16
Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None]
Factory = Callable[[], asyncio.BaseProtocol]


class Sockets:
    """For tunnels: the first use gives the tunnel a TCP/IP stack of its own, in this process and without privileges.

    From then on its packets go to the stack: ``recv_packet`` raises ``InvalidState``. Wants Debian's ``liblwip0``.
    """

    _net: Stack | None = None

    def attach(self, *addresses: str, mtu: int | None = None) -> None:
        """Gives the tunnel its stack now, with these inner addresses of ours (at most one of each family).

        Needed only where they do not follow from the tunnel: when our side of it is a whole network. Raises
        ``InvalidState`` when the tunnel is not up or its packets are being read by the program, ``InvalidParameter``
        for addresses that are not the tunnel's or that another tunnel of the process has, ``Io`` without lwIP.
        """
        raise NotImplementedError

    def _stack(self) -> Stack:
        if self._net is None or self._net.closed:
            self.attach()
        assert self._net is not None
        return self._net

    async def open_connection(
        self,
        host: str,
        port: int,
        *,
        limit: int = LIMIT,
        ssl: tls.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """As ``asyncio.open_connection``, through the tunnel. Names are looked up by the system, outside of it.

        Raises ``OSError`` as a socket would: ``ConnectionRefusedError``, ``TimeoutError``.
        """
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=limit, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await self.create_connection(lambda: protocol, host, port)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        if ssl is not None:
            await writer.start_tls(ssl, server_hostname=server_hostname or host)
        return reader, writer

    async def create_connection(
        self, factory: Factory, host: str, port: int
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """As the loop's method of this name."""
        from fynx.net import tcp

        stack, failed = self._stack(), OSError(errno.EHOSTUNREACH, f"{host} has no address of this tunnel's family")
        for address in await resolved(stack, host):
            try:
                return await tcp.connect(stack, address, port, factory)
            except OSError as error:
                failed = error
        raise failed

    async def start_server(self, connected: Connected, port: int = 0, *, limit: int = LIMIT) -> TcpServer:
        """As ``asyncio.start_server``, on our inner address (the IPv6 one where there are both)."""
        from fynx.net import tcp

        stack, loop = self._stack(), asyncio.get_running_loop()

        def factory() -> asyncio.StreamReaderProtocol:
            reader = asyncio.StreamReader(limit=limit, loop=loop)
            return asyncio.StreamReaderProtocol(reader, connected, loop=loop)

        return tcp.listen(stack, port, factory, version=max(stack.local))

    async def create_datagram_endpoint(
        self,
        factory: Callable[[], asyncio.DatagramProtocol],
        *,
        port: int = 0,
        remote: tuple[str, int] | None = None,
    ) -> tuple[asyncio.DatagramTransport, asyncio.DatagramProtocol]:
        """A UDP port inside the tunnel; with ``remote`` it talks to that alone, and datagrams need no address."""
        from fynx.net import udp

        stack, protocol, target = self._stack(), factory(), None
        if remote is not None:
            target = ((await resolved(stack, remote[0]))[0], remote[1])
        version = target[0].version if target else max(stack.local)
        return udp.open_port(stack, protocol, version, port, target), protocol

    async def forward(self, listen: Place, target: Place) -> Forwarder:
        """A local port, whose connections go through the tunnel to ``target``. Raises ``Io``."""
        from fynx.net import forward

        made = forward.forward(self.open_connection, target)
        await made.listen(listen)
        return made

    async def socks(self, listen: Place) -> Forwarder:
        """A local SOCKS5 proxy into the tunnel. Whoever reaches the port may use it. Raises ``Io``."""
        from fynx.net import forward

        made = forward.socks(self.open_connection)
        await made.listen(listen)
        return made

    def _detach(self, why: str) -> None:
        if self._net is not None:
            self._net.close(ConnectionAbortedError(errno.ECONNABORTED, why))


def attached(tap: Tap, plane: object, selectors: Iterable[Selector], wanted: Wanted) -> Stack:
    """A stack on a plane whose packets ``tap`` took so far."""
    from fynx.net.stack import MTU, Stack

    if not isinstance(plane, FlatPlane):
        raise InvalidState("this data plane has no packets for a TCP/IP stack (host.plane: {inproc: {}} has)")
    if tap.waited_for:
        raise InvalidState("a task of this program waits for the tunnel's packets")
    made = Stack(plane, inner_addresses(selectors, wanted.addresses), wanted.mtu or MTU)
    tap.leave(raised(InvalidState, "the tunnel's packets go to its TCP/IP stack"))
    return made


@dataclass(frozen=True, slots=True)
class Wanted:
    """What ``attach`` was given."""

    addresses: tuple[str, ...] = ()
    mtu: int | None = None


async def resolved(stack: Stack, host: str) -> list[IP]:
    """Addresses of the tunnel's families. Raises ``OSError`` (``gaierror``), ``InvalidParameter``."""
    try:
        found = [ip_address(host)]
    except ValueError:
        infos = await asyncio.get_running_loop().getaddrinfo(host, None, type=1)
        found = list(dict.fromkeys(ip_address(str(info[4][0]).partition("%")[0]) for info in infos))
    fitting = [each for each in found if each.version in stack.local]
    if not fitting:
        raise OSError(errno.ENETUNREACH, f"{host} has no address of a family that the tunnel carries")
    if any(each.is_multicast or each.is_unspecified or each.is_link_local for each in fitting):
        raise InvalidParameter(f"{host} is not one host")
    if any(stack.ours(each) for each in fitting):
        raise InvalidParameter(f"{host} is our own end of a tunnel of this process")
    return fitting


def inner_addresses(selectors: Iterable[Selector], wanted: Iterable[str]) -> list[str]:
    """Ours by the tunnel's selectors, or those ``wanted``, which must be among them. Raises ``InvalidParameter``."""
    ranges = list(selectors)
    given = [ip_address(each) for each in wanted]
    for each in given:
        if not any(len(one.start) == len(each.packed) and one.start <= each.packed <= one.end for one in ranges):
            raise InvalidParameter(f"{each} is none of our addresses in this tunnel")
    if given:
        return [str(each) for each in given]
    single = {len(one.start): one.start for one in reversed(ranges) if one.start == one.end}
    if not single:
        raise InvalidParameter(
            "our side of the tunnel is a network", remedy="name the address of ours to use: attach(address)"
        )
    return [str(ip_address(each)) for each in single.values()]

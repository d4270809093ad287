"""UDP ports of a stack as asyncio datagram transports."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from typing import Any

from fynx.faults import InvalidParameter
from fynx.net._lwip import ffi, lib
from fynx.net.library import failure
from fynx.net.stack import IP, Stack
from fynx.net.tcp import ephemeral, named

LARGEST = 65507
Target = tuple[IP, int]


class UdpTransport(asyncio.DatagramTransport):
    """Made by ``open_port``. With a ``remote`` only its datagrams come in."""

    def __init__(self, stack: Stack, end: Any, protocol: asyncio.DatagramProtocol, remote: Target | None) -> None:
        super().__init__()
        self._stack, self._end, self._number = stack, end, stack.add(end, self)
        self._protocol, self._remote = protocol, remote
        self._room = bytearray(LARGEST + 1)
        protocol.connection_made(self)

    def happened(self, what: int, error: int) -> None:  # noqa: ARG002  UDP has no errors here
        address, port = ffi.new("uint8_t[16]"), ffi.new("uint16_t *")
        while self._end is not None:
            size = lib.fynx_udp_take(self._end, ffi.from_buffer(self._room), len(self._room), address, port)
            if size < 0:
                return
            version = self._version
            found = ip_address(bytes(ffi.buffer(address, 16 if version == 6 else 4)))
            if self._remote is None or self._remote == (found, port[0]):
                self._protocol.datagram_received(bytes(self._room[:size]), (str(found), port[0]))

    def cut(self, why: Exception) -> None:
        self._lost(why)

    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        """Raises ``InvalidParameter`` for a datagram too long, or for an address that is none."""
        if self._end is None:
            return
        target = self._remote if addr is None else (ip_address(addr[0]), int(addr[1]))
        if target is None or target[0].version != self._version or len(data) > LARGEST:
            raise InvalidParameter("a datagram goes to an address of the port's family, and has at most 65507 octets")
        code = lib.fynx_udp_send(self._end, target[0].packed, target[1], bytes(data), len(data))
        self._stack.flush()
        if code:
            self._protocol.error_received(failure(code))

    @property
    def _version(self) -> int:
        name = named(self._end, remote=False)
        return ip_address(name[0]).version if name else 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return named(self._end, remote=False) if name == "sockname" and self._end is not None else default

    def is_closing(self) -> bool:
        return self._end is None

    def close(self) -> None:
        if self._end is not None:
            self._drop()
            self._stack.loop.call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def _lost(self, why: Exception | None) -> None:
        if self._end is not None:
            self._drop()
            self._protocol.connection_lost(why)

    def _drop(self) -> None:
        end, self._end = self._end, None
        if not self._stack.closed:
            self._stack.remove(self._number, end, graceful=True)


def open_port(
    stack: Stack, protocol: asyncio.DatagramProtocol, version: int, port: int, remote: Target | None
) -> UdpTransport:
    """``port`` 0 chooses one. Raises ``OSError``."""
    return UdpTransport(stack, stack.datagrams(version, port or ephemeral()), protocol, remote)

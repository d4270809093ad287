"""Many routes in few system calls: rtnetlink(7) messages made by hand, for pyroute2 takes a millisecond for each."""

from __future__ import annotations

import itertools
import os
import socket
import struct
from collections.abc import Container, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network

from fynx_plugins.tun.plan import Kind, Route

HEADER, ROUTE, ERROR = struct.Struct("=IHHII"), struct.Struct("=8BI"), struct.Struct("=i")
NEWROUTE, DELROUTE, GETROUTE, NLMSG_ERROR, NLMSG_DONE = 24, 25, 26, 2, 3
REQUEST, ACK, EXCL, CREATE, DUMP = 0x1, 0x4, 0x200, 0x400, 0x300
DST, OIF, PRIORITY, PREFSRC, TABLE = 1, 4, 6, 7, 15
"""Attributes of a route."""
IN_AN_ATTRIBUTE = 252
"""RT_TABLE_COMPAT: the number of the table stands in an attribute, which has room for it."""
UNIVERSE = 0
TYPES: dict[Kind, int] = {"device": 1, "unreachable": 7, "throw": 9}
AT_ONCE = 64
WAIT_S = 10.0


class RouteSocket:
    """One netlink socket; each message is answered. ``protocol`` and ``metric`` mark the routes as ours."""

    def __init__(self, protocol: int, metric: dict[Kind, int]) -> None:
        self._protocol, self._metric = protocol, metric
        self._numbers = itertools.count(1)
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._socket.bind((0, 0))
        self._socket.settimeout(WAIT_S)

    def close(self) -> None:
        self._socket.close()

    def add(self, table: int, device: int, routes: Sequence[Route], tolerated: Container[int]) -> None:
        """Raises OSError when the kernel refuses one for another reason than those tolerated."""
        self._each(
            NEWROUTE, REQUEST | ACK | CREATE | EXCL, [self._body(table, device, one) for one in routes], tolerated
        )

    def drop(self, table: int, device: int, routes: Sequence[Route], tolerated: Container[int]) -> None:
        self._each(DELROUTE, REQUEST | ACK, [self._body(table, device, one) for one in routes], tolerated)

    def found(self, table: int) -> Iterator[Route]:
        """Routes with our mark that a table holds; those into a device carry no source here."""
        kinds = {number: kind for kind, number in TYPES.items()}
        for family in (socket.AF_INET, socket.AF_INET6):
            for fields, attributes in self._dump(family):
                ours = fields[5] == self._protocol and attributes.get(TABLE) == struct.pack("=I", table)
                if ours and fields[7] in kinds:
                    yield Route(kinds[fields[7]], _network(family, attributes.get(DST, b""), fields[1]))

    def _dump(self, family: int) -> Iterator[tuple[tuple[int, ...], dict[int, bytes]]]:
        number = next(self._numbers) & 0xFFFF_FFFF
        body = ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
        self._socket.send(HEADER.pack(HEADER.size + len(body), GETROUTE, REQUEST | DUMP, number, 0) + body)
        while True:
            data, at = self._socket.recv(1 << 18), 0
            while at < len(data):
                length, kind, _flags, answered, _process = HEADER.unpack_from(data, at)
                if answered == number and kind == NLMSG_DONE:
                    return
                if answered == number and kind == NLMSG_ERROR:
                    code = -ERROR.unpack_from(data, at + HEADER.size)[0]
                    raise OSError(code, f"netlink: {os.strerror(code)}")
                if answered == number and kind == NEWROUTE:
                    start = at + HEADER.size
                    yield ROUTE.unpack_from(data, start), _attributes(data[start + ROUTE.size : at + length])
                at += (length + 3) // 4 * 4

    def _body(self, table: int, device: int, route: Route) -> bytes:
        network = route.network
        family = socket.AF_INET if network.version == 4 else socket.AF_INET6
        fixed = (family, network.prefixlen, 0, 0, IN_AN_ATTRIBUTE, self._protocol, UNIVERSE, TYPES[route.kind], 0)
        found = [ROUTE.pack(*fixed), _number(TABLE, table), _number(PRIORITY, self._metric[route.kind])]
        if network.prefixlen:
            found.append(_attribute(DST, network.network_address.packed))
        if route.kind == "device":
            found.append(_number(OIF, device))
            if route.source:
                found.append(_attribute(PREFSRC, socket.inet_pton(family, route.source)))
        return b"".join(found)

    def _each(self, kind: int, flags: int, bodies: Sequence[bytes], tolerated: Container[int]) -> None:
        refused = 0
        for first in range(0, len(bodies), AT_ONCE):
            batch = bodies[first : first + AT_ONCE]
            waiting = set()
            messages = []
            for body in batch:
                number = next(self._numbers) & 0xFFFF_FFFF
                waiting.add(number)
                messages.append(HEADER.pack(HEADER.size + len(body), kind, flags, number, 0) + body)
            self._socket.send(b"".join(messages))
            while waiting:
                number, code = self._answer()
                if number in waiting:
                    waiting.remove(number)
                    refused = refused or (0 if code in tolerated else code)
        if refused:
            raise OSError(refused, f"netlink: {os.strerror(refused)}")

    def _answer(self) -> tuple[int, int]:
        """The number of the message that is answered, and the error: 0 when it was carried out."""
        data = self._socket.recv(65536)
        _length, kind, _flags, number, _process = HEADER.unpack_from(data)
        return (number, -ERROR.unpack_from(data, HEADER.size)[0]) if kind == NLMSG_ERROR else (0, 0)


def _number(kind: int, value: int) -> bytes:
    return struct.pack("=HHI", 8, kind, value)


def _network(family: int, packed: bytes, length: int) -> IPv4Network | IPv6Network:
    return (
        IPv4Network((packed or bytes(4), length))
        if family == socket.AF_INET
        else IPv6Network((packed or bytes(16), length))
    )


def _attributes(data: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        found[kind] = data[at + 4 : at + length]
        at += max((length + 3) // 4 * 4, 4)
    return found


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value

"""Between the types of ``fynx.plugin`` and the structures of ``cext/api.h``: addresses, paths, selectors, upcalls."""

from __future__ import annotations

import hashlib
import ipaddress
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fynx.errors import FynxError
from fynx.esp._plane import ffi
from fynx.plugin.dataplane import (
    Acquire,
    Expire,
    IkeArrived,
    PathSeen,
    Sealed,
    Selector,
    UnknownSpi,
    Upcall,
    WorkerEnded,
)
from fynx.plugin.transport import Path

MOST = 4096
"""Addresses that are remembered in either form."""
MAPPED = bytes(10) + b"\xff\xff"
RECORD = struct.Struct("=IIQII16sHH16sHHIBBHII")
"""``struct fynx_upcall``."""
ACQUIRE, EXPIRE, PATH, IKE, SPI, SEALED, WORKER = range(1, 8)


class Addresses:
    """Addresses as 16 octets and back. Names of a transport that knows no IP addresses get a digest instead."""

    def __init__(self) -> None:
        self._names: dict[bytes, str] = {}
        self._packed: dict[str, bytes] = {}
        self._shown: dict[bytes, str] = {}

    def pack(self, text: str) -> bytes:
        packed = self._packed.get(text)
        if packed is None:
            if len(self._packed) > MOST:
                self._packed.clear()
            packed = self._packed[text] = self._pack(text)
        return packed

    def _pack(self, text: str) -> bytes:
        if not text:
            return bytes(16)
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            digest = hashlib.blake2s(text.encode(), digest_size=16).digest()
            self._names[digest] = text
            self._shown.pop(digest, None)
            return digest
        return MAPPED + address.packed if address.version == 4 else address.packed

    def show(self, packed: bytes) -> str:
        text = self._shown.get(packed)
        if text is None:
            if len(self._shown) > MOST:
                self._shown.clear()
            text = self._shown[packed] = self._show(packed)
        return text

    def _show(self, packed: bytes) -> str:
        if packed in self._names:
            return self._names[packed]
        if packed == bytes(16):
            return ""
        if packed.startswith(MAPPED):
            return str(ipaddress.IPv4Address(packed[12:]))
        return str(ipaddress.IPv6Address(packed))

    def path(self, path: Path) -> Any:
        """A new ``struct fynx_path *``."""
        return ffi.new(
            "struct fynx_path *",
            {
                "local": {"ip": self.pack(path.local), "port": path.local_port},
                "remote": {"ip": self.pack(path.remote), "port": path.remote_port},
            },
        )


def selectors(given: Sequence[Selector]) -> object:
    """A new array of ``struct fynx_selector``. Raises ``FynxError`` for a selector that makes no sense."""
    return ffi.new("struct fynx_selector[]", [_selector(each) for each in given])


def _selector(given: Selector) -> dict[str, object]:
    if len(given.start) not in (4, 16) or len(given.start) != len(given.end) or given.start > given.end:
        raise FynxError("a traffic selector with addresses out of order, or of mixed families")
    if not 0 <= given.start_port <= given.end_port <= 65535 or not 0 <= given.protocol <= 255:
        raise FynxError("a traffic selector with ports out of order")
    return {
        "start": given.start.ljust(16, b"\0"),
        "end": given.end.ljust(16, b"\0"),
        "start_port": given.start_port,
        "end_port": given.end_port,
        "protocol": given.protocol,
        "family": 4 if len(given.start) == 4 else 6,
    }


def upcalls(data: memoryview, addresses: Addresses, names: Mapping[int, tuple[str, str]]) -> Iterator[Upcall]:
    """The records that ``fynx_plane_drain`` wrote; ``names`` gives (peer, child) of a tag."""
    at = 0
    while at < len(data):
        fields = RECORD.unpack_from(data, at)
        size, kind = fields[0], fields[1]
        made = READERS[kind](fields, bytes(data[at + RECORD.size : at + RECORD.size + fields[-2]]), addresses, names)
        if made is not None:
            yield made
        at += (size + 7) // 8 * 8


Fields = tuple[int, int, int, int, int, bytes, int, int, bytes, int, int, int, int, int, int, int, int]
Names = Mapping[int, tuple[str, str]]


def _path(fields: Fields, addresses: Addresses) -> Path:
    return Path(addresses.show(fields[5]), fields[6], addresses.show(fields[8]), fields[9])


def _acquire(fields: Fields, data: bytes, addresses: Addresses, names: Names) -> Upcall | None:  # noqa: ARG001
    if fields[4] not in names:
        return None  # the policy went while the record lay in the ring
    peer, child = names[fields[4]]
    with_ports = bool(fields[11])
    cut = 12 if fields[13] == 4 else 0
    ends = []
    for address, port in ((fields[5], fields[6]), (fields[8], fields[9])):
        packed = address[cut:]
        ports = (port, port) if with_ports else (0, 65535)
        ends.append(Selector(packed, packed, fields[12], *ports))
    return Acquire(peer, child, ends[0], ends[1])


def _expire(fields: Fields, data: bytes, addresses: Addresses, names: Names) -> Upcall:  # noqa: ARG001
    return Expire(fields[2], bool(fields[11]), "sequence")


def _path_seen(fields: Fields, data: bytes, addresses: Addresses, names: Names) -> Upcall:  # noqa: ARG001
    return PathSeen(fields[2], _path(fields, addresses))


def _ike(fields: Fields, data: bytes, addresses: Addresses, names: Names) -> Upcall:  # noqa: ARG001
    return IkeArrived(_path(fields, addresses), data)


def _unknown_spi(fields: Fields, data: bytes, addresses: Addresses, names: Names) -> Upcall:  # noqa: ARG001
    return UnknownSpi(_path(fields, addresses), fields[3])


def _sealed(fields: Fields, data: bytes, addresses: Addresses, names: Names) -> Upcall:  # noqa: ARG001
    return Sealed(_path(fields, addresses), data)


def _worker(fields: Fields, data: bytes, addresses: Addresses, names: Names) -> Upcall:  # noqa: ARG001
    return WorkerEnded(fields[4], "in" if fields[11] else "out")


READERS: Mapping[int, Callable[[Fields, bytes, Addresses, Names], Upcall | None]] = {
    ACQUIRE: _acquire,
    EXPIRE: _expire,
    PATH: _path_seen,
    IKE: _ike,
    SPI: _unknown_spi,
    SEALED: _sealed,
    WORKER: _worker,
}

__all__ = ["Addresses", "selectors", "upcalls"]

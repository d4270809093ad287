"""A network address and port translator: one outside address, mappings made by what goes out (RFC 4787)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

Address = tuple[str, int]
"""Host address as text, and UDP port."""

FIRST_PORT = 20000


class Nat:
    """Maps every inside (address, port) to a port of its own, the same for all destinations.

    What comes in is let through only from an address and port that the mapping has sent to, unless ``open_to_all``.
    """

    def __init__(self, outside: str, inside: Iterable[str], *, open_to_all: bool = False) -> None:
        self.outside, self.inside = outside, tuple(inside)
        self.open_to_all = open_to_all
        self._ports = count(FIRST_PORT)
        self._out: dict[Address, int] = {}
        self._in: dict[int, Address] = {}
        self._sent_to: dict[tuple[int, Address], bool] = {}
        self._forwarded: dict[int, bool] = {}

    def forward(self, port: int, inside: Address) -> None:
        """A static mapping, open to all, that survives ``rebind``."""
        self._in[port], self._out[inside], self._forwarded[port] = inside, port, True

    def rebind(self) -> None:
        """Forgets every dynamic mapping, as after a restart: what goes out next has another port."""
        for port in [port for port in self._in if port not in self._forwarded]:
            del self._out[self._in.pop(port)]

    def outward(self, source: Address, destination: Address) -> Address:
        """The source that the outside sees."""
        port = self._out.get(source)
        if port is None:
            port = self._out[source] = next(self._ports)
            self._in[port] = source
        self._sent_to[port, destination] = True
        return self.outside, port

    def inward(self, source: Address, port: int) -> Address | None:
        """Where a datagram to ``port`` of the outside address goes; None: dropped."""
        inside = self._in.get(port)
        if inside is None:
            return None
        known = self.open_to_all or port in self._forwarded or (port, source) in self._sent_to
        return inside if known else None

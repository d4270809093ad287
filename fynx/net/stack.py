"""One tunnel's interface of the stack: packets between lwIP and the data plane in batches, timers, events to owners."""

from __future__ import annotations

import array
import asyncio
import logging
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Protocol, runtime_checkable

from fynx.faults import InvalidParameter
from fynx.net._lwip import ffi, lib
from fynx.net.library import failure, load
from fynx.plugin.planes import FlatPlane

log = logging.getLogger("fynx.api")

IP = IPv4Address | IPv6Address
MTU, SMALLEST_MTU, LARGEST_MTU = 1400, 1280, 65000
"""The default fits through ESP in UDP on a path of 1500 octets."""
ROOM, BATCH, EVENTS = 1 << 20, 256, 128
BUSY_S, IDLE_S = 0.25, 1.0
ENDED = "the tunnel is closed"
FIRST_PORT, LAST_PORT, TRIES = 49152, 65535, 16
COUNTERS = ("packets_in", "packets_out", "not_ours", "own_source", "unsendable", "full", "datagrams_lost")


class Owner(Protocol):
    """Who hears of an end's events: bits of ``FYNX_NET_*`` and lwIP's error."""

    def happened(self, what: int, error: int) -> None: ...

    def cut(self, why: Exception) -> None:
        """The tunnel is going; the end is still there."""
        ...


@runtime_checkable
class Listener(Protocol):
    """An owner whose end brings forth others."""

    def accepted(self, end: Any) -> None: ...


class Stack:
    """Made in the loop that uses it. ``addresses`` are the tunnel's inner ones, at most one of each family.

    Raises ``InvalidParameter`` for an address that another tunnel of this process has, ``Io`` without lwIP.
    """

    def __init__(self, plane: FlatPlane, addresses: Iterable[str], mtu: int = MTU) -> None:
        load()
        given = [ip_address(each) for each in addresses]
        self.local: dict[int, IP] = {each.version: each for each in given}
        if not given or len(self.local) != len(given) or not SMALLEST_MTU <= mtu <= LARGEST_MTU:
            raise InvalidParameter(
                "a tunnel's stack has one inner address, or one of each family, and an mtu from 1280"
            )
        packed = [self.local[version].packed if version in self.local else ffi.NULL for version in (4, 6)]
        self._net = lib.fynx_net_new(*packed, mtu)
        if self._net == ffi.NULL:
            raise InvalidParameter(
                f"another tunnel of this process has the inner address {' or '.join(map(str, given))}"
            )
        self._plane, self._loop = plane, asyncio.get_running_loop()
        self._owners: dict[int, Owner] = {}
        self._room, self._out = bytearray(ROOM), bytearray(ROOM)
        self._lengths = array.array("I", bytes(4 * BATCH))
        self._events = ffi.new("struct fynx_net_event[]", EVENTS)
        self._timer: asyncio.TimerHandle | None = None
        self._fd: int = lib.fynx_net_fd(self._net)
        self._loop.add_reader(self._fd, self._woken)
        plane.on_inner(self._readable)
        self._tick()

    @property
    def closed(self) -> bool:
        return self._net is None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def ours(self, address: IP) -> bool:
        """Whether some tunnel of this process has it: they do not reach each other."""
        return bool(lib.fynx_net_own(address.packed, address.version))

    def counters(self) -> dict[str, int]:
        found = ffi.new("struct fynx_net_counters *")
        if self._net is not None:
            lib.fynx_net_count(self._net, found)
        return {name: int(getattr(found, name)) for name in COUNTERS}

    def connect(self, address: IP, port: int, local_port: int) -> Any:
        """The end of a connection under way. Raises ``OSError``."""
        error = ffi.new("int *")
        end = lib.fynx_tcp_connect(self._standing(), address.version, address.packed, port, local_port, error)
        return self._made(end, error[0])

    def listen(self, version: int, port: int, backlog: int) -> Any:
        """Raises ``OSError``."""
        error = ffi.new("int *")
        return self._made(lib.fynx_tcp_listen(self._standing(), version, port, min(backlog, 255), error), error[0])

    def datagrams(self, version: int, port: int) -> Any:
        """Raises ``OSError``."""
        error = ffi.new("int *")
        return self._made(lib.fynx_udp_open(self._standing(), version, port, error), error[0])

    def add(self, end: Any, owner: Owner) -> int:
        """``owner`` hears of this end from now on, until ``remove``."""
        number = int(lib.fynx_end_id(end))
        self._owners[number] = owner
        self._arm(BUSY_S)
        return number

    def remove(self, number: int, end: Any, *, graceful: bool) -> None:
        """The end is no more."""
        del self._owners[number]
        (lib.fynx_end_close if graceful else lib.fynx_end_abort)(end)
        self.flush()

    def flush(self) -> None:
        """Gives the plane what lwIP wants to send."""
        while self._net is not None:
            pointer = ffi.from_buffer("uint32_t[]", self._lengths)
            count = lib.fynx_net_output(self._net, ffi.from_buffer(self._out), ROOM, pointer, BATCH)
            if not count:
                return
            self._plane.send_flat(self._out, self._lengths, count)

    def close(self, why: Exception) -> None:
        """Every connection ends with ``why`` (RST to the other end); idempotent. Before the plane closes."""
        if self._net is None:
            return
        for owner in tuple(self._owners.values()):
            owner.cut(why)
        self.flush()
        net, self._net = self._net, None
        if self._timer is not None:
            self._timer.cancel()
        if not self._loop.is_closed():
            self._loop.remove_reader(self._fd)
            self._plane.on_inner(None)
        lib.fynx_net_free(net)

    def _standing(self) -> Any:
        if self._net is None:
            raise ConnectionAbortedError(ENDED)
        return self._net

    def _made(self, end: Any, error: int) -> Any:
        if end == ffi.NULL:
            raise failure(error)
        self.flush()
        return end

    def _readable(self) -> None:
        """The plane has packets."""
        if self._net is None:
            return
        size = self._plane.recv_flat(self._room, BATCH)
        lib.fynx_net_input(self._net, ffi.from_buffer(self._room), size)
        self.flush()
        self._dispatch()

    def _woken(self) -> None:
        """Another thread's call made packets or events for us."""
        self.flush()
        self._dispatch()

    def _tick(self) -> None:
        if self._net is None:
            return
        self._timer = None
        wait_s = lib.fynx_net_tick(self._net) / 1000
        self.flush()
        self._dispatch()
        self._arm(min(wait_s, BUSY_S if self._owners else IDLE_S))

    def _arm(self, wait_s: float) -> None:
        if self._net is None:
            return
        when = self._loop.time() + wait_s
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._tick)

    def _dispatch(self) -> None:
        while self._net is not None:
            count = lib.fynx_net_events(self._net, self._events, EVENTS)
            found = [(each.end, each.id, each.parent, each.what, each.error) for each in self._events[0:count]]
            for end, number, parent, what, error in found:
                self._tell(end, number, parent, what, error)
            if count < EVENTS:
                break
        self.flush()

    def _tell(self, end: Any, number: int, parent: int, what: int, error: int) -> None:
        try:
            if what & lib.FYNX_NET_ACCEPTED and self._net is not None:
                listener = self._owners.get(parent)
                if not isinstance(listener, Listener):
                    lib.fynx_end_abort(end)
                    return
                listener.accepted(end)
            owner = self._owners.get(number)
            if owner is not None:
                owner.happened(what, error)
        except Exception:
            log.exception("a protocol inside the tunnel failed")


__all__ = ["MTU", "Owner", "Stack"]

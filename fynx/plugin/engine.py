"""The face of the C engine for data-plane plugins: handles, batches, counters. Nothing here is called per packet."""

from __future__ import annotations

import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from fynx.plugin.crypto import Algorithms, Provider
from fynx.plugin.dataplane import ChildSpec, Policy, Upcall, Usage
from fynx.plugin.transport import Path

Switch = Literal["auto", "off"]
"""``auto``: used where the kernel has it."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What the engine's threads may use.

    ``vnet``: frames of many packets from and to the TUN device (``force``: the descriptor carries virtio-net headers
    whatever it is); ``uso``: of UDP too. ``gso`` and ``gro``: datagrams sent and received in batches. ``spin_us``:
    a thread looks again for so long before it sleeps, which costs a processor. ``cpus``: threads are bound to them in
    turn.
    """

    vnet: Literal["auto", "off", "force"] = "auto"
    uso: Switch = "auto"
    gso: Switch = "auto"
    gro: Switch = "auto"
    spin_us: int = 0
    cpus: tuple[int, ...] = ()


class Engine(Protocol):
    """One SA table, one policy database, and the threads that serve them. Made by ``PlaneContext.engine(providers=…)``.

    Order of use: add sockets and devices, ``start``, install and remove at will, ``stop``.
    """

    event_fd: int
    """Readable when ``drain`` has something."""
    inner_fd: int
    """Readable when ``recv_inner`` has something (in-process mode), else -1."""

    def configure(self, options: EngineOptions) -> None:
        """Before any socket or device is added. Raises ``StateError`` later."""
        ...

    def add_socket(self, fd: int, family: int, local_port: int) -> int:
        """A UDP socket for ESP (RFC 3948) and IKE behind the non-ESP marker; the engine duplicates nothing and
        closes nothing."""
        ...

    def add_raw(self, fd: int, family: int) -> int:
        """A raw socket of IP protocol 50, for ESP on paths whose ports are 0."""
        ...

    def add_tun(self, fd: int, mtu: int) -> int: ...

    def start(self) -> None: ...

    def stop(self) -> None:
        """Joins the threads; idempotent."""
        ...

    def restart_worker(self, number: int) -> None:
        """Both threads of a worker, counted from 1, begin anew; the others go on, and nothing is lost. Raises
        ``StateError`` for a number that no worker has, or when a thread does not end."""
        ...

    def reserve_spi(self) -> int: ...

    def release_spi(self, spi: int) -> None: ...

    def install(self, child: ChildSpec) -> None: ...

    def activate(self, handle: int) -> None: ...

    def move(self, handle: int, path: Path, encap: bool) -> None: ...

    def remove(self, handle: int) -> None: ...

    def usage(self, handle: int) -> Usage: ...

    def policies(self, policies: Sequence[Policy]) -> None: ...

    def own_addresses(self, addresses: Sequence[bytes]) -> None:
        """Addresses of this host, packed: an inner source among them is refused (RFC 4301 section 5.2)."""
        ...

    def drain(self) -> Sequence[Upcall]: ...

    def send_inner(self, packets: Sequence[bytes]) -> Sequence[tuple[Path, bytes]]:
        """Seals a batch (one crossing). With sockets attached the engine sends and returns nothing; else returns
        what to send."""
        ...

    def dummies(self, handle: int, count: int, size: int) -> Sequence[tuple[Path, bytes]]:
        """Packets that the peer drops unseen (RFC 4303 section 2.6); returned or sent like ``send_inner``."""
        ...

    def receive_outer(self, path: Path, packets: Sequence[bytes]) -> None:
        """Opens a batch of ESP packets from a transport that is no socket; results come by ``recv_inner``."""
        ...

    def recv_inner(self, limit: int = 256) -> Sequence[bytes]: ...

    def send_flat(self, data: bytearray, lengths: array.array[int], count: int) -> Sequence[tuple[Path, bytes]]:
        """As ``send_inner``: ``count`` packets that lie end to end in ``data``."""
        ...

    def recv_flat(self, room: bytearray, limit: int = 256) -> int:
        """As ``recv_inner``, into ``room``: for each packet 4 octets of length in host order, then the packet padded
        to 4. Returns the octets used."""
        ...

    def match(self, packet: bytes) -> str:
        """What the policy database would do with an outbound inner packet: ``protect``, ``bypass``, ``discard``,
        ``none``."""
        ...

    def status(self) -> Mapping[str, object]: ...

    def counters(self) -> Mapping[str, int]:
        """Sums over SAs and workers, drops by name."""
        ...


class MakeEngine(Protocol):
    def __call__(
        self,
        *,
        providers: Sequence[Provider],
        inproc: bool = False,
        capacity: int = 4096,
        algorithms: Algorithms | None = None,
    ) -> Engine:
        """``algorithms``: what no provider has runs through them, slowly; without them it is refused."""
        ...


__all__ = ["Engine", "EngineOptions", "MakeEngine", "Switch"]

"""A session: one client of a server, from its handshake until either side ends it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from fynx.api import liveness
from fynx.api.runtime import Runtime, raised
from fynx.api.streams import BATCH, Mailbox, as_batch
from fynx.events import IkeDown
from fynx.faults import Internal, InvalidParameter, InvalidState
from fynx.ike.child import ChildSa
from fynx.ike.effects import Terminate
from fynx.ike.sa import IkeSa
from fynx.plugin.dataplane import Selector

if TYPE_CHECKING:
    from fynx.api.server import IpsecServer

QUEUE = 8192
"""Packets kept for a session whose program does not take them; then the oldest go."""
GOODBYE_S = 2.0
V4 = 4
LARGEST = 1024


class IpsecSession:
    """Made by ``IpsecServer.accept``. Packets are whole IP packets; only the client's own inner addresses are sent
    to."""

    def __init__(self, server: IpsecServer, runtime: Runtime, sa: IkeSa) -> None:
        self._server, self._runtime, self._ike = server, runtime, sa
        self._inbox: Mailbox[bytes] = Mailbox(QUEUE)
        self._down = ""
        self.known: tuple[Selector, ...] = ()
        """Inner addresses of all children so far: packets that came before the end find their session after it."""

    def __repr__(self) -> str:
        return f"IpsecSession({self.peer_id!r} at {self._ike.path.remote}, {self._down or 'up'})"

    def peer_addr(self) -> tuple[str, int]:
        return self._ike.path.remote, self._ike.path.remote_port

    @property
    def peer_id(self) -> str:
        """The identity that the client proved."""
        return str(self._ike.remote_id or "")

    @property
    def addresses(self) -> tuple[Selector, ...]:
        """The client's inner addresses."""
        return tuple(dict.fromkeys(one for child in self._children() for one in child.remote_ts))

    @property
    def closed(self) -> bool:
        return bool(self._down)

    @property
    def lost(self) -> int:
        """Packets that went because nobody took them in time."""
        return self._inbox.lost

    def child_sa_count(self) -> int:
        """0 after the end."""
        return len(self._children())

    def child_spis(self) -> list[int]:
        """Outbound SPIs."""
        return [child.spi_out for child in self._children()]

    async def send_packet(self, packet: bytes) -> None:
        """Raises ``InvalidState`` when closed, ``Internal`` without a Child SA, ``InvalidParameter`` for a packet that
        does not go to this client."""
        self._send((packet,))

    async def send_batch(self, packets: Sequence[bytes]) -> None:
        """Many packets in one crossing of the C border; all or, when one is not for this client, none."""
        self._send(as_batch(packets))

    def _send(self, packets: Sequence[bytes]) -> None:
        self._open()
        selectors = self.addresses
        if not selectors:
            raise Internal("the session has no Child SA")
        ours = {one.start for one in selectors if one.start == one.end}
        for packet in packets:
            target = destination(packet)
            if target not in ours and not within(target, selectors):
                raise InvalidParameter(f"a packet does not go to {self.peer_id or 'this client'}")
        for at in range(0, len(packets), BATCH):
            self._runtime.plane.send_inner(packets[at : at + BATCH])

    async def recv_packet(self) -> bytes:
        """Raises ``InvalidState`` once the session is over and all that came was taken."""
        return await self._inbox.one()

    async def recv_batch(self, limit: int = BATCH) -> list[bytes]:
        """At least one, at most ``limit``."""
        return await self._inbox.some(limit)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Packets until the session ends."""
        async for packet in self._inbox.each():
            yield packet

    async def perform_dpd_check(self) -> bool:
        """As ``IpsecClient.perform_dpd_check``."""
        self._open()
        return await liveness.check(self._runtime, self._server.config, self._ike)

    async def rekey_child_sa(self, spi: int) -> int:
        """As ``IpsecClient.rekey_child_sa``."""
        self._open()
        return await liveness.rekey(self._runtime, [self._ike], spi)

    async def close(self) -> None:
        """DELETE to the client, then nothing of the session is left; idempotent, 2 s at most."""
        if self._down:
            return
        peer, spi_i = self._ike.peer, self._ike.spi_i.hex()
        try:
            await self._runtime.until(
                lambda event: isinstance(event, IkeDown) and event.spi_i == spi_i,
                lambda: self._runtime.host.command(Terminate(peer, spi_i)),
                GOODBYE_S,
            )
        except TimeoutError:
            self._server.forget(self, "closed; the client did not confirm")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # For the server.

    def arrived(self, packet: bytes) -> None:
        self._inbox.put(packet)

    def ended(self, reason: str) -> None:
        self._down = reason or "closed"
        self._inbox.end(raised(InvalidState, f"the session is over: {self._down}"))

    def moved(self, sa: IkeSa) -> None:
        """The IKE SA was replaced."""
        self._ike = sa

    def learn(self) -> None:
        """A child came up."""
        self.known = tuple(dict.fromkeys((*self.addresses, *self.known)))[:LARGEST]

    @property
    def ike(self) -> IkeSa:
        return self._ike

    def _children(self) -> list[ChildSa]:
        return [] if self._down else [child for child in self._ike.children.values() if child.current]

    def _open(self) -> None:
        if self._down:
            raise InvalidState(f"the session is over: {self._down}")


def destination(packet: bytes) -> bytes:
    """Of an IP packet, packed; short junk gives something that is no address."""
    return packet[16:20] if packet[:1] and packet[0] >> 4 == V4 else packet[24:40]


def source(packet: bytes) -> bytes:
    return packet[12:16] if packet[:1] and packet[0] >> 4 == V4 else packet[8:24]


def within(address: bytes, selectors: Sequence[Selector]) -> bool:
    return any(len(address) == len(one.start) and one.start <= address <= one.end for one in selectors)

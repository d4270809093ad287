"""A client: one tunnel that a program opens, fills with packets and closes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Self

from fynx.api import liveness
from fynx.api.addresses import Address, overlay_address, split
from fynx.api.assemble import PEER, Place, client_config, registry
from fynx.api.config import ClientConfig
from fynx.api.runtime import Observed, Runtime, raised
from fynx.api.sockets import Sockets, Wanted, attached
from fynx.api.streams import BATCH, Tap, as_batch
from fynx.events import ChildRekeyed, ChildUp, Event, IkeDown
from fynx.faults import InvalidState
from fynx.ike.sa import IkeSa

CLOSED = "the client is not connected"


class IpsecClient(Observed, Sockets):
    """Nothing happens before ``connect``. ``async with`` shuts down at the end; several may live in one loop.

    Packets are whole IP packets from our inner addresses to the peer's. Dead peer detection and rekeying run by
    themselves while the tunnel stands.
    """

    def __init__(self, config: ClientConfig, *, place: Place | None = None) -> None:
        super().__init__()
        self.config = config
        self._place = place or Place()
        self._tap: Tap | None = None
        self._connecting = False
        self._down = ""
        self._ages = liveness.Ages()

    def __repr__(self) -> str:
        return f"IpsecClient({self.config.local_id!r}, {'connected' if self.connected else 'not connected'})"

    @property
    def connected(self) -> bool:
        return self._tap is not None and not self._down and self._sa() is not None

    @property
    def address(self) -> str:
        """Our inner address, the first where there are several networks."""
        return (self.config.local_networks or (overlay_address(str(self.config.local_id)),))[0]

    @property
    def peer_id(self) -> str:
        """The identity that the peer proved. Raises ``InvalidState`` when not connected."""
        return str(self._standing()[1].remote_id or "")

    @property
    def peer_addr(self) -> tuple[str, int]:
        path = self._standing()[1].path
        return path.remote, path.remote_port

    async def connect(self, address: Address) -> Self:
        """Both exchanges; returns when the Child SA carries traffic.

        Raises ``InvalidState`` when connected, ``Io`` (``NetworkTimeout``) when nobody is reached,
        ``AuthenticationFailed``, ``NoProposalChosen``, ``InvalidParameter``. Cancelling leaves nothing open.
        """
        if self._connecting or self.connected:
            raise InvalidState("the client is connected already" if self.connected else "the client is connecting")
        self._connecting = True
        try:
            await self._shut(graceful=False)
            await self._connect(address)
        finally:
            self._connecting = False
        return self

    async def _connect(self, address: Address) -> None:
        booted = registry()
        host, port = split(address)
        config = client_config(self.config, booted, host, port, self._place)
        runtime = self._runtime = Runtime(config, booted, self.metrics(), self._events)
        self._down = ""
        self._events.again()
        try:
            await runtime.start(self._happened)
            await runtime.up(PEER, self.config.timeout_s)
            self._tap = Tap(runtime.plane)
        except BaseException:
            await self._release(graceful=False)
            raise
        if not self.config.reconnect:
            runtime.host.give_up(PEER)

    async def send_packet(self, packet: bytes) -> None:
        """Raises ``InvalidState`` when not connected. What the tunnel's selectors do not cover is dropped, counted."""
        self._sender().plane.send_inner((packet,))

    async def send_batch(self, packets: Sequence[bytes]) -> None:
        """Many packets in one crossing of the C border."""
        runtime, batch = self._sender(), as_batch(packets)
        for at in range(0, len(batch), BATCH):
            runtime.plane.send_inner(batch[at : at + BATCH])
        await asyncio.sleep(0)

    async def recv_packet(self) -> bytes:
        """The next packet. Raises ``InvalidState`` when not connected, or when the tunnel ends meanwhile."""
        return await self._receiver().one()

    async def recv_batch(self, limit: int = BATCH) -> list[bytes]:
        """At least one packet, and at once all that are there, up to ``limit``."""
        return await self._receiver().some(limit)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Packets until the tunnel ends."""
        async for packet in self._receiver().each():
            yield packet

    async def shutdown(self) -> None:
        """DELETE, then all is closed: within 2 s, also without a network, and when never connected."""
        await self._shut(graceful=True)
        self._events.end(raised(InvalidState, CLOSED))

    async def _shut(self, *, graceful: bool) -> None:
        tap, self._tap = self._tap, None
        self._detach(self._down or CLOSED)
        if tap is not None:
            tap.close(raised(InvalidState, self._down or CLOSED))
        await self._release(graceful=graceful and not self._down)

    def attach(self, *addresses: str, mtu: int | None = None) -> None:
        runtime, sa = self._standing()
        ours = [one for child in sa.children.values() if child.current for one in child.local_ts]
        self._net = attached(self._receiver(), runtime.plane, ours, Wanted(addresses, mtu))

    def should_perform_dpd(self) -> bool:
        """False without dead peer detection; else whether the peer was silent for its interval."""
        dpd, sa = self.config.dpd, self._sa()
        if dpd is None or not dpd.enabled or sa is None or self._runtime is None:
            return False
        return self._runtime.host.driver.now - sa.heard_at >= dpd.interval_s

    async def perform_dpd_check(self) -> bool:
        """Asks the peer now: True when it answered, False when it is dead and the tunnel gone.

        Raises ``InvalidState`` without an IKE SA, ``InvalidParameter`` without dead peer detection.
        """
        runtime, sa = self._standing()
        return await liveness.check(runtime, self.config, sa)

    def check_rekey_needed(self) -> list[int]:
        """Outbound SPIs past the soft limit: those that are about to be replaced."""
        sa = self._sa()
        if self._runtime is None or sa is None:
            return []
        return list(self._ages.due(self._runtime, self.config, sa.children.values()))

    async def rekey_child_sa(self, spi: int) -> int:
        """Replaces the Child SA with this outbound SPI; returns the new one. No packet is lost.

        Raises ``InvalidState`` without an IKE SA, ``SaNotFound`` for an unknown SPI.
        """
        runtime, sa = self._standing()
        return await liveness.rekey(runtime, [sa], spi)

    def child_spis(self) -> list[int]:
        """Outbound SPIs of the Child SAs that stand."""
        sa = self._sa()
        return [] if sa is None else [child.spi_out for child in sa.children.values() if child.current]

    def child_sa_count(self) -> int:
        return len(self.child_spis())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown()

    def _happened(self, event: Event) -> None:
        match event:
            case ChildUp() | ChildRekeyed():
                self._ages.born(event.spi_out)
            case IkeDown() if self._tap is not None and not self.config.reconnect and self._sa() is None:
                self._down = f"the tunnel is down: {event.reason}"
                self._tap.end(raised(InvalidState, self._down))
                self._detach(self._down)

    def _sa(self) -> IkeSa | None:
        if self._runtime is None or self._runtime.host.plane is None:
            return None
        standing = self._runtime.host.driver.endpoint.by_peer.get(PEER, ())
        return next((sa for sa in reversed(standing) if sa.established), None)

    def _standing(self) -> tuple[Runtime, IkeSa]:
        sa = self._sa()
        if self._runtime is None or sa is None:
            raise InvalidState(self._down or CLOSED)
        return self._runtime, sa

    def _sender(self) -> Runtime:
        if self._tap is None or self._down or self._runtime is None:
            raise InvalidState(self._down or CLOSED)
        return self._runtime

    def _receiver(self) -> Tap:
        if self._tap is None:
            raise InvalidState(self._down or CLOSED)
        return self._tap

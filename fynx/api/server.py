"""A server: clients come, each is a session; one port, one data plane, any number of clients at once."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from fynx.api.addresses import Address, split
from fynx.api.assemble import Place, registry, server_config
from fynx.api.config import ServerConfig
from fynx.api.runtime import Observed, Runtime, raised
from fynx.api.session import IpsecSession, source, within
from fynx.api.streams import BATCH, Mailbox
from fynx.events import ChildUp, Event, IkeDown, IkeRekeyed
from fynx.faults import InvalidState
from fynx.ike.sa import IkeSa

log = logging.getLogger("fynx.api")

BACKLOG = 100000
CLOSED = "the server is shut down"
IKE_PORT, NAT_PORT = 500, 4500
ANYWHERE = ("0.0.0.0", IKE_PORT)  # noqa: S104  a server serves all its addresses by default


class IpsecServer(Observed):
    """Made by ``await IpsecServer.bind(config, address)``; ``async with`` shuts down at the end."""

    def __init__(self, config: ServerConfig, *, place: Place | None = None) -> None:
        super().__init__()
        self.config = config
        self._place = place
        self._sessions: dict[tuple[str, str], IpsecSession] = {}
        self._routes: dict[bytes, IpsecSession] = {}
        """Inner addresses seen -> their session; an entry is checked again when the session ends."""
        self._arrivals: Mailbox[IpsecSession] = Mailbox(BACKLOG)
        self._address = ("", 0)
        self.unclaimed = 0
        """Packets that no session claims any more."""

    def __repr__(self) -> str:
        return f"IpsecServer({self.config.local_id!r}, {self._address}, {len(self._sessions)} sessions)"

    @classmethod
    async def bind(cls, config: ServerConfig, address: Address = ANYWHERE, *, place: Place | None = None) -> Self:
        """Validates and opens the port; 0 lets the system choose, 500 opens 4500 too.

        Raises ``InvalidParameter``, ``Io`` (port in use, no permission).
        """
        config.validate()
        server = cls(config, place=place)
        host, port = split(address)
        await server._open(host, port)
        return server

    async def _open(self, host: str, port: int) -> None:
        booted = registry()
        ports = (IKE_PORT, NAT_PORT) if port == IKE_PORT else (port,)
        place = self._place or Place(host, ports)
        runtime = Runtime(server_config(self.config, booted, place), booted, self.metrics(), self._events)
        self._runtime = runtime
        try:
            await runtime.start(self._happened)
            runtime.plane.on_inner(self._readable)
        except BaseException:
            await self._release(graceful=False)
            raise
        assert runtime.host.port is not None
        path = runtime.host.port.local[0]
        self._address = (path.local, path.local_port)

    def local_addr(self) -> tuple[str, int]:
        """Where clients connect to, the port as the system chose it."""
        return self._address

    def session_count(self) -> int:
        return len(self._sessions)

    @property
    def sessions(self) -> tuple[IpsecSession, ...]:
        """Those that stand, whether accepted yet or not."""
        return tuple(self._sessions.values())

    async def accept(self) -> tuple[tuple[str, int], IpsecSession]:
        """The address and the session of the next client that came through its whole handshake.

        Raises ``InvalidState`` when the server is shut down. Cancelling loses no client.
        """
        session = await self._arrivals.one()
        return session.peer_addr(), session

    async def __aiter__(self) -> AsyncIterator[IpsecSession]:
        """Sessions as they come, until the server is shut down."""
        async for session in self._arrivals.each():
            yield session

    async def shutdown(self) -> None:
        """Closes every session, DELETE to each client, and the port; 2 s at most; idempotent."""
        try:
            await self._release(graceful=True)
        finally:
            for session in self.sessions:
                self.forget(session, CLOSED)
            self._arrivals.end(raised(InvalidState, CLOSED))
            self._events.end(raised(InvalidState, CLOSED))

    close = shutdown

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown()

    def forget(self, session: IpsecSession, reason: str) -> None:
        """Ends a session here, without a word to its client."""
        while self._take():
            pass  # what it had sent before is still its
        sa = session.ike
        self._sessions.pop((sa.spi_i.hex(), sa.spi_r.hex()), None)
        for address in [address for address, owner in self._routes.items() if owner is session]:
            del self._routes[address]
        session.ended(reason)

    def _happened(self, event: Event) -> None:
        match event:
            case ChildUp():
                self._arrived(event)
            case IkeRekeyed():
                session = self._sessions.pop((event.old_spi_i, event.old_spi_r), None)
                found = self._ike(event.peer, event.spi_i)
                if session is not None and found is not None:
                    session.moved(found)
                    self._sessions[event.spi_i, event.spi_r] = session
            case IkeDown():
                ended = self._sessions.get((event.spi_i, event.spi_r))
                if ended is not None:
                    self.forget(ended, event.reason)

    def _arrived(self, event: ChildUp) -> None:
        """A child stands: with the first of its IKE SA the session begins."""
        runtime = self._runtime
        if runtime is None:
            return
        wanted = int(event.spi_in, 16)
        newest_first = reversed(runtime.host.driver.endpoint.sas.values())
        sa = next((sa for sa in newest_first if any(c.spi_in == wanted for c in sa.children.values())), None)
        if sa is None:
            log.error("a Child SA stands that no IKE SA claims")
            return
        key = (sa.spi_i.hex(), sa.spi_r.hex())
        if key not in self._sessions:
            self._sessions[key] = IpsecSession(self, runtime, sa)
            self._arrivals.put(self._sessions[key])
        self._sessions[key].learn()

    def _ike(self, peer: str, spi_i: str) -> IkeSa | None:
        if self._runtime is None:
            return None
        return next(
            (sa for sa in self._runtime.host.driver.endpoint.by_peer.get(peer, ()) if sa.spi_i.hex() == spi_i), None
        )

    def _readable(self) -> None:
        self._take()

    def _take(self) -> int:
        """A batch from the plane to the sessions, by inner source: the plane lets each client use only its own."""
        if self._runtime is None:
            return 0
        routes, packets = self._routes, self._runtime.plane.recv_inner(BATCH)
        for packet in packets:
            address = source(packet)
            session = routes.get(address) or self._route(address)
            if session is None:
                self.unclaimed += 1
            else:
                session.arrived(packet)
        return len(packets)

    def _route(self, address: bytes) -> IpsecSession | None:
        """The newest session that has this inner address."""
        for session in reversed(self._sessions.values()):
            if within(address, session.known):
                if len(self._routes) < BACKLOG:
                    self._routes[address] = session
                return session
        return None

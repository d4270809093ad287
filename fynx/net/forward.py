"""Local ports whose connections go through a tunnel: to one place each, or wherever a SOCKS5 client says."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable

from fynx.errors import FynxError
from fynx.faults import Io
from fynx.net.socks import Open, serve_one
from fynx.net.splice import Streams, hang_up, reset, splice

log = logging.getLogger("fynx.api")

Place = tuple[str, int]


class Forwarder:
    """Made by ``forward`` or ``socks``; listens until ``close``, and ends its connections then."""

    def __init__(self, serve: Callable[[Streams], Awaitable[str]]) -> None:
        self._serve, self._server = serve, None
        self._running: set[asyncio.Task[None]] = set()
        self.counted: Counter[str] = Counter()
        """Connections by what became of them: ``served``, ``unreached``, ``refused``, ``garbled``."""

    _server: asyncio.Server | None

    async def listen(self, place: Place) -> None:
        """Raises ``Io``."""
        try:
            self._server = await asyncio.start_server(self._came, *place)
        except OSError as error:
            raise Io(f"cannot listen on {place[0]} port {place[1]}: {error.strerror}") from None

    @property
    def address(self) -> Place:
        """The first address that it listens on."""
        assert self._server is not None
        name = self._server.sockets[0].getsockname()
        return name[0], name[1]

    def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._one((reader, writer)))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _one(self, client: Streams) -> None:
        try:
            self.counted[await self._serve(client)] += 1
        except asyncio.CancelledError:
            reset(client[1])
            raise

    async def close(self) -> None:
        """Idempotent."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def __aenter__(self) -> Forwarder:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def forward(opened: Open, target: Place) -> Forwarder:
    """Each connection goes on to ``target``."""

    async def serve(client: Streams) -> str:
        try:
            far = await opened(*target)
        except (OSError, FynxError) as error:
            log.info("%s port %d is not reached through the tunnel: %s", *target, error)
            reset(client[1])
            await hang_up(client[1])
            return "unreached"
        await splice(client, far)
        return "served"

    return Forwarder(serve)


def socks(opened: Open) -> Forwarder:
    """Each connection says by SOCKS5 (RFC 1928) where it goes."""
    return Forwarder(lambda client: serve_one(client, opened))

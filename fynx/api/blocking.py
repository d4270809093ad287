"""Clients and servers without ``async``, for scripts: each runs its loop in a thread of its own until it is closed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from fynx.api.addresses import Address
from fynx.api.client import IpsecClient
from fynx.api.config import ClientConfig, ServerConfig
from fynx.api.door import Opening, Psk
from fynx.api.door import connect as connect_later
from fynx.api.door import serve as serve_later
from fynx.api.server import IpsecServer
from fynx.api.session import IpsecSession
from fynx.api.streams import BATCH
from fynx.errors import FynxError
from fynx.metrics import Snapshot

if TYPE_CHECKING:
    from fynx.net.forward import Forwarder

T = TypeVar("T")


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fynx loop", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """Waits for the result, at most ``timeout_s`` (then ``TimeoutError``); an interrupt cancels the work."""
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, timeout_s), self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Client:
    """A connected client."""

    def __init__(self, loop: Loop, client: IpsecClient) -> None:
        self._loop, self.inner = loop, client
        self._forwarders: list[Forwarder] = []

    @property
    def address(self) -> str:
        return self.inner.address

    def send(self, *packets: bytes) -> None:
        self._loop.run(self.inner.send_batch(packets))

    def recv(self, timeout_s: float | None = None) -> bytes:
        """Raises ``TimeoutError``, and ``InvalidState`` when the tunnel is over."""
        return self._loop.run(self.inner.recv_packet(), timeout_s)

    def recv_batch(self, limit: int = BATCH, timeout_s: float | None = None) -> list[bytes]:
        return self._loop.run(self.inner.recv_batch(limit), timeout_s)

    def forward(self, listen: tuple[str, int], target: tuple[str, int]) -> tuple[str, int]:
        """Opens a local port that leads through the tunnel to ``target``, until ``close``; where it listens."""
        return self._listening(self.inner.forward(listen, target))

    def socks(self, listen: tuple[str, int]) -> tuple[str, int]:
        """As ``forward``, to wherever a SOCKS5 client says."""
        return self._listening(self.inner.socks(listen))

    def _listening(self, opening: Coroutine[Any, Any, Forwarder]) -> tuple[str, int]:
        self._forwarders.append(self._loop.run(opening))
        return self._forwarders[-1].address

    def metrics(self) -> Snapshot:
        return self.inner.metrics().snapshot()

    def close(self) -> None:
        """Idempotent."""
        if not self._loop._loop.is_closed():
            while self._forwarders:
                self._loop.run(self._forwarders.pop().close())
            self._loop.run(self.inner.shutdown())
            self._loop.close()

    def __iter__(self) -> Iterator[bytes]:
        """Packets until the tunnel ends."""
        while True:
            try:
                yield self.recv()
            except FynxError:
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Session:
    """One client of a server."""

    def __init__(self, loop: Loop, session: IpsecSession) -> None:
        self._loop, self.inner = loop, session

    @property
    def peer_id(self) -> str:
        return self.inner.peer_id

    def send(self, *packets: bytes) -> None:
        self._loop.run(self.inner.send_batch(packets))

    def recv(self, timeout_s: float | None = None) -> bytes:
        return self._loop.run(self.inner.recv_packet(), timeout_s)

    def recv_batch(self, limit: int = BATCH, timeout_s: float | None = None) -> list[bytes]:
        return self._loop.run(self.inner.recv_batch(limit), timeout_s)

    def close(self) -> None:
        self._loop.run(self.inner.close())


class Server:
    """A bound server."""

    def __init__(self, loop: Loop, server: IpsecServer) -> None:
        self._loop, self.inner = loop, server

    def local_addr(self) -> tuple[str, int]:
        return self.inner.local_addr()

    def session_count(self) -> int:
        return self.inner.session_count()

    def accept(self, timeout_s: float | None = None) -> Session:
        """Raises ``TimeoutError``."""
        return Session(self._loop, self._loop.run(self.inner.accept(), timeout_s)[1])

    def close(self) -> None:
        """Idempotent."""
        if not self._loop._loop.is_closed():
            self._loop.run(self.inner.shutdown())
            self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def connect(address: Address, *, auth: Psk | None = None, config: ClientConfig | None = None, **options: Any) -> Client:
    """As ``fynx.connect``, and returns when connected."""
    loop, inner = _opened(connect_later(address, auth=auth, config=config, **options))
    return Client(loop, inner)


def serve(address: Address, *, auth: Psk | None = None, config: ServerConfig | None = None, **options: Any) -> Server:
    """As ``fynx.serve``, and returns when bound."""
    loop, inner = _opened(serve_later(address, auth=auth, config=config, **options))
    return Server(loop, inner)


def _opened(opening: Opening[T]) -> tuple[Loop, T]:
    loop = Loop()

    async def start() -> T:
        return await opening

    try:
        return loop, loop.run(start())
    except BaseException:
        loop.close()
        raise


__all__: Sequence[str] = ["Client", "Server", "Session", "connect", "serve"]

"""The front door: ``fynx.connect``, ``fynx.serve`` and ``fynx.psk``, each for one line of a program."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

from fynx.api.addresses import Address, split
from fynx.api.client import IpsecClient
from fynx.api.config import ClientConfig, ServerConfig, secret
from fynx.api.runtime import raised
from fynx.api.server import IpsecServer
from fynx.api.sockets import Sockets, Wanted, attached
from fynx.api.streams import BATCH, Tap, as_batch
from fynx.events import Event
from fynx.faults import InvalidParameter, InvalidState
from fynx.plugin.auth import Secret
from fynx.plugin.planes import PacketPlane
from fynx.run.host import Host

T = TypeVar("T")
NO_PACKETS = "this gateway's data plane takes no packets from a program (host.plane: {inproc: {}} does)"


@dataclass(frozen=True, slots=True)
class Psk:
    """Our identity and the key that proves it."""

    local_id: str
    secret: Secret = field(repr=False)


def psk(local_id: str, key: str | bytes | Secret) -> Psk:
    """Credentials by a pre-shared key."""
    return Psk(local_id, secret(key))


class Opening(Generic[T]):
    """Something on its way to being open: ``await`` it and close it yourself, or ``async with`` it."""

    def __init__(self, start: Callable[[], Coroutine[Any, Any, T]], end: Callable[[T], Coroutine[Any, Any, None]]):
        self._start, self._end = start, end
        self._open: T | None = None

    def __await__(self) -> Generator[Any, None, T]:
        return self._start().__await__()

    async def __aenter__(self) -> T:
        self._open = await self._start()
        return self._open

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open is not None:
            await self._end(self._open)


def connect(
    address: Address, *, auth: Psk | None = None, config: ClientConfig | None = None, **options: Any
) -> Opening[IpsecClient]:
    """A connected client: ``async with fynx.connect("vpn.example.net", auth=fynx.psk("alice", key)) as tunnel``.

    The peer must prove to be ``remote_id``, by default the host name of ``address``. ``options`` are fields of
    ``ClientConfig``. Raises what ``IpsecClient.connect`` raises.
    """
    if config is None:
        if auth is None:
            raise InvalidParameter("connect wants auth=fynx.psk(identity, key), or config=")
        values = {"remote_id": split(address)[0], **options}
        config = ClientConfig(local_id=auth.local_id, psk=auth.secret, **values)
    elif auth is not None or options:
        raise InvalidParameter("connect takes config= or auth= with options, not both")
    client = IpsecClient(config)
    return Opening(lambda: client.connect(address), IpsecClient.shutdown)


def serve(
    address: Address, *, auth: Psk | None = None, config: ServerConfig | None = None, **options: Any
) -> Opening[IpsecServer]:
    """A bound server: ``async with fynx.serve("192.0.2.1:500", auth=fynx.psk("gw.example.net", key)) as server``."""
    if config is None:
        if auth is None:
            raise InvalidParameter("serve wants auth=fynx.psk(identity, key), or config=")
        config = ServerConfig(local_id=auth.local_id, psk=auth.secret, **options)
    elif auth is not None or options:
        raise InvalidParameter("serve takes config= or auth= with options, not both")
    given = config
    return Opening(lambda: IpsecServer.bind(given, address), IpsecServer.shutdown)


class Gateway(Sockets):
    """A host as ``fynx run`` makes it, in this loop, without files and control socket."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._tap = Tap(host.plane) if isinstance(host.plane, PacketPlane) else None

    def status(self) -> dict[str, object]:
        """Schema ``fynx.status/1``."""
        return self.host.status()

    def events(self) -> AsyncIterator[Event]:
        return self.host.events()

    async def up(self, peer: str, *, timeout_s: float = 60.0) -> None:
        await self.host.up(peer, timeout_s=timeout_s)

    async def down(self, peer: str) -> None:
        await self.host.down(peer)

    def send_batch(self, packets: Sequence[bytes]) -> None:
        """With the plane ``inproc``: packets into whichever tunnels cover them. Raises ``InvalidState`` otherwise."""
        if not isinstance(self.host.plane, PacketPlane):
            raise InvalidState(NO_PACKETS)
        self.host.plane.send_inner(as_batch(packets))

    def attach(self, *addresses: str, mtu: int | None = None) -> None:
        sas = [sa for sa in self.host.driver.endpoint.sas.values() if sa.established]
        ours = [one for sa in sas for child in sa.children.values() if child.current for one in child.local_ts]
        if not ours:
            raise InvalidState("no tunnel of this gateway is up")
        self._net = attached(self._packets(), self.host.plane, ours, Wanted(addresses, mtu))

    async def recv_packet(self) -> bytes:
        return await self._packets().one()

    async def recv_batch(self, limit: int = BATCH) -> list[bytes]:
        return await self._packets().some(limit)

    def _packets(self) -> Tap:
        if self._tap is None:
            raise InvalidState(NO_PACKETS)
        return self._tap

    async def shutdown(self) -> None:
        self._detach("the gateway is shut down")
        if self._tap is not None:
            self._tap.close(raised(InvalidState, "the gateway is shut down"))
        await self.host.stop()


def gateway(source: str | Path) -> Opening[Gateway]:
    """A gateway from YAML, a file or its text. Raises ``ConfigError``."""
    from fynx.config import load

    async def start() -> Gateway:
        config = load(source)
        host = Host(config, config.registry)
        await host.start()
        return Gateway(host)

    return Opening(start, Gateway.shutdown)

"""A server and its client on a switchboard: real handshakes and real ESP, no socket, no privilege, seeded loss."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import Any

from fynx.api.addresses import SERVER
from fynx.api.assemble import Place, switchboard
from fynx.api.client import IpsecClient
from fynx.api.config import ClientConfig, ServerConfig, secret
from fynx.api.datagram import Datagram, parse
from fynx.api.server import IpsecServer
from fynx.api.session import IpsecSession

Loss = float | Callable[[int], bool]
"""The share of datagrams that get lost, or a function of their number (from 0) that says True for a lost one."""

KEY = "a pre-shared key that only tests should use"
SERVER_AT, FIRST_CLIENT = "192.0.2.1", IPv4Address("198.18.0.1")
SERVER_ID = "server.test"
QUICK_S = 0.02


@dataclass(slots=True)
class Weather:
    """What the network does. ``loss`` may be changed at any time; ``passed`` and ``lost`` count datagrams."""

    loss: Loss = 0.0
    seed: int = 0
    passed: int = 0
    lost: int = 0
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311  weather, not keys

    def passes(self, _datagram: object) -> bool:
        number = self.passed + self.lost
        lost = self.loss(number) if callable(self.loss) else self._random.random() < self.loss
        if lost:
            self.lost += 1
        else:
            self.passed += 1
        return not lost


@dataclass(slots=True)
class Pair:
    """``client`` is connected, ``session`` is the server's side of it."""

    server: IpsecServer
    client: IpsecClient
    session: IpsecSession
    weather: Weather
    network: object = field(repr=False)
    clients: list[IpsecClient] = field(default_factory=list)

    async def another(self, identity: str, **options: Any) -> tuple[IpsecClient, IpsecSession]:
        """One more client on the same server; ``options`` are fields of ``ClientConfig``."""
        return await _join(self.server, self.network, self.clients, identity, options)

    def packet(self, payload: bytes = b"ping") -> bytes:
        """From the client to the server."""
        return Datagram(self.client.address, str(SERVER), payload).packet()

    async def echo(self, payload: bytes = b"ping") -> bytes:
        """There and back; needs a network that loses nothing meanwhile."""
        await self.client.send_packet(self.packet(payload))
        asked = parse(await self.session.recv_packet())
        assert asked is not None
        await self.session.send_packet(asked.reply(asked.payload).packet())
        answered = parse(await self.client.recv_packet())
        assert answered is not None
        return answered.payload


@asynccontextmanager
async def pair(
    *,
    loss: Loss = 0.0,
    seed: int = 0,
    client: ClientConfig | None = None,
    server: ServerConfig | None = None,
    identity: str = "client.test",
) -> AsyncIterator[Pair]:
    """Two peers, connected. ``loss`` holds for IKE and ESP alike; the same seed loses the same datagrams.

    ``client`` and ``server`` replace the configurations. Raises what ``connect`` raises when the loss is too heavy.
    """
    weather = Weather(loss, seed)
    network = switchboard(weather.passes)
    wanted = server or ServerConfig(local_id=SERVER_ID, psk=secret(KEY), first_wait_s=QUICK_S)
    clients: list[IpsecClient] = []
    bound = await IpsecServer.bind(wanted, place=Place(SERVER_AT, network=network))
    try:
        given = {} if client is None else {"config": client}
        first, session = await _join(bound, network, clients, identity, given)
        yield Pair(bound, first, session, weather, network, clients)
    finally:
        weather.loss = 0.0
        for each in clients:
            await each.shutdown()
        await bound.shutdown()


async def _join(
    server: IpsecServer, network: object, clients: list[IpsecClient], identity: str, options: dict[str, Any]
) -> tuple[IpsecClient, IpsecSession]:
    default = ClientConfig(
        local_id=identity, remote_id=server.config.local_id, psk=secret(KEY), first_wait_s=QUICK_S, timeout_s=10.0
    )
    config = options.pop("config", None) or replace(default, **options)
    made = IpsecClient(config, place=Place(str(FIRST_CLIENT + len(clients)), network=network))
    clients.append(made)
    await made.connect(SERVER_AT)
    await server.accept()
    mine = next(each for each in reversed(server.sessions) if each.peer_id == config.local_id)
    return made, mine

"""The tests that the checklist's first version planned and never had (1.22, 1.23), under their own names, and what of
1.24 no other test has: real handshakes, real ESP, real loss."""

from __future__ import annotations

import asyncio
import copy
import itertools
import pickle
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from fynx.api.client import IpsecClient
from fynx.api.config import ClientConfig, DpdConfig, SaLifetime, ServerConfig
from fynx.api.datagram import Datagram, parse
from fynx.api.server import IpsecServer
from fynx.errors import ConfigError, StateError
from fynx.events import ChildDown, ChildRekeyed, IkeDown, PeerAlive
from fynx.faults import InvalidLength, InvalidState, Io, NetworkTimeout
from fynx.ike.states import CHILD_TRANSITIONS, IKE_TRANSITIONS, advance
from fynx.testing import Link, Simulation, pair, simulated_pair
from fynx.testing.pair import KEY
from fynx.testing.simulator import LEFT
from tests.unit.api.loops import looped, soon

SERVER = ServerConfig.builder().with_local_id("server.test").with_psk(KEY).build()
CLIENT = ClientConfig.builder().with_local_id("client.test").with_remote_id("server.test").with_psk(KEY).build()
QUICK = replace(CLIENT, first_wait_s=0.02)
INNER = "fd66:796e:7800::1"


@looped
async def test_client_connect_success() -> None:
    async with await IpsecServer.bind(SERVER, "127.0.0.1:0") as server, IpsecClient(CLIENT) as client:
        assert await client.connect(server.local_addr()) is client
        assert client.connected
        assert client.peer_addr == server.local_addr()
        assert len(client.child_spis()) == client.child_sa_count() == 1


@looped
async def test_client_send_recv() -> None:
    async with pair() as both:
        for size in (0, 1, 500, 1300):
            assert await both.echo(bytes(size)) == bytes(size)


@looped
async def test_server_accept() -> None:
    async with await IpsecServer.bind(SERVER, "127.0.0.1:0") as server, IpsecClient(CLIENT) as client:
        accepting = asyncio.ensure_future(server.accept())
        await client.connect(server.local_addr())
        (host, port), session = await accepting
        assert host == "127.0.0.1"
        assert session.peer_addr() == (host, port)
        assert session.peer_id == "client.test"


@looped
async def test_session_send_recv() -> None:
    async with pair() as both:
        packets = [Datagram(INNER, both.client.address, str(number).encode()).packet() for number in range(20)]
        await both.session.send_batch(packets)
        got: list[bytes] = []
        while len(got) < 20:
            got += await both.client.recv_batch()
        assert got == packets
        await both.client.send_packet(both.packet(b"back"))
        heard = parse(await both.session.recv_packet())
        assert heard is not None
        assert heard.payload == b"back"


@looped
async def test_multiple_sessions() -> None:
    async with pair() as both:
        others = await asyncio.gather(*(both.another(f"c{number}.test") for number in range(5)))
        assert both.server.session_count() == 6
        assert len({session.child_spis()[0] for _, session in others}) == 5
        await others[0][1].close()
        assert both.server.session_count() == 5


@looped
async def test_client_server_handshake() -> None:
    """HDR, SA, KE, Ni --> and the answer, HDR, SK{IDi, AUTH, SA, TSi, TSr} --> and the answer: 4 datagrams."""
    async with pair(client=CLIENT) as both:  # one that repeats nothing within half a second
        assert both.weather.passed == 4
        assert (both.client.peer_id, both.session.peer_id) == ("server.test", "client.test")
        assert both.client.metrics().snapshot().handshake_success_rate == 1.0


@looped
async def test_client_server_data_transfer() -> None:
    """Both ways at once, a thousand packets each, whole and in order."""
    async with pair() as both:
        there = [both.packet(number.to_bytes(2, "big")) for number in range(1000)]
        back = [Datagram(INNER, both.client.address, number.to_bytes(2, "big")).packet() for number in range(1000)]

        async def taken(side: object) -> list[bytes]:
            got: list[bytes] = []
            while len(got) < 1000:
                got += await side.recv_batch()  # type: ignore[attr-defined]
            return got

        at_client, at_session = asyncio.ensure_future(taken(both.client)), asyncio.ensure_future(taken(both.session))
        await asyncio.gather(both.client.send_batch(there), both.session.send_batch(back))
        assert (await at_session, await at_client) == (there, back)


@looped
async def test_client_server_shutdown() -> None:
    async with pair() as both:
        ended = asyncio.ensure_future(both.session.recv_packet())
        await asyncio.sleep(0)
        await both.client.shutdown()
        with pytest.raises(InvalidState, match="deleted"):
            await ended
        await soon(lambda: both.server.session_count() == 0)
        await both.server.shutdown()
        with pytest.raises(InvalidState):
            await both.server.accept()
        with pytest.raises(InvalidState):
            await both.client.send_packet(b"")


@looped
async def test_client_background_tasks() -> None:
    """Liveness checks and rekeying run by themselves, and stop with the client."""
    config = replace(QUICK, dpd=DpdConfig(interval_s=0.05), lifetime=SaLifetime(0.2, 5.0))
    async with pair(client=config) as both:
        wanted = {PeerAlive, ChildRekeyed}
        async for event in both.client.events():
            wanted.discard(type(event))
            if not wanted:
                break
        await both.client.shutdown()
        carried = both.weather.passed
        await asyncio.sleep(0.1)
        assert both.weather.passed == carried


@looped
async def test_network_timeout_and_retry() -> None:
    """The first three requests get lost: the fourth comes through; were all lost, it is a NetworkTimeout, as Io."""
    async with pair(loss=lambda number: number < 3) as both:
        assert both.weather.lost == 3
        both.weather.loss = 1.0
        with pytest.raises(NetworkTimeout):
            await both.another("late.test", timeout_s=0.2)


def test_simultaneous_rekey_collision() -> None:
    """Both ends rekey the same Child SA at once (RFC 7296 section 2.8.1): one new Child SA is left, and it carries."""
    net, left, right = simulated_pair(seed=3)
    assert left.up("right", right)
    left.rekey("right", "net")
    right.rekey("left", "net")
    net.run(for_s=60)
    assert len(left.children("right")) == len(right.children("left")) == 1
    assert left.children("right")[0].spi_out == right.children("left")[0].spi_in
    left.send("right", b"through the survivor")
    net.run(for_s=1)
    assert right.received == [b"through the survivor"]


@looped
async def test_fragmentation_of_large_packets() -> None:
    """Larger than any datagram of the network outside: every octet arrives."""
    async with await IpsecServer.bind(SERVER, "127.0.0.1:0") as server, IpsecClient(CLIENT) as client:
        await client.connect(server.local_addr())
        _, session = await server.accept()
        sent = Datagram(client.address, INNER, bytes(range(256)) * 32).packet()
        await client.send_packet(sent)
        assert await session.recv_packet() == sent


def test_mock_network() -> None:
    """What the checklist calls MockNetwork is the simulator: loss, repetition and disorder by a seed."""
    digests = []
    for seed in (1, 1, 2):
        net, left, right = simulated_pair(seed, Link(loss=0.2, duplicate=0.2, reorder=0.3))
        assert left.up("right", right)
        digests.append(net.trace.digest())
    assert digests[0] == digests[1] != digests[2]


def test_error_clone() -> None:
    for error in (Io("refused").with_context("bind"), InvalidLength(10, 5)):
        for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
            assert (type(again), str(again), again.code) == (type(error), str(error), error.code)


def test_metrics_clone() -> None:
    """Whoever holds a client's metrics sees the same counters."""
    client = IpsecClient(CLIENT)
    held = client.metrics()
    held.record_replay_detected()
    assert client.metrics().snapshot().esp_replay_detected == 1
    assert held is client.metrics()


def test_the_simulator_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ConfigError, match="peers"):
        Simulation().host("192.0.2.1", "name: x\npeers: 7")
    net, left, right = simulated_pair()
    with pytest.raises(StateError, match="no Child SA"):
        left.send("right", b"")
    assert left.up("right", right)
    left.down("right")
    net.run(for_s=10)
    assert any(isinstance(event, IkeDown) for event in right.events)
    assert not left.up("right", "192.0.2.99", within_s=5)


def test_a_crashed_host_is_noticed() -> None:
    net, left, right = simulated_pair()
    assert left.up("right", right)
    right.crash()
    left.rekey("right")
    net.run(for_s=600)
    assert any(isinstance(event, IkeDown | ChildDown) for event in left.events)
    assert left.children("right") == []


@pytest.mark.parametrize("table", [IKE_TRANSITIONS, CHILD_TRANSITIONS], ids=["ike", "child"])
def test_state_machine_invalid_transition(table: dict[tuple[Any, Any], Any]) -> None:
    """Every move that the table does not have is refused, and the state stays."""
    states, events = {state for state, _ in table}, {event for _, event in table}
    for state, event in itertools.product(states, events):
        record = SimpleNamespace(state=state)
        if (state, event) not in table:
            with pytest.raises(StateError, match="not possible"):
                advance(record, event, table)
            assert record.state is state


def test_hard_lifetime_expiration_check() -> None:
    """No rekey gets through any more: at the hard limit the Child SA is gone, and sends nothing."""
    limits = "lifetime: {soft_s: 20, hard_s: 30}"
    net, left, right = simulated_pair(left=LEFT.replace("remote: 10.2.0.0/16", f"remote: 10.2.0.0/16, {limits}"))
    assert left.up("right", right)
    net.intercept(lambda sent: ())
    net.run(for_s=19)
    assert left.children("right")
    net.run(for_s=12)
    assert left.children("right") == []
    with pytest.raises(StateError):
        left.send("right", b"too late")

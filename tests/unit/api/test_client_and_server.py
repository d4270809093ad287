"""Client, server and session with real handshakes and real ESP (checklist 1.15, 1.16, 1.22, 1.23)."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

import fynx
from fynx.api.client import IpsecClient
from fynx.api.config import ClientConfig, DpdConfig, SaLifetime, ServerConfig
from fynx.api.datagram import Datagram, parse
from fynx.api.server import IpsecServer
from fynx.events import ChildRekeyed, IkeDown
from fynx.faults import (
    AuthenticationFailed,
    Internal,
    InvalidParameter,
    InvalidState,
    Io,
    NetworkTimeout,
    NoProposalChosen,
    SaNotFound,
)
from fynx.testing import pair
from fynx.testing.pair import KEY
from tests.unit.api.loops import looped, soon

SERVER = ServerConfig.builder().with_local_id("server.test").with_psk(KEY).build()
CLIENT = ClientConfig.builder().with_local_id("client.test").with_remote_id("server.test").with_psk(KEY).build()
QUICK = replace(CLIENT, first_wait_s=0.02)


@looped
async def test_client_creation_opens_nothing_and_everything_says_so() -> None:
    client = IpsecClient(CLIENT)
    assert not client.connected
    assert (client.check_rekey_needed(), client.child_sa_count(), client.should_perform_dpd()) == ([], 0, False)
    for attempt in (client.send_packet(b"x"), client.send_batch([b"x"]), client.recv_packet(), client.recv_batch()):
        with pytest.raises(InvalidState, match="not connected"):
            await attempt
    with pytest.raises(InvalidState):
        await client.perform_dpd_check()
    with pytest.raises(InvalidState):
        await client.rekey_child_sa(1)
    await client.shutdown()


@looped
async def test_client_server_handshake_and_data_transfer_over_loopback() -> None:
    async with await IpsecServer.bind(SERVER, ("127.0.0.1", 0)) as server:
        host, port = server.local_addr()
        assert (host, server.session_count()) == ("127.0.0.1", 0)
        assert port > 0
        async with IpsecClient(CLIENT) as client:
            await client.connect((host, port))
            peer, session = await server.accept()
            assert peer[0] == "127.0.0.1"
            assert (session.peer_id, client.peer_id) == ("client.test", "server.test")
            assert (server.session_count(), session.child_sa_count(), client.child_sa_count()) == (1, 1, 1)
            sent = Datagram(client.address, "fd66:796e:7800::1", b"hello").packet()
            await client.send_packet(sent)
            assert await session.recv_packet() == sent
            answer = Datagram("fd66:796e:7800::1", client.address, b"hi").packet()
            await session.send_packet(answer)
            assert await client.recv_packet() == answer
            with pytest.raises(InvalidState, match="connected already"):
                await client.connect((host, port))
        await soon(lambda: server.session_count() == 0)
        assert session.closed
        assert session.child_sa_count() == 0


@looped
async def test_batches_arrive_whole_and_in_order() -> None:
    async with pair() as both:
        sent = [both.packet(str(number).encode()) for number in range(1000)]
        await both.client.send_batch(sent)
        got: list[bytes] = []
        while len(got) < len(sent):
            got += await both.session.recv_batch(300)
        assert got == sent
        with pytest.raises(TypeError, match="sequence of packets"):
            await both.client.send_batch(sent[0])  # type: ignore[arg-type]


@looped
async def test_a_receiver_that_is_cancelled_loses_no_packet() -> None:
    async with pair() as both:
        first = asyncio.create_task(both.client.recv_packet())
        second = asyncio.create_task(both.client.recv_packet())
        await asyncio.sleep(0)
        first.cancel()
        asked = parse(both.packet())
        assert asked is not None
        answer = asked.reply(b"still here").packet()
        await both.session.send_packet(answer)
        assert await second == answer


@looped
async def test_iterating_ends_with_the_tunnel() -> None:
    async with pair() as both:
        await both.client.send_batch([both.packet(b"1"), both.packet(b"2")])
        await both.client.shutdown()
        assert [parse(packet).payload async for packet in both.session] == [b"1", b"2"]  # type: ignore[union-attr]


@looped
async def test_client_connect_without_server_is_a_network_timeout_and_leaves_nothing_open() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        client = IpsecClient(replace(QUICK, timeout_s=0.1))
        with pytest.raises(NetworkTimeout) as caught:
            await client.connect(silent.getsockname())
        assert isinstance(caught.value, Io)
        assert caught.value.code == 5002
        assert not client.connected
        await client.shutdown()


@looped
async def test_connecting_can_be_cancelled_and_begun_again() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        client = IpsecClient(CLIENT)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.connect(silent.getsockname())
    async with await IpsecServer.bind(SERVER, "127.0.0.1:0") as server:
        await client.connect(server.local_addr())
        assert client.connected
        await client.shutdown()
        await client.connect(server.local_addr())
        await client.shutdown()


@looped
async def test_another_key_is_an_authentication_failure() -> None:
    async with await IpsecServer.bind(SERVER, "127.0.0.1:0") as server:
        client = IpsecClient(
            ClientConfig(local_id="c.test", remote_id="server.test", psk=fynx.psk("", "x" * 40).secret)
        )
        with pytest.raises(AuthenticationFailed) as caught:
            await client.connect(server.local_addr())
        assert caught.value.code == 2001
        assert server.metrics().snapshot().authentication_failed == 1
        assert server.session_count() == 0


@looped
async def test_another_identity_than_expected_is_an_authentication_failure() -> None:
    async with await IpsecServer.bind(SERVER, "127.0.0.1:0") as server:
        with pytest.raises(AuthenticationFailed):
            await IpsecClient(replace(CLIENT, remote_id="other.test")).connect(server.local_addr())


@looped
async def test_proposals_that_do_not_meet_are_no_proposal_chosen() -> None:
    async with await IpsecServer.bind(SERVER, "127.0.0.1:0") as server:
        client = IpsecClient(replace(CLIENT, ike_proposals=("aes256gcm16-prfsha512-modp3072",)))
        with pytest.raises(NoProposalChosen) as caught:
            await client.connect(server.local_addr())
        assert caught.value.code == 1004
        assert client.metrics().snapshot().proposal_negotiation_failed == 1


@looped
async def test_server_bind_validates_and_a_port_in_use_is_io() -> None:
    with pytest.raises(InvalidParameter, match="local_id"):
        await IpsecServer.bind(ServerConfig(psk=fynx.psk("", KEY).secret), "127.0.0.1:0")
    async with await IpsecServer.bind(SERVER, "127.0.0.1:0") as server:
        with pytest.raises(Io):
            await IpsecServer.bind(SERVER, server.local_addr())


@looped
async def test_accept_can_time_out_and_ends_with_the_server() -> None:
    server = await IpsecServer.bind(SERVER, "127.0.0.1:0")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await server.accept()
    waiting = asyncio.create_task(server.accept())
    await asyncio.sleep(0)
    await server.shutdown()
    with pytest.raises(InvalidState, match="shut down"):
        await waiting
    await server.shutdown()


@looped
async def test_closing_one_session_tells_its_client_and_leaves_the_others() -> None:
    async with pair() as both:
        other, session = await both.another("second.test")
        assert both.server.session_count() == 2
        await both.session.close()
        assert both.server.session_count() == 1
        await soon(lambda: not both.client.connected)
        with pytest.raises(InvalidState, match="deleted"):
            await both.client.recv_packet()
        with pytest.raises(InvalidState, match="down"):
            await both.client.send_packet(both.packet())
        await session.send_packet(Datagram("fd66:796e:7800::1", other.address, b"you stay").packet())
        heard = parse(await other.recv_packet())
        assert heard is not None
        assert heard.payload == b"you stay"


@looped
async def test_multiple_sessions_each_get_their_own_packets() -> None:
    async with pair() as both:
        joined = await asyncio.gather(*(both.another(f"c{number}.test") for number in range(8)))
        for client, session in joined:
            await client.send_packet(Datagram(client.address, "fd66:796e:7800::1", session.peer_id.encode()).packet())
        for _, session in joined:
            heard = parse(await session.recv_packet())
            assert heard is not None
            assert heard.payload.decode() == session.peer_id


@looped
async def test_a_session_sends_to_its_own_client_alone() -> None:
    async with pair() as both:
        other, _ = await both.another("second.test")
        with pytest.raises(InvalidParameter, match=r"does not go to client\.test"):
            await both.session.send_packet(Datagram("fd66:796e:7800::1", other.address, b"not yours").packet())


@looped
async def test_send_packet_without_a_child_sa_is_internal() -> None:
    async with pair() as both:
        both.session.ike.children.clear()
        with pytest.raises(Internal, match="no Child SA"):
            await both.session.send_packet(both.packet())


@looped
async def test_a_liveness_check_really_asks() -> None:
    config = replace(QUICK, dpd=DpdConfig(timeout_s=0.5, max_retries=2), first_wait_s=None)
    async with pair(client=replace(config, psk=CLIENT.psk)) as both:
        carried = both.weather.passed
        assert await both.client.perform_dpd_check()
        assert both.weather.passed >= carried + 2  # more where the machine is so slow that a request is repeated
        assert not both.client.should_perform_dpd()
        both.weather.loss = 1.0
        assert not await both.client.perform_dpd_check()
        counted = both.client.metrics().snapshot()
        assert (counted.dpd_checks_total, counted.dpd_timeout, counted.dpd_success_rate) == (2, 1, 0.5)
        assert not both.client.connected


@looped
async def test_a_liveness_check_without_configuration_is_an_invalid_parameter() -> None:
    async with pair() as both:
        with pytest.raises(InvalidParameter, match="dead peer detection"):
            await both.client.perform_dpd_check()


@looped
async def test_dead_peer_detection_runs_by_itself() -> None:
    dpd = DpdConfig(interval_s=0.05, timeout_s=0.05, max_retries=2)
    async with pair(client=replace(CLIENT, dpd=dpd)) as both:
        both.weather.loss = 1.0
        with pytest.raises(InvalidState, match="does not answer"):
            await both.client.recv_packet()


@looped
async def test_rekeying_by_hand_replaces_the_child_and_an_unknown_spi_is_not_found() -> None:
    async with pair() as both:
        (old,) = both.client.child_spis()
        new = await both.client.rekey_child_sa(old)
        assert both.client.child_spis() == [new] != [old]
        assert await both.echo(b"after") == b"after"
        with pytest.raises(SaNotFound):
            await both.client.rekey_child_sa(old)
        assert both.client.metrics().snapshot().child_sa_rekeyed == 1
        (theirs,) = both.session.child_spis()
        assert await both.session.rekey_child_sa(theirs) in both.session.child_spis()
        assert await both.echo(b"again") == b"again"


@looped
async def test_rekeying_runs_by_itself_when_the_soft_limit_is_reached() -> None:
    async with pair(client=replace(QUICK, lifetime=SaLifetime(0.2, 5.0))) as both:
        rekeyed = [event async for event in _until(both.client, ChildRekeyed)]
        assert isinstance(rekeyed[-1], ChildRekeyed)
        assert await both.echo() == b"ping"


async def _until(client: IpsecClient, kind: type) -> object:  # type: ignore[misc]
    async for event in client.events():
        yield event
        if isinstance(event, kind):
            return


@looped
async def test_check_rekey_needed_lists_spis_past_the_soft_limit_in_bytes() -> None:
    async with pair(client=replace(QUICK, lifetime=SaLifetime(soft_bytes=100, hard_bytes=100000))) as both:
        assert both.client.check_rekey_needed() == []
        await both.client.send_batch([both.packet(bytes(100))])
        assert both.client.check_rekey_needed() == both.client.child_spis()  # at once: it is replaced in a moment
        await both.session.recv_packet()


@looped
async def test_a_client_that_reconnects_comes_back_by_itself() -> None:
    async with pair(client=replace(QUICK, reconnect=True)) as both:
        await both.session.close()
        _, session = await both.server.accept()
        await soon(lambda: both.client.connected)
        both.session = session
        assert await both.echo() == b"ping"


@looped
async def test_shutdown_tells_the_server_and_ends_the_events() -> None:
    async with pair() as both:
        seen = asyncio.create_task(_all(both.client))
        await asyncio.sleep(0)
        await both.client.shutdown()
        assert isinstance((await seen)[-1], IkeDown)
        await soon(lambda: both.server.session_count() == 0)


async def _all(client: IpsecClient) -> list[object]:
    return [event async for event in client.events()]


@looped
async def test_server_shutdown_closes_every_session() -> None:
    async with pair() as both:
        await both.another("second.test")
        await both.server.shutdown()
        assert both.server.session_count() == 0
        assert both.session.closed
        await soon(lambda: not both.client.connected)


@looped
async def test_a_session_survives_the_rekeying_of_its_ike_sa() -> None:
    from fynx.ike.effects import Rekey

    async with pair() as both:
        runtime = both.client._runtime
        assert runtime is not None
        before = both.session.ike
        runtime.host.command(Rekey("peer"))
        await soon(lambda: both.session.ike is not before)
        assert await both.echo() == b"ping"
        assert both.server.session_count() == 1
        await both.session.close()
        assert both.server.session_count() == 0


@looped
async def test_clients_with_keys_of_their_own() -> None:
    server = ServerConfig.builder().with_local_id("server.test").with_client_psk("client.test", KEY).build()
    async with pair(server=server) as both:
        assert await both.echo() == b"ping"
        with pytest.raises(AuthenticationFailed):
            await both.another("stranger.test")

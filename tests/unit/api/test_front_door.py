"""What ``import fynx`` offers: few names, loaded late, and a front without async (checklist 1.15, users 1.6)."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import fynx
from fynx.api import blocking
from fynx.api.datagram import Datagram, checksum, parse
from fynx.faults import InvalidParameter, InvalidState, NetworkTimeout
from fynx.testing import pair
from tests.unit.api.loops import KEY, looped


def test_at_most_20_public_names_and_all_can_be_had() -> None:
    assert len(fynx.__all__) <= 20
    assert all(getattr(fynx, name) is not None for name in fynx.__all__)
    assert set(dir(fynx)) == set(fynx.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        fynx.nonsense  # noqa: B018


@looped
async def test_connect_and_serve_in_two_lines() -> None:
    async with (
        fynx.serve("127.0.0.1:0", auth=fynx.psk("127.0.0.1", KEY)) as server,
        fynx.connect(server.local_addr(), auth=fynx.psk("alice@example.net", KEY)) as tunnel,
    ):
        assert tunnel.peer_id == "127.0.0.1"
        assert (await server.accept())[1].peer_id == "alice@example.net"


def test_half_a_call_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="auth="):
        fynx.connect("192.0.2.1")
    with pytest.raises(InvalidParameter, match="not both"):
        fynx.serve("192.0.2.1", config=fynx.ServerConfig(), auth=fynx.psk("a", KEY))


def test_the_blocking_front_connects_talks_and_closes() -> None:
    with (
        blocking.serve("127.0.0.1:0", auth=fynx.psk("s.test", KEY)) as server,
        blocking.connect(server.local_addr(), auth=fynx.psk("c.test", KEY), remote_id="s.test") as client,
    ):
        session = server.accept(5)
        sent = Datagram(client.address, "fd66:796e:7800::1", b"hello").packet()
        client.send(sent)
        assert session.recv(5) == sent
        with pytest.raises(TimeoutError):
            client.recv(0.01)
        assert client.metrics().esp_packets_encrypted == 1
        session.close()
        with pytest.raises(InvalidState):
            client.recv(5)
        assert list(client) == []


def test_the_blocking_front_raises_what_went_wrong_and_stops_its_thread() -> None:
    with pytest.raises(NetworkTimeout):
        blocking.connect("127.0.0.1:9", auth=fynx.psk("c.test", KEY), remote_id="s.test", timeout_s=0.1)


def test_a_gateway_from_yaml_and_a_client_of_the_library_are_peers(tmp_path: Path) -> None:
    text = f"""
    host: {{transport: {{udp: {{listen: ["127.0.0.1"], ports: [0]}}}}, plane: {{inproc: {{}}}}}}
    peers:
      road:
        remote: {{address: any, id: any, auth: {{psk: {{secret: "{KEY}"}}}}}}
        local: {{id: gw.test, auth: {{psk: {{secret: "{KEY}"}}}}}}
        children: {{net: {{local: 10.2.0.0/16, remote: 10.1.0.0/16}}}}
    """

    async def test() -> None:
        async with fynx.gateway(textwrap.dedent(text)) as gateway:
            port = gateway.host.port.local[0].local_port  # type: ignore[union-attr]
            auth, nets = fynx.psk("c.test", KEY), {"local_networks": ("10.1.0.7",), "remote_networks": ("10.2.0.0/16",)}
            async with fynx.connect(("127.0.0.1", port), auth=auth, remote_id="gw.test", **nets) as tunnel:
                sent = Datagram("10.1.0.7", "10.2.0.1", b"to the gateway").packet()
                await tunnel.send_packet(sent)
                assert await gateway.recv_packet() == sent
                back = Datagram("10.2.0.1", "10.1.0.7", b"from the gateway").packet()
                gateway.send_batch([back])
                assert await tunnel.recv_packet() == back

    asyncio.run(test())


def test_no_logging_is_configured() -> None:
    before = logging.getLogger().handlers[:], logging.getLogger("fynx").handlers[:]

    async def test() -> None:
        async with pair():
            pass

    asyncio.run(test())
    assert (logging.getLogger().handlers[:], logging.getLogger("fynx").handlers[:]) == before


def test_the_same_seed_makes_the_same_weather() -> None:
    from fynx.testing.pair import Weather

    first, second, other = (Weather(0.3, seed) for seed in (1, 1, 2))
    assert [first.passes(None) for _ in range(64)] == [second.passes(None) for _ in range(64)]
    assert [first.passes(None) for _ in range(64)] != [other.passes(None) for _ in range(64)]


@looped
async def test_a_pair_comes_up_through_any_pattern_of_loss() -> None:
    async with pair(loss=lambda number: number < 3) as both:
        assert both.weather.lost == 3
        assert await both.echo() == b"ping"
    async with pair(loss=0.3, seed=3) as both:
        both.weather.loss = 0.0
        assert await both.echo() == b"ping"


def test_the_fixture_works_in_another_project(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        textwrap.dedent(
            """
            import asyncio

            def test_mine(fynx_pair):
                async def run():
                    async with fynx_pair(loss=0.2) as both:
                        both.weather.loss = 0.0
                        assert await both.echo(b"hello") == b"hello"
                asyncio.run(run())
            """
        )
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_datagrams_are_whole_and_come_back() -> None:
    for here, there in (("192.0.2.1", "198.51.100.2"), ("2001:db8::1", "fd00::2")):
        made = Datagram(here, there, b"payload", 1, 2)
        assert parse(made.packet()) == made
        assert made.reply(b"x") == Datagram(there, here, b"x", 2, 1)
    assert checksum(Datagram("192.0.2.1", "198.51.100.2", b"").packet()[:20]) == 0
    assert parse(b"") is parse(b"\x45" + bytes(30)) is None
    with pytest.raises(ValueError, match="do not talk"):
        Datagram("192.0.2.1", "fd00::1", b"").packet()

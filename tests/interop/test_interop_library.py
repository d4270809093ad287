"""The library and strongSwan are peers: a client made in a program, and a server, without TUN device and daemon."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from lab.charon import Charon
from lab.plan import Plan
from lab.topology import Topology, direct, inner
from lab.wait import until

import fynx
from fynx.api.client import IpsecClient
from fynx.api.config import ClientConfig, ServerConfig
from fynx.api.datagram import checksum
from fynx.api.server import IpsecServer

PLAN = Plan()
HERE, THERE = inner(0), inner(1)


def echo(number: int, *, reply: bool = False) -> bytes:
    """An ICMP echo request (RFC 792), or the answer to it."""
    body = struct.pack("!BBHHH", 0 if reply else 8, 0, 0, 7, number) + b"from the library"
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    addresses = IPv4Address(HERE).packed + IPv4Address(THERE).packed
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, 1, 0) + addresses
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


@contextmanager
def strongswan(directory: Path) -> Iterator[tuple[Topology, Charon]]:
    with direct() as world:
        charon = Charon(world.right, directory, {})
        try:
            charon.start()
            charon.load(PLAN, world.left)
            yield world, charon
        finally:
            charon.stop()


@pytest.mark.parametrize("cipher", ["aes128gcm16", "chacha20poly1305"])
def test_a_client_of_the_library_pings_through_strongswan_rekeys_and_says_goodbye(tmp_path: Path, cipher: str) -> None:
    config = (
        ClientConfig.builder()
        .with_local_id("left.test")
        .with_remote_id("right.test")
        .with_psk(PLAN.secret)
        .with_esp_proposals([cipher])
        .with_networks(local=[f"{HERE}/32"], remote=[f"{THERE}/32"])
        .build()
    )

    async def ping(client: IpsecClient, numbers: range) -> None:
        await client.send_batch([echo(number) for number in numbers])
        for number in numbers:
            answer = await client.recv_packet()
            assert answer[20] == 0
            assert struct.unpack_from("!H", answer, 26) == (number,)

    async def test() -> None:
        async with asyncio.timeout(90), IpsecClient(config) as client:
            await client.connect(world.right.seen)
            assert client.peer_id == "right.test"
            await ping(client, range(5))
            await client.rekey_child_sa(client.child_spis()[0])
            await ping(client, range(5, 10))
            now = client.metrics().snapshot()
            assert (now.esp_packets_encrypted, now.esp_packets_decrypted, now.child_sa_rekeyed) == (10, 10, 1)

    with strongswan(tmp_path) as (world, charon):
        charon.load(PLAN.with_esp(cipher), world.left)
        world.left.namespace.inside(lambda: asyncio.run(test()))
        until(lambda: charon.ike_sa_count() == 0, "strongSwan has let go of it")


def serve_once(listening: socket.socket, page: bytes) -> None:
    """On the kernel's TCP behind strongSwan: takes all until the other side ends, answers with digest and page."""
    with listening, listening.accept()[0] as stream:
        taken = hashlib.sha256()
        while data := stream.recv(65536):
            taken.update(data)
        stream.sendall(taken.digest() + page)


def test_tcp_of_a_program_without_a_kernel_of_its_own_goes_through_strongswan(tmp_path: Path) -> None:
    sent, page = os.urandom(1_000_000), os.urandom(1_000_000)

    async def test(gateway: str) -> None:
        auth = fynx.psk("left.test", PLAN.secret)
        here, there = (f"{HERE}/32",), (f"{THERE}/32",)
        opening = fynx.connect(gateway, auth=auth, remote_id="right.test", local_networks=here, remote_networks=there)
        async with asyncio.timeout(90), opening as tunnel:
            reader, writer = await tunnel.open_connection(THERE, 8000)
            writer.write(sent)
            writer.write_eof()
            answer = await reader.read()
            writer.close()
            assert answer == hashlib.sha256(sent).digest() + page

    with strongswan(tmp_path) as (world, _):
        listening = world.right.namespace.inside(lambda: socket.create_server((THERE, 8000)))
        listening.settimeout(90)
        server = threading.Thread(target=serve_once, args=(listening, page))
        server.start()
        try:
            world.left.namespace.inside(lambda: asyncio.run(test(world.right.seen)))
        finally:
            listening.close()
            server.join()


def test_strongswan_dials_a_server_of_the_library(tmp_path: Path) -> None:
    config = (
        ServerConfig.builder()
        .with_local_id("left.test")
        .with_psk(PLAN.secret)
        .with_networks(local=[f"{HERE}/32"], remote=[f"{THERE}/32"])
        .build()
    )

    async def test() -> None:
        async with asyncio.timeout(90), await IpsecServer.bind(config, (world.left.address, 500)) as server:
            await asyncio.to_thread(charon.up, PLAN)
            _, session = await server.accept()
            assert session.peer_id == "right.test"
            await session.send_packet(echo(1))
            answer = await session.recv_packet()
            assert answer[20:] == echo(1, reply=True)[20:]

    with strongswan(tmp_path) as (world, charon):
        world.left.namespace.inside(lambda: asyncio.run(test()))
        until(lambda: charon.ike_sa_count() == 0, "strongSwan has let go of it")

"""Leases that outlive the process, and two whole hosts of which one leases an address to the other."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fynx.config import Child, Choice
from fynx.config.model import Pool
from fynx.events import AddressAssigned
from fynx.ike.policy import PoolPolicy
from fynx.plugin import Identity, OpenStore
from fynx.plugin.work import Lease
from fynx.run.host import Host
from fynx.run.leases import Leases
from fynx_plugins.memory import Switchboard
from fynx_plugins.store_file.store import FileStore, FileStoreConfig
from tests.unit.run.pair import on_switchboard, plane, registry, run, soon

POOL = PoolPolicy("office", ((bytes((198, 18, 0, 1)), bytes((198, 18, 0, 2))),))
ALICE, BOB, CAROL = (Identity(2, name) for name in (b"alice.test", b"bob.test", b"carol.test"))
FIRST, SECOND = bytes((198, 18, 0, 1)), bytes((198, 18, 0, 2))


def store_in(folder: Path) -> OpenStore:
    folder.mkdir(mode=0o700, exist_ok=True)
    return FileStore().open(FileStoreConfig(str(folder)))


def ask(identity: Identity) -> Lease:
    return Lease("office", identity, (4,))


async def written(folder: Path, count: int) -> None:
    await soon(lambda: len(list(folder.glob("lease/office.*"))) == count)


def test_a_lease_is_found_again_by_the_next_run(tmp_path: Path) -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        first = Leases([POOL], store_in(tmp_path / "store"), loop)
        assert first.lease(ask(ALICE)) == (FIRST,)
        assert first.lease(ask(BOB)) == (SECOND,)
        await written(tmp_path / "store", 2)
        first.close()
        second = Leases([POOL], store_in(tmp_path / "store"), loop)
        assert second.lease(ask(BOB)) == (SECOND,)
        assert second.lease(ask(ALICE)) == (FIRST,)
        second.close()

    run(test)


def test_a_lease_that_goes_to_another_is_no_longer_written_down(tmp_path: Path) -> None:
    async def test() -> None:
        leases = Leases([POOL], store_in(tmp_path / "store"), asyncio.get_running_loop())
        leases.lease(ask(ALICE))
        leases.lease(ask(BOB))
        leases.give_back("office", ALICE)
        assert leases.lease(ask(CAROL)) == (FIRST,)

        def names() -> set[str]:
            found = set()
            for one in tmp_path.glob("store/lease/office.*"):
                with suppress(FileNotFoundError):  # it goes while we look
                    found.add(json.loads(one.read_text())["identity"]["name"])
            return found

        await soon(lambda: names() == {"bob.test", "carol.test"})
        leases.close()

    run(test)


class Broken:
    """A store on a full disk."""

    def read(self, kind: str, key: str) -> bytes | None:
        return b"{not json" if kind == "lease" and key else None

    def write(self, kind: str, key: str, value: bytes) -> None:
        raise OSError(28, f"No space left on device: {kind}/{key}, {len(value)} octets")

    def delete(self, kind: str, key: str) -> None:
        raise OSError(28, f"No space left on device: {kind}/{key}")

    def scan(self, kind: str) -> Iterator[str]:
        return iter(("office.broken",) if kind == "lease" else ())


def test_leases_go_on_when_the_store_fails(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        with caplog.at_level(logging.WARNING, "fynx.run"):
            leases = Leases([POOL], Broken(), asyncio.get_running_loop())
            assert leases.lease(ask(ALICE)) == (FIRST,)
            await soon(lambda: "No space left" in caplog.text)
        assert "office.broken of an earlier run is passed over" in caplog.text
        leases.close()

    run(test)


def gateway(network: Switchboard, pool: Pool, store: Choice | None = None) -> Host:
    child = Child(local=("10.2.0.0/16",), remote=("dynamic",))
    made = on_switchboard("right", network, children={"net": child}, pool="office")
    return Host(replace(made, host=replace(made.host, pools={"office": pool}, store=store)), registry())


def client(network: Switchboard, **peer: Any) -> Host:
    child = Child(local=("dynamic",), remote=("10.2.0.0/16",))
    return Host(
        on_switchboard("left", network, **{"children": {"net": child}, "request": ("ipv4", "dns"), **peer}), registry()
    )


def inner(source: bytes, destination: bytes) -> bytes:
    return bytes([0x45, 0, 0, 28, 0, 7, 0, 0, 64, 17, 0, 0]) + source + destination + bytes(8)


async def stopped(*hosts: Host) -> None:
    for host in hosts:
        await host.stop(graceful=False)


def test_a_client_and_a_gateway_carry_packets_of_the_leased_address() -> None:
    async def test() -> None:
        network = Switchboard()
        here, there = client(network), gateway(network, Pool(addresses=("198.18.0.0/24",), dns=("10.2.0.53",)))
        heard: list[Any] = []
        await there.start()
        await here.start()
        here.subscribe(heard.append)
        try:
            await here.up("right")
            (told,) = [event for event in heard if isinstance(event, AddressAssigned)]
            assert (told.addresses, told.dns) == (("198.18.0.1",), ("10.2.0.53",))
            assert here.status()["peers"][0]["virtual"] == {  # type: ignore[index]
                "ours": True,
                "addresses": ["198.18.0.1"],
                "dns": ["10.2.0.53"],
                "domains": [],
                "subnets": [],
                "version": "",
            }
            assert there.status()["pools"] == {"office": {"online": 1, "kept": 0}}
            packet = inner(FIRST, bytes((10, 2, 0, 9)))
            plane(here).send_inner([inner(SECOND, bytes((10, 2, 0, 9))), packet])
            await soon(lambda: plane(there).recv_inner() == [packet])
            back = inner(bytes((10, 2, 0, 9)), FIRST)
            plane(there).send_inner([inner(bytes((10, 2, 0, 9)), SECOND), back])
            await soon(lambda: plane(here).recv_inner() == [back])
            await here.down("right")
            await soon(lambda: there.status()["pools"] == {"office": {"online": 0, "kept": 1}})
        finally:
            await stopped(here, there)

    run(test)


def test_a_gateway_that_starts_again_gives_the_same_address(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir(mode=0o700)
    store = Choice("file", FileStoreConfig(str(folder)))

    async def leased(network: Switchboard, pool: Pool) -> list[str]:
        here, there = client(network), gateway(network, pool, store)
        await there.start()
        await here.start()
        try:
            await here.up("right")
            await written(folder, 1)
            return list(here.status()["peers"][0]["virtual"]["addresses"])  # type: ignore[index]
        finally:
            await stopped(here, there)

    async def test() -> None:
        assert await leased(Switchboard(), Pool(addresses=("198.18.0.5-198.18.0.5",))) == ["198.18.0.5"]
        assert await leased(Switchboard(), Pool(addresses=("198.18.0.1-198.18.0.9",))) == ["198.18.0.5"]

    run(test)


def test_a_store_that_others_can_read_stops_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir(mode=0o755)

    async def test() -> None:
        host = gateway(Switchboard(), Pool(addresses=("198.18.0.0/24",)), Choice("file", FileStoreConfig(str(folder))))
        with pytest.raises(Exception, match="chmod 0700"):
            await host.start()

    run(test)

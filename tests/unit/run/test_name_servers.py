"""The file of the system's name servers: only where it is named, and put back after the tunnel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fynx.config.model import Pool
from fynx.run.host import Host
from fynx.run.nameservers import SAVED, ResolvConf
from fynx_plugins.memory import Switchboard
from tests.unit.run.pair import on_switchboard, registry, run, soon
from tests.unit.run.test_leases import client, gateway, stopped

BEFORE = "nameserver 192.0.2.53\nsearch example.net\n"
DURING = "# Written by fynx\nnameserver 10.2.0.53\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "resolv.conf"
    path.write_text(BEFORE)
    return path


def asking(network: Switchboard, file: Path | None, *request: str) -> Host:
    made = client(network, request=request or ("ipv4", "dns")).config
    return Host(replace(made, host=replace(made.host, resolv_conf=str(file) if file else None)), registry())


def tunnel(file: Path | None, during: Any, *request: str, domains: tuple[str, ...] = ()) -> None:
    async def test() -> None:
        network = Switchboard()
        pool = Pool(addresses=("198.18.0.0/24",), dns=("10.2.0.53",), split_dns=domains)
        here, there = asking(network, file, *request), gateway(network, pool)
        await there.start()
        await here.start()
        try:
            await here.up("right")
            await during(here)
        finally:
            await stopped(here, there)

    run(test)


def test_the_servers_stand_in_the_file_while_the_tunnel_does(file: Path) -> None:
    async def during(here: Host) -> None:
        await soon(lambda: file.read_text() == DURING)
        await here.down("right")
        await soon(lambda: file.read_text() == BEFORE)

    tunnel(file, during)


def test_the_end_of_the_host_puts_it_back(file: Path) -> None:
    async def during(_: Host) -> None:
        await soon(lambda: file.read_text() == DURING)

    tunnel(file, during)
    assert file.read_text() == BEFORE
    assert list(file.parent.iterdir()) == [file]


def test_nothing_is_written_for_domains_alone_or_where_no_file_is_named(file: Path) -> None:
    untouched = file.stat().st_ino  # whatever is written is a new file

    async def during(here: Host) -> None:
        assert here.status()["peers"][0]["virtual"]["dns"] == ["10.2.0.53"]  # type: ignore[index]
        await here.down("right")

    tunnel(file, during, "ipv4", "split_dns", domains=("corp.example.net",))
    tunnel(None, during)
    assert (file.stat().st_ino, file.read_text()) == (untouched, BEFORE)


def test_what_a_crash_left_is_put_back_by_the_next_start(file: Path) -> None:
    ResolvConf(file).use(("10.2.0.53",))
    assert file.read_text() == DURING

    async def test() -> None:
        made = on_switchboard("left", Switchboard())
        host = Host(replace(made, host=replace(made.host, resolv_conf=str(file))), registry())
        await host.start()
        await soon(lambda: file.read_text() == BEFORE)
        await host.stop(graceful=False)

    run(test)


def test_a_file_that_another_program_manages_is_left_alone(file: Path) -> None:
    link = file.with_name("link")
    link.symlink_to(file)
    with pytest.raises(OSError, match="another program"):
        ResolvConf(link).use(("10.2.0.53",))
    assert file.read_text() == BEFORE
    assert not link.with_name(link.name + SAVED).exists()

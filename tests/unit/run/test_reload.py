"""A running host with another configuration: what is unchanged loses no packet, a broken file changes nothing (L3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from fynx.config import Child, Config, Local, load
from fynx.errors import ConfigError
from fynx.events import ChildDown, ChildRekeyed, ChildUp, Event, IkeDown
from fynx.run import reload as reloading
from fynx.run.client import Control
from fynx.run.host import Host
from tests.unit.run.pair import Pair, packet, pair, plane, psk, registry, run, soon

NET = Child(local=("10.1.0.0/16",), remote=("10.2.0.0/16",))
DMZ = Child(local=("10.1.0.0/16",), remote=("10.4.0.0/16",))


def mirrored(**children: Child) -> dict[str, Child]:
    return {name: replace(one, local=one.remote, remote=one.local) for name, one in children.items()}


@dataclass
class Reloaded:
    """Hands a host configurations as if they had been read from its file."""

    host: Host
    monkeypatch: pytest.MonkeyPatch
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.host.subscribe(self.events.append)

    async def peer(self, **changes: Any) -> dict[str, Any]:
        """The host's one peer with other fields."""
        ((name, peer),) = self.host.config.peers.items()
        return await self.config(replace(self.host.config, peers={name: replace(peer, **changes)}))

    async def config(self, written: Config, *, dry: bool = False) -> dict[str, Any]:
        self.monkeypatch.setattr(reloading, "load", lambda *_, **__: written)
        return await self.host.reload("written.yaml", dry=dry)

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


class Stream:
    """Numbered packets from left to right without a pause; counts what arrives."""

    def __init__(self, both: Pair) -> None:
        self._both, self.sent = both, 0
        self.arrived: list[bytes] = []
        self._task = asyncio.ensure_future(self._flow())

    async def _flow(self) -> None:
        while True:
            self.sent += 1
            plane(self._both.left).send_inner([packet("left", self.sent)])
            self.arrived += plane(self._both.right).recv_inner()
            await asyncio.sleep(0.001)

    async def end(self) -> None:
        self._task.cancel()
        await soon(lambda: self.arrived.extend(plane(self._both.right).recv_inner()) or len(self.arrived) >= self.sent)


@asynccontextmanager
async def tunnel(
    monkeypatch: pytest.MonkeyPatch, left: dict[str, Any] | None = None, right: dict[str, Any] | None = None
) -> AsyncIterator[tuple[Pair, Reloaded]]:
    async with pair(left=left, right=right) as both:
        await both.left.up("right")
        yield both, Reloaded(both.left, monkeypatch)


def test_what_is_unchanged_loses_no_packet_and_sends_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with tunnel(monkeypatch) as (both, reloaded):
            stream = Stream(both)
            await asyncio.sleep(0.05)
            before = both.left.driver.endpoint.snapshot()
            for liveness in (40.0, 50.0, 60.0):
                found = await reloaded.peer(liveness_s=liveness, unique="keep")
                assert found["peers"][0]["outcome"] == "stay"
                await asyncio.sleep(0.02)
            await stream.end()
            assert both.left.driver.endpoint.snapshot() == before
            assert len(stream.arrived) == stream.sent
            assert not reloaded.of(ChildDown)

    run(test)


def test_other_algorithms_are_rekeyed_under_traffic_without_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with tunnel(monkeypatch) as (both, reloaded):
            stream = Stream(both)
            await asyncio.sleep(0.05)
            found = await reloaded.peer(children={"net": replace(NET, esp=("aes256gcm16",))})
            assert found["peers"][0]["children"][0]["outcome"] == "rekey"
            await soon(lambda: reloaded.of(ChildRekeyed))
            await asyncio.sleep(0.05)
            await stream.end()
            assert len(stream.arrived) == stream.sent
            (sa,) = both.left.driver.endpoint.snapshot()
            assert {child.esp for child in sa.children} == {"aes256gcm16"}

    run(test)


def test_a_new_child_comes_up_and_a_removed_one_goes_while_the_other_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        right = {"children": mirrored(net=NET, dmz=DMZ)}
        async with tunnel(monkeypatch, {"start": "initiate"}, right) as (both, reloaded):
            stream = Stream(both)
            found = await reloaded.peer(children={"net": NET, "dmz": DMZ})
            assert [(one["name"], one["outcome"], one["starts"]) for one in found["peers"][0]["children"]] == [
                ("net", "stay", False),
                ("dmz", "add", True),
            ]
            await soon(lambda: both.left.children_up("right") == {"net", "dmz"})
            await reloaded.peer(children={"net": NET})
            await soon(lambda: reloaded.of(ChildDown))
            assert both.left.children_up("right") == {"net"}
            await stream.end()
            assert len(stream.arrived) == stream.sent
            (down,) = reloaded.of(ChildDown)
            assert isinstance(down, ChildDown)
            assert down.child == "dmz"

    run(test)


def test_wider_selectors_are_there_before_the_old_ones_go(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = replace(NET, remote=("10.2.0.0/16", "10.4.0.0/16"))

    async def test() -> None:
        right = {"children": mirrored(net=wide)}
        async with tunnel(monkeypatch, None, right) as (both, reloaded):
            stream = Stream(both)
            await reloaded.peer(children={"net": wide})
            await soon(lambda: reloaded.of(ChildDown))
            await stream.end()
            assert len(stream.arrived) == stream.sent
            assert [type(one) for one in reloaded.events if isinstance(one, ChildUp | ChildDown)] == [
                ChildUp,
                ChildDown,
            ]

    run(test)


def test_another_secret_ends_the_sa_and_the_new_one_proves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with tunnel(monkeypatch, {"start": "initiate"}) as (both, reloaded):
            other = psk(b"another secret of the unit tests, long enough")
            there = Reloaded(both.right, monkeypatch)
            peer = both.right.config.peers["left"]
            await there.peer(local=replace(peer.local, auth=other), remote=replace(peer.remote, auth=other))
            peer = both.left.config.peers["right"]
            found = await reloaded.peer(local=replace(peer.local, auth=other), remote=replace(peer.remote, auth=other))
            assert found["peers"][0]["outcome"] == "remake"
            assert found["peers"][0]["changed"] == ["local_auth", "remote_auth"]
            await soon(lambda: reloaded.of(ChildUp))
            assert reloaded.of(IkeDown)

    run(test)


def test_a_plan_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with tunnel(monkeypatch) as (both, reloaded):
            before, config = both.left.driver.endpoint.snapshot(), both.left.config
            found = await reloaded.config(replace(config, peers={}), dry=True)
            assert found["schema"] == "fynx.plan/1"
            (peer,) = found["peers"]
            assert (peer["name"], peer["outcome"], peer["up"]) == ("right", "drop", True)
            assert both.left.driver.endpoint.snapshot() == before
            assert both.left.config is config

    run(test)


def test_a_peer_that_is_gone_is_deleted_and_no_longer_known(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with tunnel(monkeypatch, {"start": "initiate"}) as (both, reloaded):
            await reloaded.config(replace(both.left.config, peers={}))
            await soon(lambda: not both.left.driver.endpoint.sas and not both.right.driver.endpoint.sas)
            assert both.left.status()["peers"] == []
            await asyncio.sleep(0.05)
            assert not both.left.driver.endpoint.sas

    run(test)


def test_what_needs_a_restart_is_named_and_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with tunnel(monkeypatch) as (both, reloaded):
            host = replace(both.left.config.host, keylog="/nowhere/keys", half_open_limit=7)
            written = replace(both.left.config, host=host, kill_switch=False)
            for _ in range(2):
                found = await reloaded.config(written)
                assert found["needs_restart"] == ["kill_switch", "host.keylog"]
            assert both.left.config.host.keylog is None
            assert both.left.driver.endpoint.policy.half_open_limit == 7

    run(test)


FILE = """
name: left
host: {{transport: {{udp: {{listen: [127.0.0.1], ports: [0, 0]}}}}, plane: {{inproc: {{}}}}}}
peers:
  right:
    remote: {{address: 192.0.2.2, id: right.test, auth: {{psk: {{secret: "{secret}"}}}}}}
    local: {{id: left.test, auth: {{psk: {{secret: "{secret}"}}}}}}
    start: none
    liveness_s: {liveness}
    children: {{net: {{local: 10.1.0.0/16, remote: 10.2.0.0/16}}}}
"""


def write(file: Path, liveness: object, secret: str = "a secret of the unit tests, forty octets") -> Path:
    file.write_text(FILE.format(liveness=liveness, secret=secret))
    file.chmod(0o600)
    return file


def test_l3_a_broken_file_leaves_everything_as_it_was(tmp_path: Path) -> None:
    file = write(tmp_path / "left.yaml", 30)

    async def test() -> None:
        host = Host(load(file, registry=registry()), registry(), directory=tmp_path / "run")
        await host.start()
        before = host.config
        write(file, "soon")
        with pytest.raises(ConfigError, match="liveness_s"):
            await host.reload()
        assert host.config is before

        def ask() -> None:
            with Control(tmp_path / "run" / "left.sock") as control:
                with pytest.raises(ConfigError) as caught:
                    control.ask("reload")
                assert [one.path for one in caught.value.problems] == ["peers.right.liveness_s"]
                write(file, 45)
                assert control.ask("plan")["peers"][0]["changed"] == ["liveness_s"]
                assert host.config is before
                control.ask("reload", file=str(file))

        await asyncio.to_thread(ask)
        assert host.config.peers["right"].liveness_s == 45
        await host.stop()

    run(test)


def test_the_same_secret_read_again_is_no_change_and_another_one_is(tmp_path: Path) -> None:
    file = write(tmp_path / "left.yaml", 30)

    async def test() -> None:
        host = Host(load(file, registry=registry()), registry())
        await host.start()
        assert (await host.reload())["peers"][0]["outcome"] == "stay"
        write(file, 30, "another secret of the unit tests, as long")
        assert (await host.reload(dry=True))["peers"][0]["outcome"] == "remake"
        await host.stop()

    run(test)


def test_a_name_that_resolves_to_another_address_is_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with tunnel(monkeypatch) as (both, reloaded):
            peer = both.left.config.peers["right"]
            named = replace(
                both.left.config, peers={"right": replace(peer, remote=replace(peer.remote, address=("gw",)))}
            )
            both.left._resolver.known["gw"] = ("192.0.2.2",)
            await reloaded.config(named)
            both.left._resolver.known["gw"] = ("198.51.100.9",)
            found = await reloaded.config(named)
            assert found["peers"][0]["outcome"] == "stay"
            assert both.left.children_up("right")

    run(test)


def test_another_identity_of_ours_makes_the_sa_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with tunnel(monkeypatch) as (_, reloaded):
            found = await reloaded.peer(local=Local(id="other.test", auth=psk()))
            assert (found["peers"][0]["outcome"], found["peers"][0]["changed"]) == ("remake", ["local_id"])
            await soon(lambda: reloaded.of(IkeDown))

    run(test)

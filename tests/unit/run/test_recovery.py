"""What follows when a peer dies, closes, or comes back from a crash: ``on_dead``, ``on_close``, ``inactivity_s``."""

from __future__ import annotations

import asyncio
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fynx.config import Child, Choice, Config
from fynx.config import Host as HostSection
from fynx.events import ChildDown, ChildUp, CrashDetected, Event, IkeDown, PeerDead
from fynx.ike.effects import CheckLiveness
from fynx.run import token_secret
from fynx.run.files import RunFiles
from fynx.run.host import Host
from fynx_plugins.memory import Switchboard
from fynx_plugins.store_file.store import FileStoreConfig
from tests.unit.run.pair import Pair, on_switchboard, packet, pair, plane, registry, run, soon

NEVER_S = 0.2
"""Long enough for what must not happen: everything else here takes a few milliseconds."""


def listen(host: Host) -> list[Event]:
    seen: list[Event] = []
    host.subscribe(seen.append)
    return seen


def ups(seen: list[Event]) -> int:
    return sum(isinstance(event, ChildUp) for event in seen)


async def die(both: Pair) -> None:
    """The right host falls silent, the left one notices; then the network is there again, and so is the right."""
    seen = listen(both.left)
    both.network.passes = lambda _datagram: False
    both.left.command(CheckLiveness("right"))
    await soon(lambda: any(isinstance(event, PeerDead) for event in seen))
    both.network.passes = lambda _datagram: True


@pytest.mark.parametrize("start", ["none", "initiate"])
@pytest.mark.parametrize("on_dead", ["clear", "restart", "trap"])
def test_on_dead_says_what_follows_when_a_peer_does_not_answer(on_dead: str, start: str) -> None:
    async def test() -> None:
        async with pair(left={"on_dead": on_dead, "start": start}) as both:
            await both.left.up("right")
            seen = listen(both.left)
            await die(both)
            if on_dead == "restart":
                await soon(lambda: ups(seen))
                return
            await asyncio.sleep(NEVER_S)
            assert not ups(seen)
            plane(both.left).send_inner([packet()])
            if on_dead == "trap":
                await soon(lambda: ups(seen))
                return
            await asyncio.sleep(NEVER_S)
            assert not ups(seen)
            await both.left.up("right")

    run(test)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("on_close", ["none", "restart", "trap"])
def test_on_close_says_what_follows_when_the_peer_deletes(on_close: str, *, whole: bool) -> None:
    async def test() -> None:
        async with pair(left={"on_close": on_close, "start": "initiate"}) as both:
            await both.left.up("right")
            seen = listen(both.left)
            await both.right.down("left", "" if whole else "net")
            await soon(lambda: any(isinstance(event, ChildDown) for event in seen))
            if on_close == "restart":
                await soon(lambda: ups(seen))
                return
            await asyncio.sleep(1.5)  # longer than the pause before a tunnel that is wanted is called again
            assert not ups(seen)
            plane(both.left).send_inner([packet()])
            if on_close == "trap":
                await soon(lambda: ups(seen))
            else:
                await asyncio.sleep(NEVER_S)
                assert not ups(seen)

    run(test)


def test_a_responder_calls_back_with_on_dead_restart() -> None:
    async def test() -> None:
        async with pair(right={"on_dead": "restart"}) as both:
            await both.left.up("right")
            seen = listen(both.right)
            both.network.passes = lambda _datagram: False
            both.right.command(CheckLiveness("left"))
            await soon(lambda: any(isinstance(event, PeerDead) for event in seen))
            both.network.passes = lambda _datagram: True
            await soon(lambda: ups(seen))

    run(test)


def test_our_own_down_is_neither_death_nor_close() -> None:
    async def test() -> None:
        options: dict[str, Any] = {"on_dead": "restart", "on_close": "restart"}
        async with pair(left=options) as both:
            await both.left.up("right")
            await both.left.down("right")
            seen = listen(both.left)
            await asyncio.sleep(1.5)
            assert not ups(seen)

    run(test)


def test_a_child_that_was_idle_goes_and_traffic_brings_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fynx.ike.recovery.LOOK_LEAST_S", 0.02)
    monkeypatch.setattr("fynx.run.driver.ACTIVITY_S", 0.01)
    idle = Child(local=("10.1.0.0/16",), remote=("10.2.0.0/16",), inactivity_s=1.0)

    async def test() -> None:
        async with pair(left={"children": {"net": idle}, "start": "initiate"}) as both:
            await both.left.up("right")
            seen = listen(both.left)
            for _ in range(75):
                plane(both.left).send_inner([packet()])
                await asyncio.sleep(0.02)
            assert not seen, "it carried packets out, and none came back"
            await soon(lambda: [event.cause for event in seen if isinstance(event, ChildDown)] == ["idle"])
            await asyncio.sleep(1.5)
            assert not ups(seen)
            plane(both.left).send_inner([packet()])
            await soon(lambda: ups(seen))

    run(test)


# Crashes.


async def crash(host: Host) -> None:
    """Ends without a farewell, as SIGKILL would, but gives the address back."""
    await host.stop(graceful=False)


def test_a_host_that_comes_back_from_a_crash_is_known_at_once(tmp_path: Path) -> None:
    async def test() -> None:
        network = Switchboard()
        left = Host(on_switchboard("left", network, start="initiate", on_dead="restart"), registry())
        right = Host(on_switchboard("right", network), registry(), directory=tmp_path)
        await right.start()
        await left.start()
        await left.up("right")
        await crash(right)
        kept = tmp_path / "right.token"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        again = Host(on_switchboard("right", network), registry(), directory=tmp_path)
        await again.start()
        seen = listen(left)
        left.command(CheckLiveness("right"))
        await soon(lambda: ups(seen))
        assert [type(one) for one in seen if isinstance(one, CrashDetected | PeerDead | IkeDown)] == [
            CrashDetected,
            IkeDown,
        ]
        await left.stop()
        await soon(lambda: not again.driver.endpoint.sas)
        await again.stop()
        assert not kept.exists(), "after an orderly end nobody needs a token"

    run(test)


def made(files: RunFiles | None, **host: Any) -> bytes:
    return token_secret.crash_secret(
        Config(name="hq", host=HostSection(**host), registry=registry()), registry(), files
    )


def test_the_secret_is_kept_beside_the_state_file_or_in_the_store(tmp_path: Path) -> None:
    files = RunFiles("hq", tmp_path)
    first = made(files)
    assert len(first) == 32
    assert made(files) == first
    token_secret.forget(files)
    assert made(files) != first
    store = tmp_path / "store"
    store.mkdir(mode=0o700)
    chosen = Choice("file", FileStoreConfig(str(store)))
    stored = made(None, store=chosen)
    assert len(stored) == 32
    assert made(files, store=chosen) == stored
    token_secret.forget(files)
    assert made(None, store=chosen) == stored


def test_without_a_place_or_when_turned_off_no_tokens_are_made(tmp_path: Path) -> None:
    assert made(None) == b""
    assert made(RunFiles("hq", tmp_path), crash_detection=False) == b""
    assert made(RunFiles("hq", tmp_path / "missing")) == b""


def test_a_secret_that_others_can_read_or_that_is_cut_is_replaced(tmp_path: Path) -> None:
    files = RunFiles("hq", tmp_path)
    first = made(files)
    (tmp_path / "hq.token").chmod(0o644)
    second = made(files)
    assert second != first
    (tmp_path / "hq.token").write_bytes(second[:31])
    assert len(made(files)) == 32
    victim = tmp_path / "victim"
    victim.write_bytes(bytes(32))
    (tmp_path / "hq.token").unlink()
    (tmp_path / "hq.token").symlink_to(victim)
    assert made(files) == b"", "a symbolic link is not followed"
    assert victim.read_bytes() == bytes(32)


def test_the_secret_shows_in_no_repr(tmp_path: Path) -> None:
    async def test() -> None:
        host = Host(on_switchboard("left", Switchboard()), registry(), directory=tmp_path)
        await host.start()
        policy = host.driver.endpoint.policy
        assert policy.crash_secret
        assert repr(policy.crash_secret)[2:10] not in repr(policy)
        assert "crash_secret" not in repr(replace(policy))
        await host.stop()

    run(test)

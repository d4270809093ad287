"""A peer without children that may stand without one: its IKE SA is what is brought up, and kept up (RFC 6023)."""

from __future__ import annotations

import pytest

from fynx.run.failures import HostError
from fynx.run.host import Host
from tests.unit.run.pair import pair, run, soon

BARE: dict[str, object] = {"children": {}, "childless": True}


def spis(host: Host) -> list[str]:
    peers = host.status()["peers"]
    assert isinstance(peers, list)
    return [peer["spi_i"] for peer in peers if peer["state"] == "established"]


def test_up_returns_when_the_ike_sa_stands_and_says_so_at_once_when_it_does() -> None:
    async def test() -> None:
        async with pair(left=BARE, right={"childless": True}) as both:
            await both.left.up("right", timeout_s=5)
            (first,) = spis(both.left)
            await both.left.up("right", timeout_s=5)
            assert spis(both.left) == [first]
            await both.left.down("right")
            await soon(lambda: not spis(both.right))
            assert spis(both.left) == []

    run(test)


def test_it_comes_up_by_itself_where_the_peer_starts() -> None:
    async def test() -> None:
        async with pair(left={**BARE, "start": "initiate"}, right={"childless": True}) as both:
            await soon(lambda: spis(both.left) and spis(both.right))

    run(test)


@pytest.mark.parametrize(("on_close", "back"), [("restart", True), ("none", False)])
def test_what_follows_when_the_peer_deletes_it_says_on_close(on_close: str, back: bool) -> None:
    async def test() -> None:
        async with pair(left={**BARE, "on_close": on_close}, right={"childless": True}) as both:
            await both.left.up("right", timeout_s=5)
            (first,) = spis(both.left)
            await both.right.down("left")
            await soon(lambda: spis(both.left) != [first])
            caller = both.left._callers["right"]
            assert (caller.state == "waiting") is back
            if back:
                await soon(lambda: spis(both.left))

    run(test)


def test_the_reason_is_told_when_the_peer_takes_none_without_a_child() -> None:
    async def test() -> None:
        async with pair(left=BARE) as both:
            with pytest.raises(HostError, match="RFC 6023"):
                await both.left.up("right", timeout_s=5)

    run(test)

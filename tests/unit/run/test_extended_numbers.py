"""Extended sequence numbers between two hosts: negotiated (row C9), and carried over the wrap of the low half (E16)."""

from __future__ import annotations

import pytest

from fynx.config import Child
from fynx.esp.engine import Engine
from fynx.run.failures import HostError
from fynx.run.host import Host
from tests.unit.run.pair import NETWORK, OTHER, packet, pair, plane, run
from tests.unit.run.test_hosts import passes

WRAP = 1 << 32
OFFERS = {
    "both want it": (["aes128gcm16-esn"], ["aes128gcm16-esn"], "aes128gcm16-esn"),
    "both offered, wanted": (["aes128gcm16-esn-noesn"], ["aes128gcm16-esn"], "aes128gcm16-esn"),
    "both offered, not wanted": (["aes128gcm16-esn-noesn"], ["aes128gcm16"], "aes128gcm16"),
    "both offered, both taken": (["aes128gcm16-noesn-esn"], ["aes128gcm16-esn-noesn"], "aes128gcm16-esn"),
    "in another proposal": (["aes256gcm16-esn", "aes128gcm16"], ["aes128gcm16"], "aes128gcm16"),
    "with CBC": (["aes256-sha256-esn"], ["aes256-sha256-esn"], "aes256-sha256-esn"),
}
REFUSED = {"only with": (["aes128gcm16-esn"], ["aes128gcm16"]), "only without": (["aes128gcm16"], ["aes128gcm16-esn"])}


def child(side: str, esp: list[str], **changes: object) -> dict[str, object]:
    values = {"local": (NETWORK[side],), "remote": (NETWORK[OTHER[side]],), "esp": tuple(esp)}
    return {"children": {"net": Child(**(values | changes))}}  # type: ignore[arg-type]


def suite(host: Host) -> str:
    peers = host.status()["peers"]
    assert isinstance(peers, list)
    return str(peers[0]["children"][0]["esp"])


@pytest.mark.parametrize("name", OFFERS)
def test_c9_both_ends_count_as_they_agreed(name: str) -> None:
    left, right, wanted = OFFERS[name]

    async def test() -> None:
        async with pair(left=child("left", left), right=child("right", right)) as both:
            await both.left.up("right")
            assert (suite(both.left), suite(both.right)) == (wanted, wanted)
            assert await passes(both.left, both.right, [packet("left")])

    run(test)


@pytest.mark.parametrize("name", REFUSED)
def test_c9_nothing_in_common_is_refused(name: str) -> None:
    left, right = REFUSED[name]

    async def test() -> None:
        async with pair(left=child("left", left), right=child("right", right)) as both:
            with pytest.raises(HostError, match="ESP proposals"):
                await both.left.up("right")

    run(test)


@pytest.mark.parametrize("side", ["left", "right"])
def test_e16_traffic_goes_on_over_the_wrap(side: str) -> None:
    async def test() -> None:
        esp = ["aes256gcm16-esn"]
        async with pair(left=child("left", esp), right=child("right", esp)) as both:
            await both.left.up("right")
            here, there = (both.left, both.right) if side == "left" else (both.right, both.left)
            engine = plane(here).engine
            assert isinstance(engine, Engine)
            (handle,) = here.driver.installed(OTHER[side], "net")
            engine.set_sequence(handle, WRAP - 1500)
            for start in range(0, 3000, 100):
                sent = [packet(side, number) for number in range(start, start + 100)]
                assert await passes(here, there, sent)
            assert engine.usage(handle).sequence_out == WRAP + 1500
            assert plane(there).engine.counters()["drop_replay"] == 0

    run(test)

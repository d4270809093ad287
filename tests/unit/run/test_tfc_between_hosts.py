"""Padding against traffic analysis and implicit IVs between two hosts: configured, negotiated, carried."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest

from fynx.config import Child
from fynx.config.model import Dummies, Iptfs
from fynx.esp.engine import Engine
from tests.unit.run.pair import NETWORK, OTHER, packet, pair, plane, run
from tests.unit.run.test_hosts import passes

OVERHEAD = {"aes128gcm16": 8 + 8 + 16, "aes128gcm16iiv": 8 + 16}


def child(side: str, **changes: object) -> dict[str, object]:
    values = {"local": (NETWORK[side],), "remote": (NETWORK[OTHER[side]],), "esp": ("aes128gcm16",)}
    return {"children": {"net": Child(**(values | changes))}}  # type: ignore[arg-type]


@pytest.mark.parametrize(("tfc_pad", "length"), [(0, 28 + 2 + 2), (1000, 1000 + 2 + 2), ("mtu", 1280 + 2 + 2)])
@pytest.mark.parametrize("esp", OVERHEAD)
def test_packets_are_as_long_as_the_child_says(tfc_pad: int | Literal["mtu"], length: int, esp: str) -> None:
    async def test() -> None:
        left, right = child("left", tfc_pad=tfc_pad, esp=(esp,)), child("right", esp=(esp, "aes256gcm16"))
        async with pair(left=left, right=right) as both:
            await both.left.up("right")
            assert await passes(both.left, both.right, [packet("left")])
            assert await passes(both.right, both.left, [packet("right")])
            engine = plane(both.left).engine
            assert isinstance(engine, Engine)
            ((_, sealed),) = engine.send_inner([packet("left")])
            assert len(sealed) == OVERHEAD[esp] + length

    run(test)


@pytest.mark.parametrize("cover", [{"dummies": Dummies(0.001, 0.5, 100)}, {"iptfs": Iptfs(packet_size=200, rate=1000)}])
def test_what_leaves_by_the_clock_arrives_beside_packets(cover: dict[str, object]) -> None:
    async def test() -> None:
        async with pair(left=child("left", **cover), right=child("right", iptfs=cover.get("iptfs"))) as both:
            await both.left.up("right")
            counters = plane(both.right).engine.counters
            assert await passes(both.left, both.right, [packet("left")])
            while counters()["drop_dummy"] + counters()["aggregates_in"] < 20:
                await asyncio.sleep(0.01)
            assert counters()["packets_in"] == 1

    run(test)

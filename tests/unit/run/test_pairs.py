"""A Child SA for each pair of addresses, each brought up by its own first packet (RFC 7296 section 2.9)."""

from __future__ import annotations

import asyncio

from fynx.config import Child
from fynx.run.host import Host
from tests.unit.run.pair import NETWORK, packet, pair, plane, run


async def arrives(here: Host, there: Host, wanted: bytes) -> None:
    """Sent again until it gets through: the first ones only ask for an SA."""
    got: list[bytes] = []
    async with asyncio.timeout(60):
        while wanted not in got:
            plane(here).send_inner([wanted])
            await asyncio.sleep(0.02)
            got += plane(there).recv_inner()


def test_traffic_of_another_pair_gets_another_child_sa() -> None:
    left = {"net": Child(local=(NETWORK["left"],), remote=(NETWORK["right"],), start="trap")}
    right = {"net": Child(local=(NETWORK["right"],), remote=(NETWORK["left"],), single_pair=True)}

    async def test() -> None:
        async with pair(left={"children": left}, right={"children": right}) as both:
            first = packet("left")
            second = first.replace(bytes([10, 2, 0, 1]), bytes([10, 2, 0, 2]))
            await arrives(both.left, both.right, first)
            await arrives(both.left, both.right, second)
            peers = both.left.status()["peers"]
            assert isinstance(peers, list)
            (peer,) = peers
            pairs = sorted((child["local"], child["remote"]) for child in peer["children"])
            assert pairs == [(["10.1.0.1/32"], ["10.2.0.1/32"]), (["10.1.0.1/32"], ["10.2.0.2/32"])]

    run(test)

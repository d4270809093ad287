"""The hard limit of a Child SA with a real data plane: out of it at once, and removed from it once."""

from __future__ import annotations

from fynx.config import Child
from fynx.config.model import Lifetime
from fynx.run.host import Host
from tests.unit.run.pair import NETWORK, PATIENT, pair, plane, run, soon

SHORT = Lifetime(soft_s=0, hard_s=0.3)


def left(**changes: object) -> dict[str, object]:
    child = Child(local=(NETWORK["left"],), remote=(NETWORK["right"],), lifetime=SHORT)
    return {"children": {"net": child}, **changes}


def handles(host: Host) -> set[int]:
    return set(plane(host).engine._installed)  # type: ignore[attr-defined]


def test_a_peer_that_confirms_gets_a_new_child_and_the_old_one_is_removed_once() -> None:
    async def test() -> None:
        async with pair(left=left()) as both:
            await both.left.up("right", timeout_s=5)
            (first,) = handles(both.left)
            await soon(lambda: first not in handles(both.left) and handles(both.left))
            assert both.left.counters().get("refused", 0) == 0

    run(test)


def test_a_peer_that_says_nothing_gets_no_packet_more() -> None:
    async def test() -> None:
        async with pair(left=left(retransmission=PATIENT)) as both:
            await both.left.up("right", timeout_s=5)
            both.network.passes = lambda _: False
            await soon(lambda: not handles(both.left))
            (peer,) = both.left.status()["peers"]  # type: ignore[misc, attr-defined]
            assert [child["state"] for child in peer["children"]] == ["deleting"]

    run(test)

"""A Child SA for each worker (RFC 9611), asked of a peer that does not know it: one for all, nobody is disturbed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lab import traffic
from lab.pair import Pair
from lab.topology import inner
from lab.wait import until

WORKERS = {"plane": {"tun": {"device": "fynx0", "workers": 2}}}


@pytest.mark.parametrize("kinds", [("fynx", "strongswan"), ("strongswan", "fynx")])
def test_strongswan_gets_one_for_all_workers(pair: Callable[..., Pair], kinds: tuple[str, str]) -> None:
    """
    HDR, SK {IDi, …, N(SA_RESOURCE_INFO), SAi2, TSi, TSr}  -->
                                                       <--  HDR, SK {IDr, …, SAr2, TSi, TSr}
    """
    both = pair(*kinds, fynx=WORKERS, fynx_child={"per_worker": True, "lifetime": {"soft_s": 1.2, "jitter": 0.0}})
    both.left.up(both.plan)
    ours, theirs = both.both_have()
    first = ours["lan"].spi_in
    with traffic.Stream(both.topology.left.namespace, inner(0), inner(1)) as flow:
        until(lambda: both.both_have()[0]["lan"].spi_in != first, "a rekey")
    assert flow.lost == 0
    peers = both.fynx.status()["peers"]
    standing = [child for peer in peers for child in peer["children"] if child["state"] == "active"]
    assert [child["resource"] for child in standing] == [None]
    assert len(theirs) == 1

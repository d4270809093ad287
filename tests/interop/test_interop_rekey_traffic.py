"""Rekeying and authenticating again under numbered traffic, with strongSwan and with Fynx: nothing is lost, whoever
starts it (RFC 7296 sections 2.8, 2.18)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from lab.charon import Charon
from lab.pair import ROLES, End, Pair
from lab.plan import Plan, networks
from lab.stream import Stream, stream
from lab.wait import until

TIMES = 50


def numbered(both: Pair) -> AbstractContextManager[Stream]:
    ends = [networks(both.plan.children[0], side)[0].split("/")[0] for side in (0, 1)]
    return stream(both.topology.left.namespace, ends[0], both.topology.right.namespace, ends[1])


def rekey(end: End, plan: Plan, child: str) -> None:
    if isinstance(end, Charon):
        end._ask("rekey", {"child": child} if child else {"ike": plan.name})
    else:
        end._ask({"command": "rekey", "peer": plan.name, "child": child})


def again(both: Pair, end: End, child: str, times: int) -> None:
    """Rekeys so often, each time until both ends have the new SA and no trace of the old."""
    for _ in range(times):
        before = mark(both, child)
        rekey(end, both.plan, child)
        until(lambda before=before: mark(both, child) != before, "the SA is a new one")
    until(lambda: both.charon.ike_sa_count() == 1, "the old SAs are gone")
    both.both_have()


def mark(both: Pair, child: str) -> object:
    """What tells the child, or the IKE SA, from the one before it."""
    return both.both_have()[0][child].spi_in if child else spis(both)


def spis(both: Pair) -> str:
    peer = next(each for each in both.fynx.status()["peers"] if each["name"] == both.plan.name)
    return f"{peer['spi_i']} {peer['spi_r']}"


@pytest.mark.parametrize("child", ["lan", ""], ids=["child", "ike"])
@pytest.mark.parametrize("starter", ["fynx", "strongswan"])
@pytest.mark.parametrize("role", ROLES)
def test_fifty_rekeys_under_traffic_lose_no_packet(
    pair: Callable[..., Pair], role: str, starter: str, child: str
) -> None:
    both = pair(*ROLES[role])
    both.left.up(both.plan)
    both.both_have()
    with numbered(both) as counted:
        again(both, both.fynx if starter == "fynx" else both.charon, child, TIMES)
    assert counted.sent > TIMES
    assert counted.lost == []


@pytest.mark.parametrize("child", ["lan", ""], ids=["child", "ike"])
@pytest.mark.parametrize("role", ROLES)
def test_both_sides_rekey_at_the_same_moment(pair: Callable[..., Pair], role: str, child: str) -> None:
    both = pair(*ROLES[role])
    both.left.up(both.plan)
    both.both_have()
    with numbered(both) as counted:
        for _ in range(10):
            before = mark(both, child)
            rekey(both.charon, both.plan, child)
            rekey(both.fynx, both.plan, child)
            until(lambda before=before: mark(both, child) != before, "the SA is a new one")
    assert counted.lost == []
    until(lambda: both.charon.ike_sa_count() == 1, "the old SAs are gone")
    both.both_have()


def test_two_fynx_ends_lose_nothing_when_both_rekey_and_one_authenticates_again(pair: Callable[..., Pair]) -> None:
    both = pair("fynx", "fynx", fynx_peer={"reauth_s": 1})
    both.left.up(both.plan)
    both.both_have()
    first = spis(both)
    with numbered(both) as counted:
        for _ in range(20):
            before = mark(both, "lan")
            rekey(both.right, both.plan, "lan")
            rekey(both.left, both.plan, "lan")
            until(lambda before=before: mark(both, "lan") != before, "the SA is a new one")
        until(lambda: spis(both) != first, "authenticated again")
    assert counted.lost == []


def test_the_soft_lifetime_alone_replaces_the_ike_sa(pair: Callable[..., Pair]) -> None:
    both = pair("fynx", "strongswan", fynx_peer={"lifetime": {"soft_s": 2, "hard_s": 60}})
    both.left.up(both.plan)
    both.both_have()
    first = spis(both)
    with numbered(both) as counted:
        until(lambda: spis(both) != first, "the IKE SA was rekeyed by its lifetime")
    assert counted.lost == []
    assert both.ping() == 3


def test_fynx_authenticates_again_under_traffic(pair: Callable[..., Pair]) -> None:
    """A whole new IKE SA with the same children, then the old one is deleted (RFC 7296 section 2.8.3)."""
    both = pair("fynx", "strongswan", fynx_peer={"reauth_s": 2})
    both.left.up(both.plan)
    both.both_have()
    first = spis(both)
    with numbered(both) as counted:
        until(lambda: spis(both) != first and both.charon.ike_sa_count() == 1, "authenticated again")
    assert both.fynx.packets_dropped() == {}
    # As below: with our DELETE strongSwan takes the old SA away before its other threads have opened what came earlier.
    assert len(counted.lost) <= both.charon.packets_dropped()
    assert both.ping() == 3


def test_strongswan_authenticates_again_under_traffic(pair: Callable[..., Pair]) -> None:
    """strongSwan makes before it breaks when told to (charon.make_before_break)."""
    options = {"make_before_break": "yes"}
    both = pair("strongswan", "fynx", strongswan=options, strongswan_peer={"reauth_time": "3s", "over_time": "5s"})
    both.left.up(both.plan)
    both.both_have()
    first = spis(both)
    with numbered(both) as counted:
        until(lambda: spis(both) != first and both.charon.ike_sa_count() == 1, "authenticated again")
    assert both.fynx.packets_dropped() == {}
    # strongSwan takes the old SA away while packets for it, which came before, wait for another of its threads.
    assert len(counted.lost) <= both.charon.packets_dropped()
    assert both.ping() == 3


def test_strongswan_authenticates_again_when_fynx_asks(pair: Callable[..., Pair]) -> None:
    """SK {IDr, AUTH, N(AUTH_LIFETIME), ...} to the initiator, whose duty it is (RFC 4478)."""
    options = {"make_before_break": "yes"}
    both = pair(
        "strongswan", "fynx", strongswan=options, strongswan_peer={"over_time": "1s"}, fynx_peer={"reauth_s": 4}
    )
    both.left.up(both.plan)
    both.both_have()
    first = spis(both)
    until(lambda: spis(both) != first and both.charon.ike_sa_count() == 1, "authenticated again", within_s=15.0)
    assert "received AUTH_LIFETIME of 4s" in both.charon.log()
    both.both_have()
    assert both.ping() == 3

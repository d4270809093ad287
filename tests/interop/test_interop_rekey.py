"""Rekeying with strongSwan under continuous traffic: Child SAs and IKE SAs, from either side and from both, with PFS.

Scenarios 8 and 9 of the mission's checklist stand here, with lifetimes of about a second instead of sixty.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lab import traffic
from lab.pair import ROLES, Pair
from lab.plan import Plan
from lab.topology import inner
from lab.wait import until

OURS = {"lifetime": {"soft_s": 1.2, "hard_s": 60.0, "jitter": 0.0}}
NEVER_OURS = {"lifetime": {"soft_s": 0, "hard_s": 0}}
THEIRS = {"rekey_time": "1s", "rand_time": "0s"}
NEVER_THEIRS = {"rekey_time": "0s"}
WHO = {"fynx_rekeys": (OURS, NEVER_THEIRS), "strongswan_rekeys": (NEVER_OURS, THEIRS), "both_rekey": (OURS, THEIRS)}
ROUNDS = 3


def _flow(both: Pair) -> traffic.Stream:
    return traffic.Stream(both.topology.left.namespace, inner(0), inner(1))


@pytest.mark.parametrize("who", WHO)
def test_child_sa_rekey(pair: Callable[..., Pair], who: str) -> None:
    """A new Child SA replaces the old one, again and again, and not one echo is lost (RFC 7296 section 2.8)."""
    ours, theirs = WHO[who]
    both = pair("fynx", "strongswan", fynx_child=ours, strongswan_child={"life_time": "60s", **theirs})
    both.left.up(both.plan)
    seen = {both.both_have()[0]["lan"].spi_in}
    with _flow(both) as flow:
        until(lambda: _noted(both, seen) > ROUNDS, f"{ROUNDS} rekeyings")
    both.both_have()
    assert flow.sent > 100
    assert flow.lost == 0


@pytest.mark.parametrize("who", WHO)
def test_ike_sa_rekey(pair: Callable[..., Pair], who: str) -> None:
    """A new IKE SA takes over the children, the old one is deleted, and not one echo is lost."""
    ours, theirs = WHO[who]
    both = pair("fynx", "strongswan", fynx_peer=ours, strongswan_peer={"over_time": "60s", **theirs})
    both.left.up(both.plan)
    before, _ = both.both_have()
    seen: set[str] = set()
    with _flow(both) as flow:
        until(lambda: _noted_ike(both, seen) > ROUNDS, f"{ROUNDS} rekeyings")
    until(lambda: both.charon.ike_sa_count() == 1, "the old IKE SA is deleted")
    after, _ = both.both_have()
    assert after["lan"].spi_in == before["lan"].spi_in, "the child went along as it was"
    assert flow.lost == 0
    both.left.down(both.plan)
    both.both_lost()


@pytest.mark.parametrize("who", ["fynx_rekeys", "strongswan_rekeys"])
@pytest.mark.parametrize("role", ROLES)
def test_child_sa_rekey_with_a_fresh_key_exchange(pair: Callable[..., Pair], role: str, who: str) -> None:
    """Perfect forward secrecy: CREATE_CHILD_SA with KE (RFC 7296 section 1.3)."""
    ours, theirs = WHO[who]
    plan = Plan().with_esp("aes256gcm16-x25519")
    both = pair(*ROLES[role], plans=[plan], fynx_child=ours, strongswan_child={"life_time": "60s", **theirs})
    both.left.up(plan)
    seen = {both.both_have()[0]["lan"].spi_in}
    with both.charon.listening() as heard, _flow(both) as flow:
        until(lambda: _noted(both, seen) > 1, "one rekeying")
    assert "CREATE_CHILD_SA request" in heard[0]
    assert " KE " in next(line for line in heard[0].splitlines() if "CREATE_CHILD_SA request" in line)
    assert flow.lost == 0


def _noted(both: Pair, seen: set[int]) -> int:
    seen |= {child.spi_in for child in both.left.children(both.plan).values()}
    return len(seen)


def _noted_ike(both: Pair, seen: set[str]) -> int:
    seen |= {str(sa["initiator-spi"]) for sa in both.charon.sas().values() if sa["state"] == b"ESTABLISHED"}
    return len(seen)

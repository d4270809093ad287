"""Traffic selectors with strongSwan: narrowing in both directions, and several children in one IKE SA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from lab import traffic
from lab.pair import ROLES, Pair
from lab.plan import Child, Plan
from lab.topology import inner

LEFT, RIGHT = f"{inner(0)}/32", f"{inner(1)}/32"
WIDE = {"everything": ("0.0.0.0/0", "0.0.0.0/0"), "supernets": ("198.51.100.0/24", "203.0.113.0/25")}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("wide", WIDE)
def test_responder_narrows_what_the_initiator_asks(pair: Callable[..., Pair], role: str, wide: str) -> None:
    """IKE_AUTH { TSi = wide, TSr = wide } --> <-- { TSi = LEFT, TSr = RIGHT } (RFC 7296 section 2.9)."""
    narrow = Plan().with_networks((LEFT,), (RIGHT,))
    left_wide, right_wide = WIDE[wide]
    both = pair(*ROLES[role], plans=[narrow], left_plans=[narrow.with_networks((left_wide,), (right_wide,))])
    both.left.up(narrow)
    left, right = both.both_have()
    assert (left["lan"].local, left["lan"].remote) == ((LEFT,), (RIGHT,))
    assert (right["lan"].local, right["lan"].remote) == ((RIGHT,), (LEFT,))
    assert both.ping() == 3
    assert both.ping(back=True) == 3


@pytest.mark.parametrize("role", ROLES)
def test_two_children_share_one_ike_sa(pair: Callable[..., Pair], role: str) -> None:
    """The first child comes with IKE_AUTH, the second by CREATE_CHILD_SA; each carries its own traffic."""
    children = (
        Child("lan", (LEFT,), (RIGHT,), ("aes128gcm16",)),
        Child("lab", (f"{inner(0, 2)}/32",), (f"{inner(1, 2)}/32",), ("aes256-sha256",)),
    )
    plan = replace(Plan(), children=children)
    both = pair(*ROLES[role], plans=[plan])
    for child in children:
        both.left.up(plan, child.name)
    both.both_have(count=2)
    for child in children:
        assert both.ping(child) == 3
        assert both.ping(child, back=True) == 3
    assert both.charon.ike_sa_count() == 1


@pytest.mark.parametrize("role", ROLES)
def test_deleting_one_child_leaves_the_other(pair: Callable[..., Pair], role: str) -> None:
    children = (
        Child("lan", (LEFT,), (RIGHT,)),
        Child("lab", (f"{inner(0, 2)}/32",), (f"{inner(1, 2)}/32",)),
    )
    plan = replace(Plan(), children=children)
    both = pair(*ROLES[role], plans=[plan])
    for child in children:
        both.left.up(plan, child.name)
    both.both_have(count=2)
    both.charon.down(plan, "lan")
    left, _ = both.both_have(count=1)
    assert set(left) == {"lab"}
    assert both.ping(children[1]) == 3


@pytest.mark.parametrize("role", ROLES)
def test_selectors_with_protocol_and_port_carry_that_traffic_alone(pair: Callable[..., Pair], role: str) -> None:
    """A child for ICMP and one for TCP port 5000; what neither covers does not pass (RFC 7296 section 3.13.1)."""
    echo = Child("echo", (f"{LEFT}[icmp]",), (f"{RIGHT}[icmp]",))
    service = Child("service", (f"{LEFT}[tcp]",), (f"{RIGHT}[tcp/5000]",))
    plan = replace(Plan(), children=(echo, service))
    both = pair(*ROLES[role], plans=[plan])
    for child in plan.children:
        both.left.up(plan, child.name)
    both.both_have(count=2)
    left, right = both.topology.left.namespace, both.topology.right.namespace
    assert traffic.ping(left, inner(0), inner(1)) == 3
    sent, arrived = traffic.transfer(left, inner(0), right, inner(1), size=50_000, port=5000)
    assert sent == arrived
    with pytest.raises(OSError):
        traffic.transfer(left, inner(0), right, inner(1), size=10, port=5001, within_s=1.0)

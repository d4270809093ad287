"""Bad lines and changing paths with strongSwan: lost IKE messages, a NAT that gives a new address, keepalives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lab.pair import ROLES, Pair
from lab.plan import networks
from lab.stream import stream
from lab.topology import OUTER
from lab.wait import until

EVERY_SECOND_IKE_MESSAGE_IS_LOST = """
table inet weather {
  chain input {
    type filter hook input priority 0;
    udp dport 500 numgen inc mod 2 == 0 drop
    udp dport 4500 @th,64,32 0 numgen inc mod 2 == 0 drop
  }
}
"""
QUICK = {"retransmission": {"base_s": 0.2, "factor": 1.2, "tries": 12}, "liveness_s": 5.0}
QUICK_STRONGSWAN = {"retransmit_timeout": "0.2", "retransmit_tries": "12", "retransmit_base": "1.2"}
MOVED = "192.0.2.9"
MANY = 200


@pytest.mark.parametrize("role", ROLES)
def test_a_child_comes_up_and_goes_down_although_every_second_message_is_lost(
    pair: Callable[..., Pair], role: str
) -> None:
    """Both ends repeat requests, and answer repeated ones with the same octets (RFC 7296 section 2.1)."""
    both = pair(*ROLES[role], strongswan=QUICK_STRONGSWAN, fynx_peer=QUICK)
    for host in (both.topology.left, both.topology.right):
        host.namespace.nft(EVERY_SECOND_IKE_MESSAGE_IS_LOST)
    with both.capture() as capture:
        both.left.up(both.plan)
        both.both_have()
        assert both.ping() == 3
        both.left.down(both.plan, "lan")
        until(lambda: not both.left.children(both.plan) and not both.right.children(both.plan), "the child is gone")
    messages = capture.ike()
    assert len(set(messages)) < len(messages), "something was sent again"
    assert both.charon.ike_sa_count() == 1


def test_fynx_behind_nat_sends_keepalives(pair: Callable[..., Pair]) -> None:
    """One octet 0xFF now and then keeps the mapping (RFC 3948 section 2.3)."""
    both = pair("fynx", "strongswan", topology="left_behind_nat", fynx_peer={"keepalive_s": 0.3})
    with both.capture() as capture:
        both.left.up(both.plan)
        both.both_have()
        until(lambda: len([one for one in capture.datagrams() if one.data == b"\xff"]) >= 3, "three keepalives")
    assert {one.source for one in capture.datagrams() if one.data == b"\xff"} == {OUTER[0]}


def test_fynx_follows_a_peer_whose_nat_changes_address(pair: Callable[..., Pair]) -> None:
    """The router's address changes; authenticated packets from the new one move the tunnel (RFC 7296 section 2.23)."""
    both = pair("strongswan", "fynx", topology="left_behind_nat")
    both.left.up(both.plan)
    both.both_have()
    assert both.ping() == 3
    _move(both)
    until(lambda: both.ping(count=1, wait_s=1) == 1, "echoes return to the new address")
    until(lambda: both.fynx.status()["peers"][0]["remote"].startswith(f"{MOVED}:"), "the status says so")
    assert both.ping(back=True) == 3


def test_strongswan_follows_fynx_whose_nat_changes_address(pair: Callable[..., Pair]) -> None:
    both = pair("fynx", "strongswan", topology="left_behind_nat", fynx_peer={"liveness_s": 0.5})
    both.left.up(both.plan)
    both.both_have()
    assert both.ping() == 3
    _move(both)
    until(lambda: both.ping(count=1, wait_s=1) == 1, "echoes return to the new address")
    assert both.ping(back=True) == 3


@pytest.mark.parametrize("role", ROLES)
def test_traffic_goes_on_when_the_nat_changes_address(pair: Callable[..., Pair], role: str) -> None:
    """What was on its way to the old address is lost, and nothing after the first packet that found the new one."""
    both = pair(*ROLES[role], topology="left_behind_nat", fynx_peer={"liveness_s": 0.5})
    both.left.up(both.plan)
    both.both_have()
    ends = [networks(both.plan.children[0], side)[0].split("/")[0] for side in (0, 1)]
    with stream(both.topology.left.namespace, ends[0], both.topology.right.namespace, ends[1]) as counted:
        until(lambda: len(counted.echoed) > MANY, "packets come back")
        _move(both)
        moved = counted.sent
        until(lambda: max(counted.echoed) > moved, "packets come back from the new address")
        back = min(number for number in counted.echoed if number > moved)
        until(lambda: counted.sent > back + MANY, "more packets are sent")
    assert [number for number in counted.lost if number > back] == []
    assert len(both.fynx.children(both.plan)) == 1


def _move(both: Pair) -> None:
    """Masquerading forgets its mappings when the address goes."""
    both.topology.outside.ip(f"addr del {OUTER[0]}/24 dev eth1", f"addr add {MOVED}/24 dev eth1")

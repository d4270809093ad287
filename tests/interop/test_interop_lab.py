"""The laboratory proves itself: strongSwan with strongSwan, so that a failure with Fynx is Fynx's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lab import ikewire, traffic
from lab.plan import Plan
from lab.topology import inner, inner6

FAMILIES = {
    "4in4": (False, f"{inner(0)}/32", f"{inner(1)}/32"),
    "6in4": (False, f"{inner6(0)}/128", f"{inner6(1)}/128"),
    "4in6": (True, f"{inner(0)}/32", f"{inner(1)}/32"),
    "6in6": (True, f"{inner6(0)}/128", f"{inner6(1)}/128"),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_strongswan_reaches_strongswan(pair, family):
    ipv6, left, right = FAMILIES[family]
    plan = replace(Plan(), ipv6=ipv6).with_networks((left,), (right,))
    both = pair("strongswan", "strongswan", plans=[plan])
    with both.capture() as capture:
        both.left.up(plan)
        both.both_have()
        assert both.ping() == 3
        assert both.ping(back=True) == 3
    assert len(capture.esp()) == 12


@pytest.mark.parametrize("topology", ["left_behind_nat", "both_behind_nat"])
def test_strongswan_reaches_strongswan_through_nat(pair, topology):
    both = pair("strongswan", "strongswan", topology=topology)
    with both.capture() as capture:
        both.left.up(both.plan)
        assert both.ping() == 3
    seen = {(datagram.source, datagram.destination) for datagram in capture.datagrams()}
    assert seen == {("192.0.2.1", "192.0.2.2"), ("192.0.2.2", "192.0.2.1")}


def test_strongswan_demands_a_cookie_of_strongswan(pair):
    both = pair("strongswan", "strongswan", strongswan={"cookie_threshold": "1"})
    with both.capture() as capture:
        traffic.send_stray_init(both.topology.left.namespace, both.topology.right.seen)
        both.left.up(both.plan)
    assert any(ikewire.COOKIE in message.notifies for message in ikewire.init_messages(capture.ike()))


def test_tcp_arrives_whole_between_two_strongswans(pair):
    both = pair("strongswan", "strongswan")
    both.left.up(both.plan)
    hosts = both.topology
    sent, got = traffic.transfer(hosts.left.namespace, inner(0), hosts.right.namespace, inner(1), size=1 << 20)
    assert sent == got

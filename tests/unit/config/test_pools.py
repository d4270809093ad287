"""Pools and ``dynamic`` in the configuration (RFC 7296 section 3.15, RFC 8598)."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from fynx.config.address import child_selector
from fynx.config.pools import pool_range
from fynx.config.problems import Wrong
from fynx.ike.policy import PoolPolicy
from fynx.ike.virtual import DYNAMIC
from fynx.plugin.auth import Identity
from fynx.plugin.dataplane import Selector
from fynx.run.policy import host_policy
from tests.unit.config.support import GOOD, changed, loaded, problems, registry

POOL = """\
host:
  pools:
    office:
      addresses: [198.18.0.0/24, "fd00:1::/64"]
      dns: [10.0.0.53, "fd00::53"]
      subnets: [10.0.0.0/8]
      split_dns: [Corp.Example.net]
      fixed: {alice@example.net: [198.18.0.10, "fd00:1::10"], "10.9.9.9": 198.18.0.11}
      version: Example gateway
"""
LAN = "lan: {local: [10.1.0.0/16], remote: [10.0.0.0/8], esp: [aes256gcm16], mode: tunnel, start: initiate}"
GATEWAY = changed("host:\n", POOL).replace(LAN, "lan: {local: [10.0.0.0/8], remote: dynamic}\n    pool: office")
CLIENT = changed(LAN, "lan: {local: [dynamic], remote: [10.0.0.0/8]}").replace(
    "    start:  initiate", "    start:  initiate\n    request: [ipv4, dns]"
)


def packed(text: str) -> bytes:
    return ip_address(text).packed


def test_a_pool_is_told_to_the_core() -> None:
    (pool,) = host_policy(loaded(GATEWAY), registry(), resolve={}).pools
    assert pool == PoolPolicy(
        name="office",
        ranges=(
            (packed("198.18.0.1"), packed("198.18.0.254")),
            (packed("fd00:1::1"), packed("fd00:1::ffff:ffff:ffff:ffff")),
        ),
        fixed={
            Identity(3, b"alice@example.net"): (packed("198.18.0.10"), packed("fd00:1::10")),
            Identity(1, packed("10.9.9.9")): (packed("198.18.0.11"),),
        },
        dns=(packed("10.0.0.53"), packed("fd00::53")),
        subnets=((packed("10.0.0.0"), 8),),
        domains=("corp.example.net",),
        version="Example gateway",
    )


def test_dynamic_is_a_selector_without_addresses() -> None:
    gateway, client = (host_policy(loaded(text), registry(), resolve={}).peers[0] for text in (GATEWAY, CLIENT))
    assert (gateway.pool, gateway.children[0].remote) == ("office", (DYNAMIC,))
    assert (client.request, client.children[0].local) == (("ipv4", "dns"), (DYNAMIC,))


def test_dynamic_may_be_narrowed_to_a_protocol_and_port() -> None:
    assert child_selector("dynamic[tcp/443]") == Selector(b"", b"", 6, 443, 443)
    assert child_selector("dynamic") == DYNAMIC
    with pytest.raises(Wrong, match="no protocol"):
        child_selector("dynamic[x]")


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("198.18.0.0/24", "198.18.0.1", "198.18.0.254"),
        ("198.18.0.0/31", "198.18.0.0", "198.18.0.1"),
        ("198.18.0.7", "198.18.0.7", "198.18.0.7"),
        ("198.18.0.7 - 198.18.0.9", "198.18.0.7", "198.18.0.9"),
        ("fd00::/126", "fd00::1", "fd00::3"),
        ("fd00::1/128", "fd00::1", "fd00::1"),
    ],
)
def test_a_range_leaves_out_what_no_host_can_have(text: str, first: str, last: str) -> None:
    assert pool_range(text) == (ip_address(first), ip_address(last))


@pytest.mark.parametrize(
    "text", ["198.18.0.1/24", "198.18.0.9-198.18.0.1", "198.18.0.1-fd00::1", "x", "224.0.0.0/24", "0.0.0.0/8"]
)
def test_a_range_that_is_none_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(Wrong) as caught:
        pool_range(text)
    assert caught.value.remedy


BROKEN = [
    (GATEWAY, "pool: office", "pool: other", "no pool is called 'other'", "peers.hq.pool"),
    (GATEWAY, "    pool: office", "", "nothing says where", "peers.hq.children.lan.remote"),
    (CLIENT, "    request: [ipv4, dns]", "    request: [dns]", "nothing says where", "peers.hq.children.lan.local"),
    (CLIENT, "request: [ipv4, dns]", "request: [ipv5]", "", "peers.hq.request[0]"),
    (GATEWAY, "pool: office", "pool: office\n    request: [ipv4]", "not both", "peers.hq.request"),
    (GATEWAY, '"fd00:1::/64"]', "198.18.0.128/25]", "another range", "host.pools.office.addresses"),
    (GATEWAY, 'dns: [10.0.0.53, "fd00::53"]', "", "without a DNS server", "host.pools.office.split_dns"),
    (GATEWAY, "Corp.Example.net", "corp;reboot", "no domain", "host.pools.office.split_dns[0]"),
    (GATEWAY, '"fd00:1::10"]', "198.18.0.12]", "two addresses", "host.pools.office.fixed.alice@example.net"),
    (GATEWAY, "198.18.0.11}", "198.18.0.10}", "cannot be", "host.pools.office.fixed.10.9.9.9"),
    (GATEWAY, "198.18.0.11}", "127.0.0.1}", "cannot be", "host.pools.office.fixed.10.9.9.9"),
    (GATEWAY, "Example gateway", '"a\\tb"', "printable", "host.pools.office.version"),
    (GATEWAY, "remote: [192.0.2.10/32]", "remote: [dynamic]", "not understood", "policies[0].remote[0]"),
]


@pytest.mark.parametrize(("text", "old", "new", "telling", "path"), BROKEN)
def test_what_cannot_work_is_told_with_its_place(text: str, old: str, new: str, telling: str, path: str) -> None:
    assert problems(text) == []
    assert text.count(old) == 1, old
    (found, *_) = problems(text.replace(old, new))
    assert (found.path, telling in found.what) == (path, True)
    assert found.line > 0


def test_without_pools_nothing_changes() -> None:
    assert host_policy(loaded(GOOD), registry(), resolve={}).pools == ()

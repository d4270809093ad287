"""Addresses, networks and traffic selectors as text (RFC 7296 section 3.13.1)."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fynx.config.address import local_address, remote_network, selector
from fynx.config.problems import Wrong
from fynx.plugin.dataplane import Selector


def between(first: str, last: str, protocol: int = 0, start: int = 0, end: int = 65535) -> Selector:
    return Selector(ip_address(first).packed, ip_address(last).packed, protocol, start, end)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.0/8", between("10.0.0.0", "10.255.255.255")),
        ("10.1.2.3", between("10.1.2.3", "10.1.2.3")),
        ("0.0.0.0/0", between("0.0.0.0", "255.255.255.255")),
        ("::/0", between("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")),
        ("2001:db8::/32", between("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")),
        ("10.0.0.1-10.0.0.9", between("10.0.0.1", "10.0.0.9")),
        ("fd00::1 - fd00::9", between("fd00::1", "fd00::9")),
        ("10.0.0.0/8[tcp]", between("10.0.0.0", "10.255.255.255", 6)),
        ("10.0.0.0/8[tcp/443]", between("10.0.0.0", "10.255.255.255", 6, 443, 443)),
        ("10.0.0.0/8[UDP/1000-2000]", between("10.0.0.0", "10.255.255.255", 17, 1000, 2000)),
        ("10.0.0.0/8[6/any]", between("10.0.0.0", "10.255.255.255", 6)),
        ("10.0.0.0/8[any]", between("10.0.0.0", "10.255.255.255")),
        ("10.0.0.0/8[47]", between("10.0.0.0", "10.255.255.255", 47)),
        ("10.0.0.0/8[icmp/8]", between("10.0.0.0", "10.255.255.255", 1, 0x0800, 0x08FF)),
        ("10.0.0.0/8[icmp/3.4]", between("10.0.0.0", "10.255.255.255", 1, 0x0304, 0x0304)),
        ("fd00::/8[icmpv6/128]", between("fd00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 58, 0x8000, 0x80FF)),
    ],
)
def test_a_selector_says_what_it_reads(text: str, expected: Selector) -> None:
    assert selector(text) == expected


@pytest.mark.parametrize(
    ("text", "telling", "remedy"),
    [
        ("10.0.0.1/8", "beyond its prefix", "write 10.0.0.0/8"),
        ("10.0.0.0/33", "no network", "10.0.0.0/8"),
        ("10.0.0", "no network", "10.0.0.0/8"),
        ("lan", "no network", "10.0.0.0/8"),
        ("", "no traffic selector", "10.0.0.0/8[tcp/443]"),
        ("dynamic", "not understood", "the network"),
        ("10.0.0.9-10.0.0.1", "does not ascend", "lower address first"),
        ("10.0.0.1-fd00::1", "does not ascend", "lower address first"),
        ("10.0.0.1-x", "no range", "10.0.0.1-10.0.0.9"),
        ("10.0.0.0/8[tpc]", "'tpc' is no protocol", "tcp"),
        ("10.0.0.0/8[256]", "'256' is no protocol", "number"),
        ("10.0.0.0/8[tcp/https]", "no number", "443"),
        ("10.0.0.0/8[tcp/65536]", "no number", "443"),
        ("10.0.0.0/8[tcp/9-1]", "does not ascend", "lower port"),
        ("10.0.0.0/8[gre/1]", "no ports", "tcp"),
        ("10.0.0.0/8[any/53]", "no ports", "tcp"),
        ("10.0.0.0/8[icmp/256]", "no number from 0 to 255", ""),
        ("10.0.0.0/8[]", "no traffic selector", ""),
        ("10.0.0.0/8[tcp", "no traffic selector", ""),
        ("10.0.0.0/8[tcp/443]x", "no traffic selector", ""),
        ("10.0.0.0/8[tcp/٣]", "no number", ""),
    ],
)
def test_a_selector_that_cannot_be_meant_is_refused(text: str, telling: str, remedy: str) -> None:
    with pytest.raises(Wrong) as caught:
        selector(text)
    assert telling in str(caught.value)
    assert remedy in caught.value.remedy


@given(st.text(max_size=40))
def test_no_text_breaks_the_parser(text: str) -> None:
    for parse in (selector, remote_network, local_address):
        try:
            parse(text)
        except Wrong as refused:
            said = str(refused)
        else:
            said = ""
        assert len(said) < 400


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", IPv4Network("192.0.2.1/32")),
        ("192.0.2.0/24", IPv4Network("192.0.2.0/24")),
        ("2001:db8::1", IPv6Network("2001:db8::1/128")),
        ("vpn.example.net", None),
        ("localhost", None),
        ("xn--bcher-kva.example", None),
    ],
)
def test_a_remote_address_is_a_network_or_a_name(text: str, expected: object) -> None:
    assert remote_network(text) == expected


@pytest.mark.parametrize(
    "text", ["", "a..b", "-a.example", "192.0.2.256", "192.0.2", "a b", "x" * 300, "[::1]", "a/b", "*"]
)
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(Wrong):
        remote_network(text)


def test_a_local_address_is_an_address_or_nothing() -> None:
    assert local_address("") is None
    assert local_address("192.0.2.1") == ip_address("192.0.2.1")
    with pytest.raises(Wrong, match="no address"):
        local_address("eth0")

"""What the transport udp reads out of an ICMP message (row S9): the path of our own datagram, or nothing."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6PacketTooBig, IPv6

from fynx.plugin import Path
from fynx_plugins.udp.icmp import quoted

V4 = IP(src="192.0.2.1", dst="198.51.100.2", options=[]) / UDP(sport=4500, dport=1024)
V6 = IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=500, dport=500)


def v4(inner: object, kind: int = 3, code: int = 3) -> bytes:
    """As a raw socket gives it: with the IP header, here one with options."""
    return bytes(IP(src="203.0.113.1", dst="192.0.2.1", options=b"\1" * 4) / ICMP(type=kind, code=code) / inner)


@pytest.mark.parametrize("code", [0, 1, 2, 3, 9, 10, 13])
def test_s9_every_unreachable_of_ipv4_names_the_path(code: int) -> None:
    assert quoted(socket.AF_INET, v4(V4, code=code)) == Path("192.0.2.1", 4500, "198.51.100.2", 1024)


@pytest.mark.parametrize("code", range(7))
def test_s9_every_unreachable_of_ipv6_names_the_path(code: int) -> None:
    message = bytes(ICMPv6DestUnreach(code=code)) + bytes(V6)
    assert quoted(socket.AF_INET6, message) == Path("2001:db8::1", 500, "2001:db8::2", 500)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(v4(V4, kind=11), id="time exceeded"),
        pytest.param(v4(V4, code=4), id="fragmentation needed"),
        pytest.param(v4(IP(src="192.0.2.1", dst="198.51.100.2") / TCP()), id="TCP"),
        pytest.param(v4(IP(src="192.0.2.1", dst="198.51.100.2", frag=7) / UDP()), id="a later fragment"),
        pytest.param(v4(bytes(V6)), id="the other version inside"),
    ],
)
def test_s9_other_messages_of_ipv4_name_nothing(message: bytes) -> None:
    assert quoted(socket.AF_INET, message) is None


@pytest.mark.parametrize("message", [bytes(ICMPv6PacketTooBig()) + bytes(V6), bytes(ICMPv6DestUnreach()) + bytes(V4)])
def test_s9_other_messages_of_ipv6_name_nothing(message: bytes) -> None:
    assert quoted(socket.AF_INET6, message) is None


@given(st.sampled_from([socket.AF_INET, socket.AF_INET6]), st.binary(max_size=80))
def test_s9_octets_that_are_no_message_name_nothing_or_a_path(family: int, data: bytes) -> None:
    assert isinstance(quoted(family, data), Path | None)


@pytest.mark.parametrize("length", range(24 + 8 + 20 + 4))
def test_s9_a_message_that_is_cut_names_nothing(length: int) -> None:
    assert quoted(socket.AF_INET, v4(V4)[:length]) is None

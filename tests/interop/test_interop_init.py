"""IKE_SA_INIT with strongSwan where it takes two rounds: COOKIE and INVALID_KE_PAYLOAD, in both roles."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

import pytest
from lab import ikewire, traffic
from lab.capture import Capture
from lab.pair import ROLES, Pair
from lab.plan import Plan

X25519, ECP256 = 31, 19
TWO_GROUPS = replace(Plan(), ike=("aes128gcm16-prfsha256-ecp256", "aes128gcm16-prfsha256-x25519"))
"""The initiator's plan; the responder has Curve25519 alone."""
DEMANDING = {"strongswan": {"cookie_threshold": "1"}, "fynx": {"cookie_threshold": 0}}


def _init(capture: Capture, spi_i: bytes) -> list[ikewire.Message]:
    return [message for message in ikewire.init_messages(capture.ike()) if message.spi_i == spi_i]


def _last_spi(capture: Capture) -> bytes:
    return ikewire.init_messages(capture.ike())[-1].spi_i


@pytest.mark.parametrize("role", ROLES)
def test_initiator_returns_the_cookie_it_is_given(pair: Callable[..., Pair], role: str) -> None:
    """HDR(A,0), SAi1, KEi, Ni --> <-- HDR(A,0), N(COOKIE); N(COOKIE), SAi1, KEi, Ni --> (RFC 7296 section 2.6)."""
    both = pair(*ROLES[role], **DEMANDING)
    with both.capture() as capture:
        if both.right is both.charon:  # strongSwan asks only while another IKE SA is half open
            traffic.send_stray_init(both.topology.left.namespace, both.topology.right.seen)
        both.left.up(both.plan)
        both.both_have()
    asked, demanded, again, answered = _init(capture, _last_spi(capture))
    cookie = demanded.notifies[ikewire.COOKIE]
    assert demanded.spi_r == bytes(8)
    assert again.payloads[0][0] == ikewire.NOTIFY
    assert again.notifies[ikewire.COOKIE] == cookie
    assert again.payloads[1:] == asked.payloads
    assert answered.spi_r != bytes(8)
    assert both.ping() == 3


@pytest.mark.parametrize("role", ROLES)
def test_initiator_repeats_with_the_group_the_responder_names(pair: Callable[..., Pair], role: str) -> None:
    """KEi of ecp256 --> <-- N(INVALID_KE_PAYLOAD, 31); KEi of x25519 --> (RFC 7296 section 1.2)."""
    both = pair(*ROLES[role], left_plans=[TWO_GROUPS])
    with both.capture() as capture:
        both.left.up(both.plan)
        both.both_have()
    asked_first, refused, again, answered = ikewire.init_messages(capture.ike())
    assert _group(asked_first) == ECP256
    assert refused.notifies[ikewire.INVALID_KE_PAYLOAD] == struct.pack("!H", X25519)
    assert _group(again) == X25519
    assert _group(answered) == X25519
    assert both.ping() == 3


@pytest.mark.parametrize("role", ROLES)
def test_cookie_and_invalid_ke_follow_each_other(pair: Callable[..., Pair], role: str) -> None:
    """Both second rounds in one handshake, the cookie carried along or demanded again (RFC 7296 section 2.6.1)."""
    both = pair(*ROLES[role], left_plans=[TWO_GROUPS], **DEMANDING)
    with both.capture() as capture:
        if both.right is both.charon:
            traffic.send_stray_init(both.topology.left.namespace, both.topology.right.seen)
        both.left.up(both.plan)
        both.both_have()
    notified = {kind for message in _init(capture, _last_spi(capture)) if message.response for kind in message.notifies}
    assert {ikewire.COOKIE, ikewire.INVALID_KE_PAYLOAD} <= notified


def _group(message: ikewire.Message) -> int:
    body = message.first(ikewire.KE)
    assert body is not None
    return int(struct.unpack_from("!H", body)[0])

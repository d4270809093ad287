"""Refusals with strongSwan in both roles, each with the right notification on the wire (RFC 7296 section 2.21).

What strongSwan sends and hears is read from its log; what is protected is also opened by tshark with Fynx's key file
in ``test_interop_capture.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from lab import ikewire
from lab.charon import Refused
from lab.pair import ROLES, Pair
from lab.plan import Plan
from lab.topology import inner
from lab.wait import until

OTHER_SECRET = replace(Plan(), secret="another-secret-of-32-octets-long")


def _refused(both: Pair) -> str:
    """The initiator fails to bring the plan up; what strongSwan logged meanwhile."""
    with both.charon.listening() as heard, pytest.raises(Refused):
        both.left.up(both.plan)
    return heard[0]


@pytest.mark.parametrize("role", ROLES)
def test_wrong_psk_is_answered_by_authentication_failed(pair: Callable[..., Pair], role: str) -> None:
    both = pair(*ROLES[role], right_plans=[OTHER_SECRET])
    heard = _refused(both)
    direction = "parsed" if both.left is both.charon else "generating"
    assert f"{direction} IKE_AUTH response 1 [ N(AUTH_FAILED) ]" in heard
    both.both_lost()
    assert both.silent()


def test_fynx_says_that_the_secret_is_wrong(pair: Callable[..., Pair]) -> None:
    both = pair("fynx", "strongswan", right_plans=[OTHER_SECRET])
    with pytest.raises(Refused, match="AUTHENTICATION_FAILED"):
        both.left.up(both.plan)


@pytest.mark.parametrize("role", ROLES)
def test_unknown_identity_is_answered_by_authentication_failed(pair: Callable[..., Pair], role: str) -> None:
    """The responder knows nobody of that name: the same answer as to a wrong secret."""
    both = pair(*ROLES[role], right_plans=[replace(Plan(), left_id="somebody-else.test")])
    heard = _refused(both)
    direction = "parsed" if both.left is both.charon else "generating"
    assert f"{direction} IKE_AUTH response 1 [ N(AUTH_FAILED) ]" in heard
    both.both_lost()


@pytest.mark.parametrize("role", ROLES)
def test_no_common_ike_proposal_is_answered_in_clear(pair: Callable[..., Pair], role: str) -> None:
    """HDR(SPIi, 0), SAi1, KEi, Ni --> <-- HDR(SPIi, 0), N(NO_PROPOSAL_CHOSEN)."""
    impatient = {"retransmission": {"base_s": 0.2, "tries": 3}}  # an answer in clear proves nothing: Fynx tries again
    other = replace(Plan(), ike=("aes256gcm16-prfsha512-ecp521",))
    both = pair(*ROLES[role], right_plans=[other], fynx_peer=impatient)
    with both.capture() as capture:
        _refused(both)
    answers = [message for message in ikewire.init_messages(capture.ike()) if message.response]
    assert answers
    assert all(list(message.notifies) == [ikewire.NO_PROPOSAL_CHOSEN] for message in answers)


def test_fynx_says_which_transform_failed(pair: Callable[..., Pair]) -> None:
    """As responder Fynx knows both offers and says so in its log."""
    both = pair("strongswan", "fynx", right_plans=[replace(Plan(), ike=("aes256gcm16-prfsha256-x25519",))])
    _refused(both)
    until(lambda: "aes256gcm16" in both.fynx.log() and "aes128gcm16" in both.fynx.log(), "both offers are named")


@pytest.mark.parametrize("role", ROLES)
def test_no_common_esp_proposal_keeps_the_ike_sa(pair: Callable[..., Pair], role: str) -> None:
    """IKE_AUTH succeeds, its child does not: <-- { IDr, AUTH, N(NO_PROPOSAL_CHOSEN) } (RFC 7296 section 2.21.2)."""
    both = pair(*ROLES[role], right_plans=[Plan().with_esp("aes256gcm16")])
    heard = _refused(both)
    assert "N(NO_PROP)" in _auth_response(heard)
    assert "AUTH" in _auth_response(heard)
    until(lambda: both.left.established(both.plan) and both.right.established(both.plan), "the IKE SA stays")
    assert (both.left.children(both.plan), both.right.children(both.plan)) == ({}, {})


@pytest.mark.parametrize("role", ROLES)
def test_unacceptable_selectors_keep_the_ike_sa(pair: Callable[..., Pair], role: str) -> None:
    """<-- { IDr, AUTH, N(TS_UNACCEPTABLE) } (RFC 7296 section 2.9)."""
    elsewhere = Plan().with_networks((f"{inner(0, 7)}/32",), (f"{inner(1, 7)}/32",))
    both = pair(*ROLES[role], right_plans=[elsewhere])
    heard = _refused(both)
    assert "N(TS_UNACCEPT)" in _auth_response(heard)
    until(lambda: both.left.established(both.plan) and both.right.established(both.plan), "the IKE SA stays")
    assert (both.left.children(both.plan), both.right.children(both.plan)) == ({}, {})


@pytest.mark.parametrize("role", ROLES)
def test_refused_second_child_leaves_the_first(pair: Callable[..., Pair], role: str) -> None:
    """CREATE_CHILD_SA --> <-- { N(TS_UNACCEPTABLE) }: the first child goes on carrying traffic."""
    first = Plan().children[0]
    second = replace(first, name="lab", left=(f"{inner(0, 2)}/32",), right=(f"{inner(1, 2)}/32",))
    both = pair(*ROLES[role], left_plans=[replace(Plan(), children=(first, second))])
    both.left.up(both.plan, "lan")
    both.both_have()
    with both.charon.listening() as heard, pytest.raises(Refused):
        both.left.up(both.plan, "lab")
    assert "CREATE_CHILD_SA response" in heard[0]
    assert "N(TS_UNACCEPT)" in heard[0]
    both.both_have(count=1)
    assert both.ping() == 3


def _auth_response(heard: str) -> str:
    return next(line for line in heard.splitlines() if "IKE_AUTH response 1 [" in line)

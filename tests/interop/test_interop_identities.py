"""PSK with identities of each type, and without IDr, in both roles (RFC 7296 section 3.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from lab.pair import ROLES, Pair, Settings, running
from lab.plan import Plan, numbered

IKE = "aes128gcm16-prfsha256-x25519"
IDENTITIES = {
    "fqdn": ("left.example.net", "right.example.net"),
    "email": ("left@example.net", "right@example.net"),
    "address": ("192.0.2.1", "192.0.2.2"),
    "address6": ("2001:db8::1", "2001:db8::2"),
    "key_id": ("@#6c656674", "@#72696768740001fe"),
    "mixed": ("@#6d69786564", "right@example.org"),
}
PLANS = {
    kind: replace(numbered(number, ike=IKE, esp="aes128gcm16"), left_id=left, right_id=right)
    for number, (kind, (left, right)) in enumerate(IDENTITIES.items(), start=1)
}


@pytest.fixture(scope="module", params=ROLES)
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """All kinds beside each other: whoever calls is told apart by the identity alone."""
    settings = Settings(plans=list(PLANS.values()))
    with running("direct", tmp_path_factory.mktemp("identities"), ROLES[request.param], settings) as both:
        yield both


@pytest.mark.parametrize("kind", IDENTITIES)
def test_identity_of_each_type_is_accepted(gateway: Pair, kind: str) -> None:
    plan = PLANS[kind]
    gateway.left.up(plan)
    gateway.both_have(plan)
    assert gateway.ping(plan.children[0]) == 3
    gateway.left.down(plan)
    gateway.both_lost(plan)


def test_fynx_initiates_without_idr(pair: Callable[..., Pair]) -> None:
    """IKE_AUTH without IDr: strongSwan answers as who it is (RFC 7296 section 3.5 and 2.15)."""
    both = pair("fynx", "strongswan", left_plans=[replace(Plan(), right_id=None)])
    with both.charon.listening() as heard:
        both.left.up(both.plan)
        both.both_have()
    assert "parsed IKE_AUTH request 1 [ IDi AUTH" in heard[0]
    assert both.ping() == 3


def test_fynx_answers_an_initiator_that_sends_no_idr(pair: Callable[..., Pair]) -> None:
    both = pair("strongswan", "fynx", left_plans=[replace(Plan(), right_id=None)])
    with both.charon.listening() as heard:
        both.left.up(both.plan)
        both.both_have()
    assert "IDr" not in heard[0].split("generating IKE_AUTH request 1")[1].split("]")[0]
    assert both.ping() == 3


def test_the_identity_chooses_among_peers_at_one_address(pair: Callable[..., Pair]) -> None:
    """Three peers at the same address, each with its own secret: the one named by IDi and IDr is taken."""
    plans = [
        replace(Plan(), name=f"net{n}", left_id=f"left-{n}.test", right_id=f"right-{n}.test", secret=f"{n}" * 32)
        for n in (1, 2, 3)
    ]
    both = pair("strongswan", "fynx", plans=plans)
    for plan in reversed(plans):
        both.left.up(plan)
        both.both_have(plan)
        both.left.down(plan)
        both.both_lost(plan)

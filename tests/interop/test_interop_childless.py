"""IKE SAs without a Child SA with strongSwan in both roles (RFC 6023); the first child comes by CREATE_CHILD_SA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml
from lab.charon import Charon, Refused
from lab.fynxd import Fynx
from lab.pair import ROLES, Pair
from lab.plan import Plan
from lab.wait import until

BARE = replace(Plan(), children=())


def settings(role: str) -> dict[str, Any]:
    """The initiator begins without a child; strongSwan has one all the same, which it may not bring along."""
    if role == "fynx_initiates":
        return {"plans": [Plan()], "left_plans": [BARE], "fynx_peer": {"childless": True}}
    return {"strongswan_peer": {"childless": "force"}, "fynx_peer": {"childless": True}}


def given_the_child(fynx: Fynx, plan: Plan) -> None:
    """What the file lacked is written, and loaded under the IKE SA that stands."""
    site = yaml.safe_load(fynx.file.read_text())
    site["peers"][plan.name]["children"] = {
        "lan": {"local": [plan.children[0].left[0]], "remote": list(plan.children[0].right)}
    }
    fynx.file.write_text(yaml.safe_dump(site, sort_keys=False))
    done = fynx.command("reload")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("role", ROLES)
def test_an_ike_sa_stands_alone_until_a_child_is_asked_for(pair: Callable[..., Pair], role: str) -> None:
    """IDi, AUTH  -->  <--  IDr, AUTH; then SA, Ni, TSi, TSr  -->  <--  SA, Nr, TSi, TSr."""
    both = pair(*ROLES[role], **settings(role))
    with both.charon.listening() as heard:
        if isinstance(both.left, Charon):
            both.left.up_alone(both.plan)
        else:
            both.left.up(BARE)
        until(lambda: both.left.established(both.plan) and both.right.established(both.plan), "both ends are up")
    (request,) = [line for line in heard[0].splitlines() if "IKE_AUTH request 1 [" in line]
    assert "CHDLESS_SUP" in heard[0]
    assert not {"SA", "TSi", "TSr"} & set(request.split("[", 2)[-1].split()), request
    assert both.left.children(both.plan) == both.right.children(both.plan) == {}
    assert both.silent()
    if isinstance(both.left, Fynx):
        given_the_child(both.left, both.plan)
    both.left.up(both.plan, "lan")
    both.both_have()
    assert both.charon.ike_sa_count() == 1
    assert both.ping() == 3
    assert both.ping(back=True) == 3


def test_strongswan_that_brings_no_child_is_told_where_fynx_takes_none_without(pair: Callable[..., Pair]) -> None:
    """Without `childless: true` nothing is announced; strongSwan tries it all the same (RFC 6023 section 5)."""
    both = pair("strongswan", "fynx", strongswan_peer={"childless": "force"})
    assert isinstance(both.left, Charon)
    with both.charon.listening() as heard, pytest.raises(Refused):
        both.left.up_alone(both.plan)
    assert "CHDLESS_SUP" not in heard[0]
    assert "received INVALID_SYNTAX notify error" in heard[0]
    assert not both.right.established(both.plan)


def test_fynx_names_the_reason_when_strongswan_will_not(pair: Callable[..., Pair]) -> None:
    theirs = {"childless": "never"}
    both = pair("fynx", "strongswan", left_plans=[BARE], fynx_peer={"childless": True}, strongswan_peer=theirs)
    with pytest.raises(Refused, match="RFC 6023"):
        both.left.up(BARE)
    until(lambda: both.charon.ike_sa_count() == 0 or not both.charon.established(both.plan), "nothing stands")

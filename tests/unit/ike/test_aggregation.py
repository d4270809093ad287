"""N(USE_AGGFRAG): when both ends want it, and only then, inner packets share payloads (RFC 9347 section 5.1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fynx.errors import PeerFault
from fynx.events import ChildRefused
from fynx.ike.policy import ChildPolicy
from fynx.ike.tasks.terms import Terms, aggregation, check_answer, said
from fynx.plugin import Aggregation
from fynx.wire.iana import NotifyType
from tests.unit.ike.pair import Pair, peer

OURS = Aggregation(600, pad=True)


def policy(wanted: Aggregation | None) -> ChildPolicy:
    made = peer("x", (b"a", b"b"), ("198.51.100.0/25", "203.0.113.0/25"), "192.0.2.2/32").children[0]
    return replace(made, aggregation=wanted)


def terms(aggfrag: int | None, *, transport: bool = False) -> Terms:
    return Terms(transport=transport, tfc_allowed=True, more=False, aggfrag=aggfrag)


def agreed(left: Aggregation | None, right: Aggregation | None) -> tuple[Aggregation | None, Aggregation | None]:
    made = Pair(left={"aggregation": left}, right={"aggregation": right})
    made.up()
    ((first,), (second,)) = (side.installed.values() for side in (made.left, made.right))
    assert not any(isinstance(event, ChildRefused) for event in made.left.events + made.right.events)
    return first.aggregation, second.aggregation


def test_each_end_sends_in_its_own_way_when_both_want_it() -> None:
    assert agreed(OURS, Aggregation()) == (OURS, Aggregation())


@pytest.mark.parametrize(("left", "right"), [(OURS, None), (None, OURS), (None, None)])
def test_who_declines_leaves_it_out_and_plain_esp_results(left: Aggregation | None, right: Aggregation | None) -> None:
    assert agreed(left, right) == (None, None)


def test_the_notification_has_the_registered_number_and_one_octet() -> None:
    (notify,) = said("tunnel", Aggregation())
    assert (notify.type, notify.data) == (16442, b"\0")
    assert said("tunnel", None) == ()
    assert NotifyType.USE_AGGFRAG not in [each.type for each in said("transport", Aggregation())]


def test_a_peer_that_takes_no_fragments_gets_none() -> None:
    assert aggregation(policy(OURS), terms(1)) == Aggregation(600, whole=True, pad=True)


@pytest.mark.parametrize("flags", [2, 3])
def test_a_peer_that_requires_congestion_control_gets_plain_esp(flags: int) -> None:
    assert aggregation(policy(OURS), terms(flags)) is None


def test_bits_that_are_not_assigned_require_nothing() -> None:
    assert aggregation(policy(OURS), terms(0xFC)) == OURS


@pytest.mark.parametrize(("wanted", "flags"), [(None, 0), (OURS, 2)])
def test_an_answer_that_we_cannot_live_with_is_refused(wanted: Aggregation | None, flags: int) -> None:
    with pytest.raises(PeerFault) as raised:
        check_answer(policy(wanted), terms(flags))
    assert raised.value.notify == NotifyType.USE_AGGFRAG
    check_answer(policy(wanted), terms(None))

"""Transport mode negotiated (RFC 7296 sections 1.3.1 and 2.23.1), row C22, and what else is said beside a Child SA."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fynx.events import ChildDiffers, ChildRefused, HandshakeFailed
from fynx.ike.effects import Rekey
from fynx.sim.nat import Nat
from fynx.wire.iana import NotifyType
from fynx.wire.payload import DeletePayload, NoncePayload, NotifyPayload, Payload, SaPayload
from tests.sim.forge import AUTH, CREATE, Bench, Script, child_request, errors, notifies
from tests.sim.rig import (
    ALICE,
    BOB,
    ESP,
    Pair,
    lan,
    mirrored,
    network,
    peer_of_alice,
    peer_of_bob,
    policy,
    same_children,
)
from tests.sim.test_rows_rekey import rekey_sa

TRANSPORT = NotifyPayload(NotifyType.USE_TRANSPORT_MODE)
NO_TFC = NotifyPayload(NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED)
FRAGMENTS = NotifyPayload(NotifyType.NON_FIRST_FRAGMENTS_ALSO)
ANYONE = (network("0.0.0.0/0"),)
HOST_A, HOST_B = (network(ALICE),), (network(BOB),)
PRIVATE, OUTSIDE = "10.9.0.5", "203.0.113.7"
EXCHANGES = ("IKE_AUTH", "CREATE_CHILD_SA")


def hosts(**changes: Any) -> Any:
    return lan(**{"mode": "transport", "local": HOST_A, "remote": HOST_B, **changes})


def policy_of(role: str, child: Any) -> Any:
    if role == "initiator":
        return policy(peer_of_alice(children=(child,)))
    return policy(peer_of_bob(children=(mirrored(child),)))


def between(script: Script, *notes: Payload) -> list[Payload]:
    """IKE_AUTH with a Child SA between the two hosts."""
    return [*script.auth_payloads(tsi=HOST_A, tsr=HOST_B), *notes]


def asked(script: Script, exchange: str, *notes: Payload) -> tuple[Payload, ...]:
    """HDR, SK {[IDi, AUTH,] N(…), SA, [Ni,] TSi, TSr} -->; returns the answer."""
    if exchange == "IKE_AUTH":
        return script.request(AUTH, between(script, *notes))
    script.request(AUTH, [one for one in script.auth_payloads() if type(one).__name__ in ("IdPayload", "AuthPayload")])
    request = [*child_request(script)[:2], script.ts(HOST_A, True), script.ts(HOST_B, False)]
    return script.request(CREATE, [*notes, *request])


def responder(child: Any, **changes: Any) -> tuple[Bench, Script]:
    peer = peer_of_bob(children=(mirrored(child),), childless=True, **changes)
    bench = Bench("responder", policy(peer))
    return bench, bench.authenticating()


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_request_for_transport_mode_is_granted_with_the_same_notification(exchange: str) -> None:
    """N(USE_TRANSPORT_MODE), SA, TSi, TSr --> <-- N(USE_TRANSPORT_MODE), N(ESP_TFC_…), SA, TSi, TSr"""
    bench, script = responder(hosts())
    answer = asked(script, exchange, TRANSPORT)
    assert [kind for kind in notifies(answer) if kind in (16391, 16394)] == [
        NotifyType.USE_TRANSPORT_MODE,
        NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED,
    ]
    (child,) = bench.node.plane.children.values()
    assert (child.spec.mode, child.spec.local_ts, child.spec.remote_ts) == ("transport", HOST_B, HOST_A)
    assert bench.node.endpoint.snapshot()[0].children[0].mode == "transport"


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_c22_a_tunnel_policy_ignores_the_request_and_says_so(exchange: str) -> None:
    bench, script = responder(hosts(mode="tunnel"))
    answer = asked(script, exchange, TRANSPORT)
    assert not errors(answer)
    assert NotifyType.USE_TRANSPORT_MODE not in notifies(answer)
    (child,) = bench.node.plane.children.values()
    assert child.spec.mode == "tunnel"
    (event,) = bench.node.events_of(ChildDiffers)
    assert (event.notify, "tunnel" in event.reason) == ("USE_TRANSPORT_MODE", True)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_c22_a_transport_policy_refuses_a_tunnel_in_words(exchange: str) -> None:
    bench, script = responder(hosts())
    assert errors(asked(script, exchange)) == [NotifyType.NO_PROPOSAL_CHOSEN]
    assert not bench.node.plane.history
    assert bench.state() == "established"
    (event,) = bench.node.events_of(ChildRefused)
    assert "transport mode" in event.reason


ANSWERS = {
    "declined": (hosts(), (), HOST_A, HOST_B),
    "unasked": (hosts(mode="tunnel"), (TRANSPORT,), HOST_A, HOST_B),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_c22_an_answer_of_another_mode_makes_no_child_and_is_taken_back(name: str) -> None:
    """N(USE_TRANSPORT_MODE), SA, TSi, TSr --> <-- SA, TSi, TSr; then D(ESP) --> (RFC 7296 section 1.3.1)."""
    child, notes, tsi, tsr = ANSWERS[name]
    bench = Bench("initiator", policy_of("initiator", child))
    script = bench.authenticating()
    wanted = notifies(script.opened(script.one()))
    assert (NotifyType.USE_TRANSPORT_MODE in wanted) is (name == "declined")
    script.send(script.sealed(AUTH, [*script.auth_payloads(tsi=tsi, tsr=tsr), *notes], 1, response=True))
    assert bench.state() == "established"
    assert not bench.node.plane.history
    assert any(isinstance(one, DeletePayload) for one in script.opened(script.one()))
    (event,) = bench.node.events_of(ChildRefused)
    assert (event.notify, bool(event.remedy)) == ("USE_TRANSPORT_MODE", True)


def test_a_policy_of_both_modes_falls_back_to_its_tunnel() -> None:
    """RFC 7296 section 2.23.1: no transport entry fits, so the request is looked up again as it was sent."""
    tunnel = lan(name="tunnel", local=HOST_A, remote=HOST_B)
    elsewhere = hosts(name="hosts", remote=(network("198.51.100.77"),))
    peer = peer_of_bob(children=(mirrored(elsewhere), mirrored(tunnel)))
    bench = Bench("responder", policy(peer))
    answer = bench.authenticating().request(AUTH, between(bench.script, TRANSPORT))
    assert not errors(answer)
    (child,) = bench.node.plane.children.values()
    assert (child.spec.child, child.spec.mode) == ("tunnel", "tunnel")


def pair(child: Any = None, **changes: Any) -> Pair:
    child = child or hosts()
    return Pair(
        alice=policy(peer_of_alice(children=(child,), **changes)),
        bob=policy(peer_of_bob(children=(mirrored(child),), **changes)),
    )


@pytest.mark.parametrize("side", ["alice", "bob"])
@pytest.mark.parametrize("what", ["lan", ""])
def test_the_mode_outlives_rekeys_from_either_side(side: str, what: str) -> None:
    both = pair()
    both.up()
    node, peer = (both.alice, "bob") if side == "alice" else (both.bob, "alice")
    node.command(Rekey(peer, what))
    both.settle(90.0)
    for one in (both.alice, both.bob):
        assert {child.spec.mode for child in one.plane.children.values()} == {"transport"}
        assert len(one.plane.history) == (2 if what else 1)
    same_children(both.alice, both.bob)


def test_wildcards_become_the_two_addresses_of_the_ike_sa() -> None:
    both = pair(hosts(local=(network("0.0.0.0/0", 6),), remote=(network("0.0.0.0/0", 6, (443, 443)), ANYONE[0])))
    both.up()
    (child,) = both.alice.plane.children.values()
    assert child.spec.local_ts == (network(ALICE, 6),)
    assert child.spec.remote_ts == HOST_B
    assert child.spec.translated is None


def test_selectors_that_do_not_cover_the_two_hosts_are_told_in_words() -> None:
    both = pair(hosts(remote=(network("198.51.100.77"),)))
    both.initiate()
    both.settle(5.0)
    assert not both.alice.plane.history
    told = [one.reason for one in (*both.alice.events_of(ChildRefused), *both.alice.events_of(HandshakeFailed))]
    assert any("transport mode" in reason and BOB in reason for reason in told), both.alice.events


def natted(**changes: Any) -> Pair:
    """Alice behind a NAT; Bob, with a static one before him, where ``both``."""
    far = "10.8.0.5" if changes.pop("both", False) else BOB
    child = hosts(local=ANYONE, remote=(network("198.51.100.9" if far != BOB else BOB),))
    theirs = replace(mirrored(hosts(local=ANYONE, remote=ANYONE)), **changes)
    made = Pair(
        addresses=(PRIVATE, far),
        alice=policy(peer_of_alice(children=(child,), remote=())),
        bob=policy(peer_of_bob(children=(theirs,), remote=())),
    )
    made.world.add_nat(Nat(OUTSIDE, [PRIVATE]))
    if far != BOB:
        nat = made.world.add_nat(Nat("198.51.100.9", [far]))
        nat.forward(500, (far, 500))
        nat.forward(4500, (far, 4500))
        made.target = "198.51.100.9"
    return made


def host(text: str) -> bytes:
    return network(text).start


@pytest.mark.parametrize("rekey", [False, "alice", "bob"])
def test_behind_a_nat_each_side_has_the_addresses_that_it_sees(rekey: str | bool) -> None:
    """TSi = 10.9.0.5, TSr = BOB --> <-- TSi = 203.0.113.7, TSr = BOB"""
    both = natted()
    both.up()
    if rekey:
        node, peer = (both.alice, "bob") if rekey == "alice" else (both.bob, "alice")
        node.command(Rekey(peer, "lan"))
        both.settle(90.0)
    (ours,) = both.alice.plane.children.values()
    (theirs,) = both.bob.plane.children.values()
    assert (ours.spec.local_ts, ours.spec.remote_ts) == ((network(PRIVATE),), HOST_B)
    assert (theirs.spec.local_ts, theirs.spec.remote_ts) == (HOST_B, (network(OUTSIDE),))
    assert ours.spec.translated == (host(BOB), host(OUTSIDE))
    assert theirs.spec.translated == (host(PRIVATE), host(BOB))


def test_between_two_nats_each_side_learns_what_the_other_counts() -> None:
    both = natted(both=True)
    both.up()
    (ours,) = both.alice.plane.children.values()
    (theirs,) = both.bob.plane.children.values()
    assert (ours.spec.local_ts, ours.spec.remote_ts) == ((network(PRIVATE),), (network("198.51.100.9"),))
    assert (theirs.spec.local_ts, theirs.spec.remote_ts) == ((network("10.8.0.5"),), (network(OUTSIDE),))
    assert ours.spec.translated == (host("10.8.0.5"), host(OUTSIDE))
    assert theirs.spec.translated == (host(PRIVATE), host("198.51.100.9"))


def test_behind_a_nat_a_tunnel_policy_sees_what_the_peer_wrote() -> None:
    """The substitution is undone for a tunnel (RFC 7296 section 2.23.1)."""
    both = natted(mode="tunnel", remote=(network("10.9.0.0/16"),))
    both.initiate()
    both.settle(5.0)
    assert [spec.mode for spec in both.bob.plane.history] == ["tunnel"]
    assert both.bob.plane.history[0].remote_ts == (network(PRIVATE),)
    assert not both.alice.plane.children


def test_after_another_nat_binding_a_rekey_takes_the_new_address() -> None:
    both = natted()
    both.up()
    (before,) = both.alice.plane.children
    both.world.add_nat(Nat("203.0.113.8", [PRIVATE]))
    both.alice.send_packet(before, b"p" * 40)
    both.settle()
    both.alice.command(Rekey("bob", "lan"))
    both.settle(90.0)
    (theirs,) = both.bob.plane.children.values()
    assert theirs.spec.remote_ts == (network("203.0.113.8"),)


@pytest.mark.parametrize("role", ["initiator", "responder"])
@pytest.mark.parametrize("refuses", [False, True])
def test_the_peers_wish_about_padding_reaches_the_plane(role: str, refuses: bool) -> None:
    bench = Bench(role)
    script = bench.authenticating()
    notes = (NO_TFC,) if refuses else ()
    if role == "responder":
        answer = script.request(AUTH, [*script.auth_payloads(), *notes])
        assert NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED not in notifies(answer)
    else:
        script.one()
        script.send(script.sealed(AUTH, [*script.auth_payloads(), *notes], 1, response=True))
    (child,) = bench.node.plane.children.values()
    assert child.spec.tfc_allowed is not refuses


def test_non_first_fragments_are_declined_by_leaving_the_notification_out() -> None:
    """N(NON_FIRST_FRAGMENTS_ALSO), SA, TSi, TSr --> <-- SA, TSi, TSr (RFC 7296 section 1.3.1)."""
    bench = Bench("responder")
    script = bench.authenticating()
    answer = script.request(AUTH, [*script.auth_payloads(), FRAGMENTS])
    assert not errors(answer)
    assert NotifyType.NON_FIRST_FRAGMENTS_ALSO not in notifies(answer)
    assert len(bench.node.plane.children) == 1


def test_a_rekey_that_asks_for_another_mode_is_refused() -> None:
    bench, script = responder(hosts())
    asked(script, "IKE_AUTH", TRANSPORT)
    offered = SaPayload((replace(ESP[0], spi=b"\x31\x32\x33\x34", transforms=_one_suite(script)),))
    request = [rekey_sa(), offered, NoncePayload(b"n" * 32), script.ts(HOST_A, True), script.ts(HOST_B, False)]
    assert errors(script.request(CREATE, request)) == [NotifyType.NO_PROPOSAL_CHOSEN]
    assert [child.spec.mode for child in bench.node.plane.children.values()] == ["transport"]


def _one_suite(script: Script) -> Any:
    (sa,) = [one for one in script.auth_payloads() if isinstance(one, SaPayload)]
    return sa.proposals[0].transforms

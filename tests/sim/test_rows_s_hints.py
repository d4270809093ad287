"""Bad input S9: what anybody may say of a peer, in clear or by ICMP, is a hint: it costs a liveness check at most."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fynx.ike.effects import CheckLiveness, Initiate
from fynx.plugin import Path
from fynx.wire.header import parse_header
from fynx.wire.iana import NotifyType
from fynx.wire.payload import NotifyPayload
from tests.sim.forge import INFO, ROLES, Bench
from tests.sim.rig import ALICE, BOB, Pair, peer_of_alice, peer_of_bob, policy, same_children


@pytest.mark.parametrize("kind", [NotifyType.INVALID_IKE_SPI, NotifyType.INVALID_SYNTAX])
@pytest.mark.parametrize("role", ROLES)
def test_s9_a_forged_error_leads_to_a_liveness_check_at_most(role: str, kind: NotifyType) -> None:
    bench = Bench(role)
    script = bench.established()
    name = "bob" if role == "initiator" else "alice"
    bench.node.command(CheckLiveness(name))
    bench.world.run(0.1)
    request = parse_header(script.one())
    forged = script.clear(INFO, [NotifyPayload(kind)], request.message_id, response=True)
    for _ in range(100):
        script.send(forged, wait=False)
    bench.world.run(1.0)
    assert len(script.received()) <= 1
    assert bench.state() == "established"
    script.send(script.sealed(INFO, (), request.message_id, response=True))
    assert bench.state() == "established"
    assert len(bench.node.plane.children) == 1


def test_s9_forged_errors_for_no_request_change_nothing() -> None:
    bench = Bench("responder")
    script = bench.established()
    for message_id in range(5):
        for kind in (NotifyType.INVALID_IKE_SPI, NotifyType.INVALID_SYNTAX):
            with bench.silent():
                script.send(script.clear(INFO, [NotifyPayload(kind)], message_id, response=True))
            with bench.silent():
                script.send(script.clear(INFO, [NotifyPayload(kind)], message_id))


# ICMP: somebody says that what we sent does not arrive.

QUIET_ALICE = policy(peer_of_alice(liveness_s=None))
QUIET_BOB = policy(peer_of_bob(liveness_s=None))


def complained(bench: Bench) -> Path:
    """The path of what the node sends to the script."""
    (sa,) = bench.node.endpoint.sas.values()
    return replace(sa.path, local=bench.node.host.addresses[0])


@pytest.mark.parametrize("role", ROLES)
def test_s9_icmp_unreachable_leads_to_one_liveness_check_in_ten_seconds(role: str) -> None:
    # 1000 x ICMP  -->  SK {}  -->  <--  SK {};  and again ten seconds later
    bench = Bench(role, QUIET_ALICE if role == "initiator" else QUIET_BOB)
    script = bench.established()
    for checks in (1, 2):
        for _ in range(1000):
            bench.node.unreachable(complained(bench))
        bench.world.run(0.1)
        question = script.one()
        assert parse_header(question).exchange == INFO
        assert script.opened(question) == ()
        script.send(script.sealed(INFO, (), parse_header(question).message_id, response=True))
        assert bench.node.endpoint.counters()["hint_unreachable"] == checks
        bench.world.run(10.0)
    assert bench.node.endpoint.counters()["hints_ignored"] == 1998
    assert bench.state() == "established"
    assert len(bench.node.plane.children) == 1


@pytest.mark.parametrize("role", ROLES)
def test_s9_icmp_about_another_path_than_that_of_the_sa_asks_nobody(role: str) -> None:
    bench = Bench(role, QUIET_ALICE if role == "initiator" else QUIET_BOB)
    script = bench.established()
    right = complained(bench)
    for wrong in (
        replace(right, remote="203.0.113.7"),
        replace(right, remote_port=right.remote_port + 1),
        replace(right, local_port=right.local_port + 1),
        replace(right, local="203.0.113.7"),
    ):
        bench.node.unreachable(wrong)
    bench.world.run(1.0)
    assert not script.received()


def test_s9_icmp_during_a_handshake_ends_and_shortens_nothing() -> None:
    bench = Bench("initiator")
    bench.node.command(Initiate("bob", Path(ALICE, 500, BOB, 500)))
    deadline = bench.node.endpoint.deadline()
    sent = len(bench.node.sent)
    for _ in range(5):
        bench.node.unreachable(Path(ALICE, 500, BOB, 500))
    assert (bench.node.endpoint.deadline(), len(bench.node.sent)) == (deadline, sent)
    assert bench.state() == "init_sent"


def test_s9_icmp_about_a_peer_that_lives_costs_one_exchange_and_about_a_dead_one_finds_it_out() -> None:
    pair = Pair(alice=QUIET_ALICE, bob=QUIET_BOB)
    pair.up()
    (path,) = (replace(sa.path, local=ALICE) for sa in pair.alice.endpoint.sas.values())
    pair.alice.unreachable(path)
    pair.world.run(400.0)
    same_children(pair.alice, pair.bob)
    pair.bob.alive = False
    pair.world.run(400.0)
    assert pair.alice.endpoint.snapshot()  # nobody asks by itself here
    pair.alice.unreachable(path)
    pair.world.run(400.0)
    assert not pair.alice.endpoint.snapshot()

"""Bad inputs A26 to A29: INITIAL_CONTACT, unique peers, repeated failures, refused children; real Endpoint."""

from __future__ import annotations

import pytest

from fynx.errors import FynxError
from fynx.events import ChildRefused, HandshakeFailed, IkeDown
from fynx.plugin import Identity
from fynx.sim.trace import NoTrace
from fynx.wire.header import parse_header
from fynx.wire.iana import NotifyType, Protocol
from fynx.wire.payload import AuthPayload, DeletePayload, IdPayload, NotifyPayload, Payload, SaPayload, TsPayload
from tests.sim.forge import AUTH, INFO, SPI, Bench, Script, errors
from tests.sim.rig import BOB, identity, lan, mirrored, network, peer_of_bob, policy
from tests.unit.ike.algorithms import CBC_256, NO_ESN, SHA256, esp

CONTACT = NotifyPayload(NotifyType.INITIAL_CONTACT)
CAROL = identity("carol.example.org")


def gateway(**changes: object) -> Bench:
    """Bob, to whom Alice and Carol may come from anywhere."""
    alice = peer_of_bob(remote=(), **changes)
    carol = peer_of_bob(name="carol", remote=(), remote_id=CAROL, **changes)
    return Bench("responder", policy(alice, carol))


def newcomer(bench: Bench, who: Identity | None = None, number: int = 1) -> Script:
    """Another peer, at another address, that has finished IKE_SA_INIT."""
    script = Script(bench.world, f"192.0.2.{100 + number}", BOB, initiator=True)
    script.spi_i = b"newcome" + bytes((number,))
    script.own_id = who or script.own_id
    script.begin()
    script.learn(script.one())
    return script


def names(bench: Bench) -> list[str]:
    return sorted(one.remote_id for one in bench.node.endpoint.snapshot() if one.state == "established")


def child_of(script: Script, number: int = 0) -> list[Payload]:
    """IKE_AUTH payloads with an ESP SPI of their own."""
    spi = SPI[:3] + bytes((SPI[3] + number,))
    found = script.auth_payloads()
    offered = next(one for one in found if isinstance(one, SaPayload)).proposals[0]
    mine = SaPayload((type(offered)(offered.number, offered.protocol, spi, offered.transforms),))
    return [mine if isinstance(one, SaPayload) else one for one in found]


def test_a26_initial_contact_of_one_identity_leaves_the_others_alone() -> None:
    bench = gateway()
    bench.established()
    carol = newcomer(bench, CAROL)
    assert not errors(carol.request(AUTH, [*child_of(carol, 1), CONTACT]))
    assert names(bench) == ["alice.example.org", "carol.example.org"]
    assert len(bench.node.plane.children) == 2


def test_a26_initial_contact_removes_the_older_sas_of_the_same_identity_at_once() -> None:
    bench = gateway(unique="never")
    old = bench.established()
    new = newcomer(bench)
    assert not errors(new.request(AUTH, [*child_of(new, 1), CONTACT]))
    assert names(bench) == ["alice.example.org"]
    assert [one.spi_i for one in bench.node.endpoint.snapshot()] == [new.spi_i.hex()]
    assert [child.spec.spi_out for child in bench.node.plane.children.values()] == [int.from_bytes(SPI, "big") + 1]
    assert not old.received()  # the peer has forgotten that SA: no DELETE


def test_a26_initial_contact_of_who_does_not_prove_itself_removes_nothing() -> None:
    bench = gateway()
    bench.established()
    new = newcomer(bench)
    wrong = AuthPayload(2, b"\0" * 48)
    payloads = [wrong if isinstance(one, AuthPayload) else one for one in child_of(new, 1)]
    assert errors(new.request(AUTH, [*payloads, CONTACT])) == [NotifyType.AUTHENTICATION_FAILED]
    assert names(bench) == ["alice.example.org"]
    assert len(bench.node.plane.children) == 1


def test_a26_where_anybody_may_come_initial_contact_still_goes_by_identity() -> None:
    bench = Bench("responder", policy(peer_of_bob(remote=(), remote_id=None)))
    bench.established()
    carol = newcomer(bench, CAROL)
    assert not errors(carol.request(AUTH, [*child_of(carol, 1), CONTACT]))
    assert names(bench) == ["alice.example.org", "carol.example.org"]


def shown(bench: Bench, new: Script) -> None:
    """The peer does not delete the old SA: we ask on the new one whether it has that, and it has."""
    bench.world.run(3.0)
    asked = new.one()
    assert new.opened(asked) == ()
    new.send(new.sealed(INFO, (), parse_header(asked).message_id, response=True))


def test_a27_replace_deletes_the_older_sa_and_tells_its_peer() -> None:
    bench = gateway(unique="replace")
    old = bench.established()
    new = newcomer(bench)
    assert not errors(new.request(AUTH, child_of(new, 1)))
    shown(bench, new)
    bench.world.run(3.0)
    request = old.one()
    assert old.opened(request) == (DeletePayload(Protocol.IKE, ()),)
    old.send(old.sealed(INFO, (), parse_header(request).message_id, response=True))
    assert [one.spi_i for one in bench.node.endpoint.snapshot()] == [new.spi_i.hex()]
    assert len(bench.events(IkeDown)) == 1
    bench.world.run(6.0)  # and its child receives a little longer
    assert len(bench.node.plane.children) == 1


def test_a27_replace_forgets_an_older_sa_whose_peer_does_not_answer() -> None:
    bench = gateway(unique="replace", liveness_s=None)
    bench.established()
    new = newcomer(bench)
    assert not errors(new.request(AUTH, child_of(new, 1)))
    shown(bench, new)
    bench.world.run(600.0)
    assert [one.spi_i for one in bench.node.endpoint.snapshot()] == [new.spi_i.hex()]


def test_a27_keep_refuses_the_second_and_the_first_lives() -> None:
    bench = gateway(unique="keep")
    old = bench.established()
    new = newcomer(bench)
    assert errors(new.request(AUTH, child_of(new, 1))) == [NotifyType.AUTHENTICATION_FAILED]
    assert [one.spi_i for one in bench.node.endpoint.snapshot()] == [old.spi_i.hex()]
    assert len(bench.node.plane.children) == 1
    assert old.request(INFO, ()) == ()


def test_a27_never_lets_both_live() -> None:
    bench = gateway(unique="never")
    old = bench.established()
    new = newcomer(bench)
    assert not errors(new.request(AUTH, child_of(new, 1)))
    assert names(bench) == ["alice.example.org"] * 2
    assert len(bench.node.plane.children) == 2
    assert old.request(INFO, ()) == ()


@pytest.mark.parametrize("unique", ["replace", "keep", "never"])
def test_a27_fifty_sas_of_one_identity_leave_nothing_behind(unique: str) -> None:
    bench = gateway(unique=unique, liveness_s=None)
    bench.established()
    for number in range(1, 50):
        new = newcomer(bench, number=number)
        new.request(AUTH, [*child_of(new, number), *([CONTACT] if number % 2 else [])])
    bench.world.run(1200.0)
    live = bench.node.endpoint.snapshot()
    assert len(live) <= (2 if unique == "never" else 1)
    assert len(bench.node.plane.children) == len(live)
    assert bench.node.endpoint.counters()["half_open"] == 0
    assert not bench.node.plane.reserved


def test_a28_ten_thousand_failures_from_one_address_are_cut_off_and_hold_no_half_open_sas() -> None:
    # {SA, KE, Ni}  -->  <--  {SA, KE, Nr};  SK {IDi, AUTH wrong, …}  -->  <--  SK {N(AUTHENTICATION_FAILED)};  again …
    bench = Bench("responder")
    bench.node.trace = NoTrace()
    script = bench.script
    answered = 0
    for number in range(10_000):
        script.spi_i, script.spi_r = (number + 1).to_bytes(8, "big"), bytes(8)
        script.begin()
        for message in script.received():
            answered += 1
            script.learn(message)
            script.secret = b"wrong"
            assert errors(script.request(AUTH, script.auth_payloads())) == [NotifyType.AUTHENTICATION_FAILED]
        assert bench.node.endpoint.counters()["half_open"] == 0
        assert bench.state() == ""
    minutes = bench.world.now / 60
    assert 0 < answered <= 20 * (minutes + 1)
    assert len(bench.events(HandshakeFailed)) == answered
    assert bench.node.endpoint.counters()["drop_admission"] == 10_000 - answered


def guessed(bench: Bench, number: int) -> Script:
    """A stranger at an address of its own that claims to be Alice and has the wrong secret."""
    script = newcomer(bench, number=number)
    script.secret = b"guess %d" % number
    assert errors(script.request(AUTH, child_of(script, number))) == [NotifyType.AUTHENTICATION_FAILED]
    return script


def test_a28_guesses_at_one_identity_from_many_addresses_are_cut_off() -> None:
    bench = gateway()
    bench.established()
    for number in range(60):
        guessed(bench, number)
    late = newcomer(bench, number=61)
    assert errors(late.request(AUTH, child_of(late, 61))) == [NotifyType.AUTHENTICATION_FAILED]
    failure = bench.events(HandshakeFailed)[-1]
    assert isinstance(failure, HandshakeFailed)
    assert "too many failed authentications" in failure.reason
    carol = newcomer(bench, CAROL, number=62)
    assert not errors(carol.request(AUTH, child_of(carol, 62))), "another identity"
    known = bench.script
    known.spi_i, known.spi_r, known.offer = b"comeback", bytes(8), None
    known.begin()
    known.learn(known.one())
    assert not errors(known.request(AUTH, child_of(known, 63))), "an address that proved it before"
    bench.world.run(60.0)
    later = newcomer(bench, number=64)
    assert not errors(later.request(AUTH, child_of(later, 64)))


def test_a28_a_source_that_failed_is_let_in_again_later() -> None:
    bench = Bench("responder")
    test = bench.script
    for number in range(60):
        test.spi_i, test.spi_r, test.offer = b"failure" + bytes((number,)), bytes(8), None
        test.begin()
        if not test.inbox:
            break
        test.learn(test.one())
        test.secret = b"wrong"
        test.request(AUTH, test.auth_payloads())
    else:
        pytest.fail("never cut off")
    bench.world.run(600.0)
    test.secret = Script(bench.world, "192.0.2.99", BOB, initiator=True).secret
    bench.established()


FOREIGN = network("203.0.113.0/24")


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (lambda s: s.ts((FOREIGN,), True), NotifyType.TS_UNACCEPTABLE),
        (lambda s: s.ts((FOREIGN,), False), NotifyType.TS_UNACCEPTABLE),
        (lambda s: SaPayload((esp(CBC_256, SHA256, NO_ESN, spi=SPI),)), NotifyType.NO_PROPOSAL_CHOSEN),
    ],
)
def test_a29_a_refused_first_child_leaves_the_ike_sa(payload: object, error: NotifyType) -> None:
    bench = Bench("responder")
    script = bench.authenticating()
    changed = payload(script)  # type: ignore[operator]
    kind = getattr(changed, "kind")  # noqa: B009
    answer = script.request(AUTH, [changed if one.kind == kind else one for one in script.auth_payloads()])
    assert [type(one) for one in answer[:2]] == [IdPayload, AuthPayload]
    assert errors(answer) == [error]
    assert not any(isinstance(one, SaPayload | TsPayload) for one in answer)
    assert bench.state() == "established"
    assert not bench.node.plane.children
    assert not bench.node.plane.reserved
    (refusal,) = bench.events(ChildRefused)
    assert isinstance(refusal, ChildRefused)
    assert refusal.notify == error.name
    assert refusal.reason


@pytest.mark.parametrize(
    "error",
    [
        NotifyType.TS_UNACCEPTABLE,
        NotifyType.NO_PROPOSAL_CHOSEN,
        NotifyType.NO_ADDITIONAL_SAS,
        NotifyType.INTERNAL_ADDRESS_FAILURE,
        NotifyType.FAILED_CP_REQUIRED,
        NotifyType.SINGLE_PAIR_REQUIRED,
    ],
)
def test_a29_an_initiator_keeps_the_ike_sa_whose_child_was_refused(error: NotifyType) -> None:
    bench = Bench("initiator")
    script = bench.authenticating()
    script.received()
    payloads = script.auth_payloads()[:2]
    script.send(script.sealed(AUTH, [*payloads, NotifyPayload(error)], 1, response=True))
    assert bench.state() == "established"
    assert not bench.node.plane.children
    assert not bench.node.plane.reserved
    (refusal,) = bench.events(ChildRefused)
    assert isinstance(refusal, ChildRefused)
    assert refusal.notify == error.name


def test_a29_a_plane_that_refuses_leaves_the_ike_sa_in_both_roles() -> None:
    for role in ("initiator", "responder"):
        bench = Bench(role)
        bench.node.plane.refuse = FynxError("no such algorithm here")
        script = bench.authenticating()
        if role == "responder":
            assert errors(script.request(AUTH, script.auth_payloads()))
        else:
            script.received()
            script.send(script.sealed(AUTH, script.auth_payloads(), 1, response=True))
            told = script.opened(script.one())
            assert told[0].kind == DeletePayload.kind  # the peer has installed it
        assert bench.state() == "established"
        assert bench.events(ChildRefused)
        assert not bench.node.plane.reserved


def test_the_second_child_policy_takes_what_the_first_does_not() -> None:
    second = lan(name="second", local=(network("10.9.0.0/16"),))
    bench = Bench("responder", policy(peer_of_bob(children=(mirrored(lan()), mirrored(second)))))
    script = bench.authenticating()
    script.request(AUTH, script.auth_payloads(tsi=(network("10.9.0.0/16"),)))
    (child,) = bench.node.plane.children.values()
    assert child.spec.child == "second"
    assert child.spec.remote_ts == second.local

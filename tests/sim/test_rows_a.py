"""Bad inputs A1-A3, A5, A7-A9, A26-A29: identities and AUTH, as dialogues with a real Endpoint in both roles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from fynx.events import HandshakeFailed, IkeUp
from fynx.plugin import Identity
from fynx.wire.header import parse_header
from fynx.wire.iana import ExchangeType, IdType, NotifyType
from fynx.wire.payload import AuthPayload, IdPayload, Payload
from tests.sim.forge import AUTH, INFO, ROLES, Bench, Script, errors
from tests.sim.rig import (
    identity,
    peer_of_alice,
    peer_of_bob,
    policy,
    psk,
)

Forge = Callable[[Script], AuthPayload]


def changed(payloads: list[Payload], auth: AuthPayload) -> list[Payload]:
    return [auth if isinstance(one, AuthPayload) else one for one in payloads]


def failed(role: str, forge: Callable[[Script], list[Payload]], node: object = None, secret: bytes = b"") -> Bench:
    """IKE_AUTH with these payloads: AUTHENTICATION_FAILED, no SA, no child."""
    bench = Bench(role, node)  # type: ignore[arg-type]
    script = bench.authenticating()
    if secret:
        script.secret = secret
    if role == "responder":
        answer = script.request(AUTH, forge(script))
        assert errors(answer) == [NotifyType.AUTHENTICATION_FAILED]
        assert len(answer) == 1  # nothing else is given away
    else:
        script.received()
        script.send(script.sealed(AUTH, forge(script), 1, response=True))
        told = script.received()
        for message in told:  # the peer believes that it is up: an INFORMATIONAL tells it (2.21.2)
            header = parse_header(message)
            assert header.exchange == ExchangeType.INFORMATIONAL
            assert errors(script.opened(message)) == [NotifyType.AUTHENTICATION_FAILED]
            script.send(script.sealed(INFO, (), header.message_id, response=True))
    assert bench.state() == ""
    assert not bench.node.plane.children
    assert not bench.node.plane.reserved
    assert not bench.events(IkeUp)
    (failure,) = bench.events(HandshakeFailed)
    assert isinstance(failure, HandshakeFailed)
    assert failure.notify == "AUTHENTICATION_FAILED"
    return bench


def keys(script: Script) -> tuple[bytes, bytes]:
    """(our SK_p, the node's)."""
    assert script.keys is not None
    pair = bytes(script.keys.sk_pi), bytes(script.keys.sk_pr)
    return pair if script.initiator else (pair[1], pair[0])


WRONG_AUTH: dict[str, Forge] = {
    "SK_p of the other side": lambda script: script.auth(script.own_id, sk_p=keys(script)[1]),
    "without ID": lambda script: script.auth(script.own_id, body=b""),
    "over another ID": lambda script: script.auth(script.peer_id),
    "over our own nonce": lambda script: script.auth(script.own_id, nonce=script.ni if script.initiator else script.nr),
    "over another nonce": lambda script: script.auth(script.own_id, nonce=b"x" * 32),
    "over the node's first message": lambda script: script.auth(script.own_id, message=script.peer_init),
    "over a message of another run": lambda script: script.auth(script.own_id, message=b"y" + script.own_init[1:]),
    "another secret": lambda script: script.auth(script.own_id, secret=b"another pre-shared key of the tests"),
    "an empty secret": lambda script: script.auth(script.own_id, secret=b""),
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", WRONG_AUTH)
def test_a1_auth_over_anything_else_fails(role: str, name: str) -> None:
    failed(role, lambda script: changed(script.auth_payloads(), WRONG_AUTH[name](script)))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("length", [0, 16, 47, 49])
def test_a2_auth_of_another_length_fails(role: str, length: int) -> None:
    def forge(script: Script) -> list[Payload]:
        right = script.auth(script.own_id)
        return changed(script.auth_payloads(), AuthPayload(2, (right.data + b"\0")[:length]))

    failed(role, forge)


@pytest.mark.parametrize("role", ROLES)
def test_a2_every_bit_of_auth_counts(role: str) -> None:
    for bit in range(0, 48 * 8, 37):

        def forge(script: Script, bit: int = bit) -> list[Payload]:
            data = bytearray(script.auth(script.own_id).data)
            data[bit // 8] ^= 1 << bit % 8
            return changed(script.auth_payloads(), AuthPayload(2, bytes(data)))

        failed(role, forge)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("method", [0, 1, 3, 9, 12, 13, 14, 15, 200, 255])
def test_a3_another_method_than_the_configured_one_fails(role: str, method: int) -> None:
    failed(role, lambda s: changed(s.auth_payloads(), replace(s.auth(s.own_id), method=method)))


DN = bytes.fromhex("300d310b3009060355040313026571")
IDENTITIES = {
    "type 0": Identity(0, b"alice.example.org"),
    "type 4": Identity(4, b"alice.example.org"),
    "type 12": Identity(12, b"alice.example.org"),
    "type 13": Identity(13, b""),
    "type 255": Identity(255, b"alice.example.org"),
    "IPv4 of 3": Identity(IdType.ID_IPV4_ADDR, b"\xc0\0\2"),
    "IPv4 of 5": Identity(IdType.ID_IPV4_ADDR, b"\xc0\0\2\1\0"),
    "IPv6 of 4": Identity(IdType.ID_IPV6_ADDR, b"\xc0\0\2\1"),
    "broken DN": Identity(IdType.ID_DER_ASN1_DN, DN[:-1]),
    "FQDN with NUL": Identity(IdType.ID_FQDN, b"alice.example.org\0.evil.example"),
    "FQDN with newline": Identity(IdType.ID_FQDN, b"alice.example.org\nup: all"),
    "FQDN with a homoglyph": Identity(IdType.ID_FQDN, "аlice.example.org".encode()),
    "FQDN of 60000": Identity(IdType.ID_FQDN, b"a" * 60000),
    "empty": Identity(IdType.ID_FQDN, b""),
    "KEY_ID of 1025": Identity(IdType.ID_KEY_ID, b"k" * 1025),
    "control characters": Identity(IdType.ID_RFC822_ADDR, b"a@\x1b[31mexample.org"),
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("anybody", [False, True])
@pytest.mark.parametrize("name", IDENTITIES)
def test_a5_identities_that_cannot_be_fail_and_are_shown_escaped(role: str, name: str, anybody: bool) -> None:
    """Even where any identity is welcome that knows the secret."""
    who = IDENTITIES[name]
    change = {"remote_id": None} if anybody else {}
    node = policy(peer_of_alice(**change)) if role == "initiator" else policy(peer_of_bob(**change))
    bench = failed(role, lambda script: script.auth_payloads(who=who), node)
    shown = [str(event) for event in bench.node.events]
    assert all(text.isprintable() and len(text) < 1500 for text in shown), shown


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", [b"%any", b"*", b"*.example.org", b"", b"0.0.0.0"])
def test_a7_a_received_pattern_matches_nobody(role: str, name: bytes) -> None:
    failed(role, lambda script: script.auth_payloads(who=Identity(IdType.ID_FQDN, name)))


@pytest.mark.parametrize("pattern", ["%any", "*"])
def test_a7_a_received_pattern_is_a_name_like_another(pattern: str) -> None:
    """Where anybody with the secret is welcome, "*" is welcome as "*", and is nobody else."""
    who = Identity(IdType.ID_FQDN, pattern.encode())
    bench = Bench("responder", policy(peer_of_bob(remote_id=None)))
    script = bench.authenticating()
    assert not errors(script.request(AUTH, script.auth_payloads(who=who)))
    assert bench.node.endpoint.snapshot()[0].remote_id == pattern


def test_a7_who_may_be_whom_is_chosen_by_identity_among_those_at_the_address() -> None:
    """Two peers at one address, each with its own secret: knowing one does not make one the other."""
    carols = psk(b"the secret of carol, longer")
    other = peer_of_bob(name="carol", remote_id=identity("carol.example.org"), local_auth=carols, remote_auth=carols)
    node = policy(peer_of_bob(), other)
    bench = Bench("responder", node)
    script = bench.authenticating()
    assert not errors(script.request(AUTH, script.auth_payloads()))
    assert bench.node.endpoint.snapshot()[0].peer == "alice"
    carol = identity("carol.example.org")
    failed("responder", lambda script: script.auth_payloads(who=carol), node)
    bench = Bench("responder", node)
    script = bench.authenticating()
    script.secret = b"the secret of carol, longer"
    script.peer_id = identity("bob.example.org")
    payloads = script.auth_payloads(who=carol)
    answer = script.request(AUTH, payloads)
    assert any(isinstance(one, AuthPayload) for one in answer)
    assert bench.node.endpoint.snapshot()[0].peer == "carol"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("anybody", [False, True])
def test_a8_our_own_identity_with_our_own_secret_is_refused(role: str, anybody: bool) -> None:
    change = {"remote_id": None} if anybody else {}
    node = policy(peer_of_alice(**change)) if role == "initiator" else policy(peer_of_bob(**change))
    failed(role, lambda script: script.auth_payloads(who=script.peer_id), node)


@pytest.mark.parametrize("role", ROLES)
def test_a8_our_own_identity_is_taken_where_it_is_configured(role: str) -> None:
    same = identity("both.example.org")
    change = {"local_id": same, "remote_id": same}
    node = policy(peer_of_alice(**change)) if role == "initiator" else policy(peer_of_bob(**change))
    bench = Bench(role, node)
    script = bench.authenticating()
    if role == "responder":
        assert not errors(script.request(AUTH, script.auth_payloads(who=same)))
    else:
        script.received()
        script.send(script.sealed(AUTH, script.auth_payloads(who=same), 1, response=True))
    assert bench.state() == "established"


def test_a9_a_responder_answers_with_the_identity_that_was_asked_for_if_it_has_it() -> None:
    second = peer_of_bob(name="alice2", local_id=identity("second.example.org"))
    for asked in ("bob.example.org", "second.example.org"):
        bench = Bench("responder", policy(peer_of_bob(), second))
        script = bench.authenticating()
        answer = script.request(AUTH, script.auth_payloads(asked=identity(asked)))
        idr = next(one for one in answer if isinstance(one, IdPayload))
        assert idr.data == asked.encode()


def test_a9_a_responder_asked_for_an_unknown_identity_answers_with_its_own() -> None:
    bench = Bench("responder")
    script = bench.authenticating()
    answer = script.request(AUTH, script.auth_payloads(asked=identity("nobody.example.org")))
    idr = [one for one in answer if isinstance(one, IdPayload)]
    assert [one.data for one in idr] in ([b"bob.example.org"], [])
    assert idr or errors(answer) == [NotifyType.AUTHENTICATION_FAILED]


def test_a9_an_initiator_does_not_take_another_identity_than_it_expects() -> None:
    failed("initiator", lambda script: script.auth_payloads(who=identity("mallory.example.org")))


def test_a9_an_initiator_that_expects_nobody_takes_who_proves_itself() -> None:
    bench = Bench("initiator", policy(peer_of_alice(remote_id=None)))
    script = bench.authenticating()
    request = script.opened(script.one())
    assert [one.initiator for one in request if isinstance(one, IdPayload)] == [True]  # and asks for nobody
    script.send(script.sealed(AUTH, script.auth_payloads(who=identity("mallory.example.org")), 1, response=True))
    assert bench.state() == "established"

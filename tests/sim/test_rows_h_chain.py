"""Bad inputs H11 to H20: chains of payloads, as dialogues with a real Endpoint in both roles."""

from __future__ import annotations

import itertools

import pytest

from fynx.errors import Drop
from fynx.wire.iana import NotifyType, PayloadType
from fynx.wire.message import encode_payloads
from fynx.wire.payload import (
    AuthPayload,
    IdPayload,
    KePayload,
    NoncePayload,
    NotifyPayload,
    Payload,
    SaPayload,
    TsPayload,
    UnknownPayload,
)
from tests.sim.alter import ANY_NOTIFY, altered
from tests.sim.forge import (
    AUTH,
    CREATE,
    INFO,
    INIT,
    ROLES,
    Bench,
    chain,
    child_request,
    clear_payloads,
    errors,
    part,
)
from tests.sim.pieces import peer_of_bob, policy


def broken_chains(payloads: list[Payload]) -> list[tuple[str, int, bytes]]:
    """Name, first type and octets of chains that are broken in each way of H11 to H13."""
    first, good = encode_payloads(payloads)
    size = int.from_bytes(good[2:4], "big")
    found = [(f"length {length}", first, good[:2] + length.to_bytes(2, "big") + good[4:]) for length in range(4)]
    for length in (size + 1, size + 999, 65535):
        found.append((f"length {length}", first, good[:2] + length.to_bytes(2, "big") + good[4:]))
    last = len(good) - 4 - len(payloads[-1].body)
    found += [("nothing follows", first, altered(good, last, 41)), ("more follows NONE", first, good + b"more")]
    found += [("cut in a header", first, good[:2]), ("first missing", 0, good)]
    return found


CHAINS = [name for name, _, _ in broken_chains([ANY_NOTIFY])]


@pytest.mark.parametrize("name", CHAINS)
def test_h11_h12_h13_a_broken_chain_in_clear_is_dropped(name: str) -> None:
    bench = Bench("responder")
    script = bench.script
    first, data = broken_chains(script.init_payloads())[CHAINS.index(name)][1:]
    with bench.silent(Drop.SYNTAX):
        script.send(script.clear_raw(INIT, first, data))


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("role", ROLES)
def test_h11_h12_h13_a_broken_chain_in_a_protected_request_is_invalid_syntax(role: str, name: str) -> None:
    bench = Bench(role)
    script = bench.established()
    first, data = next(one[1:] for one in broken_chains([ANY_NOTIFY]) if one[0] == name)
    assert errors(script.request_raw(INFO, first, data)) == [NotifyType.INVALID_SYNTAX]
    assert bench.state() == ""  # fatal to this SA (2.21.3)
    assert not bench.node.plane.children


@pytest.mark.parametrize("name", CHAINS)
def test_h11_h12_h13_a_broken_chain_in_the_answer_to_a_first_message_is_dropped(name: str) -> None:
    bench = Bench("initiator")
    script = bench.started()
    payloads = script.hear(script.one())
    first, data = next(one[1:] for one in broken_chains([ANY_NOTIFY]) if one[0] == name)
    with bench.silent(Drop.SYNTAX):
        script.send(script.clear_raw(INIT, first, data, response=True))
    script.respond_init(payloads)
    assert bench.state() == "auth_sent"


@pytest.mark.parametrize("name", CHAINS)
def test_h11_h12_h13_a_broken_chain_in_a_protected_response_ends_the_sa(name: str) -> None:
    bench = Bench("initiator")
    script = bench.authenticating()
    script.one()
    first, data = next(one[1:] for one in broken_chains([ANY_NOTIFY]) if one[0] == name)
    script.send(script.sealed_raw(AUTH, first, data, 1, response=True))
    bench.world.run(30.0)
    assert bench.state() == ""


@pytest.mark.parametrize("count", [65, 1000, 10000])
def test_h14_too_many_payloads_are_refused(count: int) -> None:
    many = chain([(PayloadType.NOTIFY, b"\0\0\x9c\x40", 0)] * min(count, 8000))
    bench = Bench("responder")
    script = bench.script
    with bench.silent(Drop.TOO_LARGE):
        script.send(script.clear_raw(INIT, *many))
    script = bench.established()
    assert errors(script.request_raw(INFO, *many)) == [NotifyType.INVALID_SYNTAX]
    assert bench.state() == ""


@pytest.mark.parametrize("count", [65, 8000])
def test_h14_too_many_payloads_in_an_answer_are_refused(count: int) -> None:
    many = chain([(PayloadType.NOTIFY, b"\0\0\x9c\x40", 0)] * count)
    bench = Bench("initiator")
    script = bench.started()
    payloads = script.hear(script.one())
    with bench.silent(Drop.TOO_LARGE):
        script.send(script.clear_raw(INIT, *many, response=True))
    script.respond_init(payloads)
    script.one()
    script.send(script.sealed_raw(AUTH, *many, 1, response=True))
    bench.world.run(30.0)
    assert bench.state() == ""
    assert not bench.node.plane.children


def test_h14_sixty_four_payloads_are_not_too_many() -> None:
    bench = Bench("responder")
    script = bench.established()
    assert errors(script.request(INFO, [ANY_NOTIFY] * 64)) == []
    assert bench.state() == "established"


UNKNOWN_TYPES = [*range(1, 33), 49, 50, 51, 52, 54, *range(55, 256)]


@pytest.mark.parametrize("role", ROLES)
def test_h15_h18_unknown_payloads_without_the_critical_bit_are_skipped(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    for start in range(0, len(UNKNOWN_TYPES), 60):
        unknown = [UnknownPayload(kind, False, b"x") for kind in UNKNOWN_TYPES[start : start + 60]]
        assert script.request(INFO, unknown) == ()
    assert bench.state() == "established"


def test_h15_unknown_payloads_in_a_first_message_are_skipped() -> None:
    bench = Bench("responder")
    script = bench.script
    payloads = script.init_payloads()
    script.send(script.clear(INIT, [UnknownPayload(1, False, b""), *payloads, UnknownPayload(200, False, b"x" * 99)]))
    assert bench.state() == "init_done"


@pytest.mark.parametrize("kind", [1, 13, 49, 54, 128, 255])
@pytest.mark.parametrize("role", ROLES)
def test_h16_h18_an_unknown_critical_payload_is_named_and_the_exchange_does_nothing_else(role: str, kind: int) -> None:
    bench = Bench(role)
    script = bench.established()
    (answer,) = script.request(CREATE, [UnknownPayload(kind, True, b""), *child_request(script)])
    assert answer == NotifyPayload(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, bytes((kind,)))
    assert len(bench.node.plane.history) == 1


def test_h16_an_unknown_critical_payload_in_a_first_message_is_named_without_state() -> None:
    bench = Bench("responder")
    script = bench.script
    script.send(script.clear(INIT, [UnknownPayload(77, True, b""), *script.init_payloads()]))
    assert clear_payloads(script.one()) == (NotifyPayload(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, b"\x4d"),)
    assert bench.state() == ""


def test_h16_an_unknown_critical_payload_in_clear_before_sk_is_named_once_the_icv_holds() -> None:
    bench = Bench("responder")
    script = bench.established()
    critical = bytes((PayloadType.SK, 0x80, 0, 4))
    message = script.sealed_raw(INFO, 0, b"", script.next_id, clear=(99, critical))
    with bench.silent(Drop.INTEGRITY):
        script.send(altered(message, len(message) - 1, message[-1] ^ 1))
    script.send(message)
    assert script.opened(script.one()) == (NotifyPayload(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, b"\x63"),)


def test_h16_an_initiator_drops_the_answer_with_an_unknown_critical_payload() -> None:
    bench = Bench("initiator")
    script = bench.started()
    payloads = script.hear(script.one())
    with bench.silent():
        script.respond_init([UnknownPayload(77, True, b""), *payloads])
    script.respond_init(payloads)
    assert bench.state() == "auth_sent"


@pytest.mark.parametrize("role", ROLES)
def test_h17_known_payloads_with_the_critical_bit_are_taken_as_ever(role: str) -> None:
    bench = Bench(role)
    if role == "responder":
        script = bench.script
        first, data = chain([part(one, 0x80) for one in script.init_payloads()])
        script.own_init = script.clear_raw(INIT, first, data)
        script.send(script.own_init)
        script.learn(script.one())
        first, data = chain([part(one, 0x80) for one in script.auth_payloads()])
        assert not errors(script.request_raw(AUTH, first, data))
    else:
        script = bench.started()
        first, data = chain([part(one, 0x80) for one in script.hear(script.one())])
        script.own_init = script.clear_raw(INIT, first, data, response=True)
        script.send(script.own_init)
        first, data = chain([part(one, 0x80) for one in script.auth_payloads()])
        script.send(script.sealed_raw(AUTH, first, data, 1, response=True))
    assert bench.state() == "established"
    assert len(bench.node.plane.children) == 1


ONCE_IN_INIT = (SaPayload, KePayload, NoncePayload)
ONCE_IN_AUTH = (IdPayload, AuthPayload, SaPayload, TsPayload)


@pytest.mark.parametrize("kind", ONCE_IN_INIT)
def test_h19_a_doubled_payload_in_a_first_message_is_dropped(kind: type[Payload]) -> None:
    bench = Bench("responder")
    script = bench.script
    payloads = script.init_payloads()
    twice = next(one for one in payloads if isinstance(one, kind))
    with bench.silent():
        script.send(script.clear(INIT, [*payloads, twice]))


@pytest.mark.parametrize("kind", ONCE_IN_INIT)
def test_h19_a_doubled_payload_in_the_answer_is_dropped(kind: type[Payload]) -> None:
    bench = Bench("initiator")
    script = bench.started()
    payloads = script.hear(script.one())
    twice = next(one for one in payloads if isinstance(one, kind))
    with bench.silent():
        script.respond_init([*payloads, twice])
    script.respond_init(payloads)
    assert bench.state() == "auth_sent"


@pytest.mark.parametrize("kind", ONCE_IN_AUTH)
def test_h19_a_doubled_payload_in_ike_auth_is_invalid_syntax(kind: type[Payload]) -> None:
    bench = Bench("responder")
    script = bench.started()
    payloads = script.auth_payloads()
    twice = next(one for one in payloads if isinstance(one, kind))
    assert errors(script.request(AUTH, [*payloads, twice])) == [NotifyType.INVALID_SYNTAX]
    assert bench.state() == ""
    assert not bench.node.plane.history


@pytest.mark.parametrize("kind", ONCE_IN_AUTH)
def test_h19_a_doubled_payload_in_the_answer_to_ike_auth_ends_the_sa(kind: type[Payload]) -> None:
    bench = Bench("initiator")
    script = bench.authenticating()
    payloads = script.auth_payloads()
    twice = next(one for one in payloads if isinstance(one, kind))
    script.send(script.sealed(AUTH, [*payloads, twice], 1, response=True))
    bench.world.run(30.0)
    assert bench.state() == ""
    assert not bench.node.plane.children


def subsets(size: int) -> list[tuple[int, ...]]:
    """All proper subsets of ``size`` things, as indices."""
    return [found for count in range(size) for found in itertools.combinations(range(size), count)]


@pytest.mark.parametrize("kept", subsets(3))
def test_h20_a_first_message_that_lacks_a_mandatory_payload_is_dropped(kept: tuple[int, ...]) -> None:
    bench = Bench("responder")
    script = bench.script
    payloads = script.init_payloads()
    with bench.silent():
        script.send(script.clear(INIT, [*[payloads[index] for index in kept], *payloads[3:]]))


@pytest.mark.parametrize("kept", subsets(3))
def test_h20_an_answer_that_lacks_a_mandatory_payload_is_dropped(kept: tuple[int, ...]) -> None:
    bench = Bench("initiator")
    script = bench.started()
    payloads = script.hear(script.one())
    with bench.silent():
        script.respond_init([*[payloads[index] for index in kept], *payloads[3:]])
    script.respond_init(payloads)
    assert bench.state() == "auth_sent"


@pytest.mark.parametrize("kept", subsets(5))
def test_h20_an_ike_auth_that_lacks_a_mandatory_payload_is_invalid_syntax_and_ends_the_sa(
    kept: tuple[int, ...],
) -> None:
    """HDR, SK {part of: IDi, AUTH, SA, TSi, TSr} --> <-- HDR, SK {N(INVALID_SYNTAX)}; without AUTH it would be EAP,
    which is not allowed (RFC 7296 section 2.16)."""
    bench = Bench("responder")
    script = bench.started()
    payloads = script.auth_payloads()
    answer = script.request(AUTH, [payloads[index] for index in kept])
    eap = 0 in kept and 1 not in kept
    assert errors(answer) == [NotifyType.AUTHENTICATION_FAILED if eap else NotifyType.INVALID_SYNTAX]
    assert bench.state() == ""
    assert not bench.node.plane.children


@pytest.mark.parametrize("kept", subsets(3))
def test_h20_what_is_left_of_a_child_is_no_childless_request(kept: tuple[int, ...]) -> None:
    """Where CHILDLESS_IKEV2_SUPPORTED was said, a request lacks all of SA, TSi and TSr or none (RFC 6023 section 5)."""
    bench = Bench("responder", policy(peer_of_bob(childless=True)))
    script = bench.started()
    identity, auth, *child = script.auth_payloads()
    answer = script.request(AUTH, [identity, auth, *[child[index] for index in kept]])
    assert errors(answer) == ([NotifyType.INVALID_SYNTAX] if kept else [])
    assert bench.state() == ("" if kept else "established")


@pytest.mark.parametrize("kept", subsets(5))
def test_h20_an_answer_to_ike_auth_that_lacks_a_mandatory_payload_makes_no_child(kept: tuple[int, ...]) -> None:
    """A peer that proved who it is keeps its IKE SA, as when a child fails for any other reason (RFC 7296 section 1.2);
    what it made is deleted."""
    bench = Bench("initiator")
    script = bench.authenticating()
    payloads = script.auth_payloads()  # IDr, AUTH, SA, TSi, TSr
    script.send(script.sealed(AUTH, [payloads[index] for index in kept], 1, response=True))
    bench.world.run(30.0)
    assert not bench.node.plane.children
    proved = 0 in kept and 1 in kept
    assert bench.state() == ("established" if proved else "")

"""Bad inputs H1 to H28: header, payload chains, protection, as dialogues with a real Endpoint in both roles."""

from __future__ import annotations

import itertools

import pytest

from fynx.errors import Drop
from fynx.events import PacketRefused
from fynx.ike.effects import CheckLiveness
from fynx.wire.encap import MARKER
from fynx.wire.header import HEADER_LEN, parse_header
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
    VendorPayload,
)
from tests.sim.forge import (
    AUTH,
    CREATE,
    INFO,
    INIT,
    NO_SPI,
    ROLES,
    Bench,
    chain,
    child_request,
    clear_payloads,
    errors,
    notifies,
    part,
)
from tests.sim.rig import ALICE, BOB, Pair

ANY_NOTIFY = NotifyPayload(40000, b"of no meaning")


def altered(message: bytes, at: int, value: int) -> bytes:
    return message[:at] + bytes((value,)) + message[at + 1 :]


def with_length(message: bytes, length: int) -> bytes:
    return message[:24] + length.to_bytes(4, "big") + message[28:]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("size", [1, 4, 15, 27])
def test_h1_a_datagram_shorter_than_a_header_is_dropped(role: str, size: int) -> None:
    bench = Bench(role)
    script = bench.established()
    message = script.sealed(INFO, (), script.next_id)
    with bench.silent(Drop.SHORT):
        script.send(message[:size])


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("change", ["zero", "27", "longer", "shorter", "huge", "trailing"])
def test_h2_a_length_that_is_not_the_datagrams_is_dropped(role: str, change: str) -> None:
    bench = Bench(role)
    script = bench.established()
    message = script.sealed(INFO, (), script.next_id)
    size = len(message)
    lengths = {"zero": 0, "27": 27, "longer": size + 1, "shorter": size - 1, "huge": 2**32 - 1, "trailing": size}
    forged = with_length(message, lengths[change]) + (b"\0" if change == "trailing" else b"")
    with bench.silent(Drop.LENGTH):
        script.send(forged)


@pytest.mark.parametrize("major", [3, 4, 15])
def test_h3_a_higher_major_version_is_told_the_one_we_speak(major: int) -> None:
    bench = Bench("responder")
    script = bench.script
    script.send(altered(script.clear(INIT, script.init_payloads()), 17, major << 4))
    answer = script.one()
    header = parse_header(answer)
    assert (header.major, header.response, header.message_id) == (2, True, 0)
    assert notifies(clear_payloads(answer)) == [NotifyType.INVALID_MAJOR_VERSION]
    assert bench.state() == ""


def test_h3_the_answer_to_a_higher_version_is_rate_limited() -> None:
    bench = Bench("responder")
    script = bench.script
    message = altered(script.clear(INIT, script.init_payloads()), 17, 0x30)
    for _ in range(1000):
        bench.world.inject((ALICE, 500), (BOB, 500), message)
    bench.world.run(1.0)
    assert 0 < len(script.received()) <= 300


@pytest.mark.parametrize("role", ROLES)
def test_h3_a_response_of_a_higher_version_is_not_answered(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    with bench.silent(Drop.VERSION):
        script.send(altered(script.sealed(INFO, (), 0, response=True), 17, 0x30))


@pytest.mark.parametrize("major", [0, 1])
@pytest.mark.parametrize("role", ROLES)
def test_h3_a_lower_major_version_is_dropped(role: str, major: int) -> None:
    bench = Bench(role)
    script = bench.established()
    with bench.silent(Drop.VERSION):
        script.send(altered(script.sealed(INFO, (), script.next_id), 17, major << 4))


@pytest.mark.parametrize("minor", range(1, 16))
def test_h4_minor_versions_are_ignored(minor: int) -> None:
    bench = Bench("responder")
    script = bench.script
    message = altered(script.clear(INIT, script.init_payloads()), 17, 0x20 | minor)
    script.send(message)
    assert bench.state() == "init_done"
    assert parse_header(script.one()).minor == 0


@pytest.mark.parametrize("flag", [0x01, 0x02, 0x04, 0x10, 0x40, 0x80])
def test_h5_reserved_flags_are_ignored(flag: int) -> None:
    bench = Bench("responder")
    script = bench.script
    script.send(altered(script.clear(INIT, script.init_payloads()), 19, 0x08 | flag))
    assert bench.state() == "init_done"
    assert script.one()[19] == 0x20


def test_h6_a_first_message_with_the_response_flag_is_dropped() -> None:
    bench = Bench("responder")
    script = bench.script
    with bench.silent(Drop.UNKNOWN_SPI):
        script.send(script.clear(INIT, script.init_payloads(), response=True))


def test_h6_a_first_message_without_the_initiator_flag_is_dropped() -> None:
    bench = Bench("responder")
    script = bench.script
    with bench.silent(Drop.FLAGS):
        script.send(altered(script.clear(INIT, script.init_payloads()), 19, 0))


@pytest.mark.parametrize("role", ROLES)
def test_h6_the_initiator_flag_wrong_for_the_spi_pair_finds_no_sa(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    before = bench.picture()
    message = script.sealed(INFO, (), script.next_id)
    script.send(altered(message, 19, message[19] ^ 0x08))
    assert bench.picture() == before
    assert str(bench.events(PacketRefused)[-1]).find("unknown_spi") > 0


UNKNOWN_EXCHANGES = [*range(34), 39, 40, 41, 42, *range(45, 256)]


def test_h7_unknown_exchange_types_are_dropped_without_an_sa() -> None:
    bench = Bench("responder")
    script = bench.script
    for exchange in UNKNOWN_EXCHANGES:
        with bench.silent():
            script.send(script.clear(exchange, script.init_payloads()))


@pytest.mark.parametrize("role", ROLES)
def test_h7_unknown_exchange_types_inside_an_sa_change_nothing(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    for exchange in UNKNOWN_EXCHANGES:
        before = bench.picture()
        script.send(script.sealed(exchange, (), script.next_id))
        assert bench.picture() == before
        assert bench.state() == "established"


def test_h8_an_initiator_spi_of_zero_is_dropped() -> None:
    bench = Bench("responder")
    script = bench.script
    script.spi_i = NO_SPI
    with bench.silent(Drop.ZERO_SPI):
        script.send(script.clear(INIT, script.init_payloads()))


def test_h9_a_first_message_with_a_responder_spi_is_dropped() -> None:
    bench = Bench("responder")
    script = bench.script
    script.spi_r = b"too soon"
    with bench.silent(Drop.UNKNOWN_SPI):
        script.send(script.clear(INIT, script.init_payloads()))


@pytest.mark.parametrize("exchange", [AUTH, CREATE, INFO])
def test_h9_an_unknown_spi_pair_is_told_so_in_clear_and_nothing_is_deleted(exchange: int) -> None:
    bench = Bench("responder")
    script = bench.established()
    before = bench.picture()
    message = script.sealed(exchange, (ANY_NOTIFY,), 1)
    script.send(b"stranger" + message[8:])
    answer = script.one()
    assert notifies(clear_payloads(answer)) == [NotifyType.INVALID_IKE_SPI]
    assert len(answer) <= len(message)  # G4
    assert bench.picture() == before


def test_h9_answers_to_unknown_spis_are_rate_limited_and_responses_get_none() -> None:
    bench = Bench("responder")
    script = bench.script
    script.spi_r = b"whatever"
    for number in range(1000):
        message = script.clear(INFO, (ANY_NOTIFY,), number)
        bench.world.inject((ALICE, 500), (BOB, 500), message)
    bench.world.run(1.0)
    assert 0 < len(script.received()) <= 300
    bench.world.run(10.0)
    with bench.silent(Drop.UNKNOWN_SPI):
        script.send(script.clear(INFO, (ANY_NOTIFY,), response=True))


@pytest.mark.parametrize("message_id", [1, 2, 2**31, 2**32 - 1])
def test_h10_a_first_message_has_the_id_zero(message_id: int) -> None:
    bench = Bench("responder")
    script = bench.script
    with bench.silent(Drop.MESSAGE_ID):
        script.send(script.clear(INIT, script.init_payloads(), message_id))


@pytest.mark.parametrize("message_id", [2, 3, 2**31, 2**32 - 1])
def test_h10_the_first_ike_auth_has_the_id_one(message_id: int) -> None:
    bench = Bench("responder")
    script = bench.started()
    with bench.silent(Drop.WINDOW):
        script.send(script.sealed(AUTH, script.auth_payloads(), message_id))


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
def test_h20_an_ike_auth_that_lacks_a_mandatory_payload_makes_no_child(kept: tuple[int, ...]) -> None:
    bench = Bench("responder")
    script = bench.started()
    payloads = script.auth_payloads()  # IDi, AUTH, SA, TSi, TSr
    answer = script.request(AUTH, [payloads[index] for index in kept])
    assert not bench.node.plane.children
    if 0 in kept and 1 in kept:
        # Authenticated: without a child at all (RFC 6023), or with a child that is no use.
        assert bench.state() in ("established", "")
    else:
        assert errors(answer) in ([NotifyType.INVALID_SYNTAX], [NotifyType.AUTHENTICATION_FAILED])
        assert bench.state() == ""


@pytest.mark.parametrize("kept", subsets(5))
def test_h20_an_answer_to_ike_auth_that_lacks_a_mandatory_payload_makes_no_child(kept: tuple[int, ...]) -> None:
    bench = Bench("initiator")
    script = bench.authenticating()
    payloads = script.auth_payloads()  # IDr, AUTH, SA, TSi, TSr
    script.send(script.sealed(AUTH, [payloads[index] for index in kept], 1, response=True))
    bench.world.run(30.0)
    assert not bench.node.plane.children
    if 0 not in kept or 1 not in kept:
        assert bench.state() == ""


@pytest.mark.parametrize("role", ROLES)
def test_h21_sk_that_is_not_last_is_dropped(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    message = script.sealed(INFO, (ANY_NOTIFY,), script.next_id)
    following = bytes((0, 0, 0, 8, 0, 0, 0x9C, 0x40))
    with bench.silent(Drop.SYNTAX):
        script.send(with_length(message + following, len(message) + 8))
    vendor = chain([(PayloadType.SK, message[32:], 0), (PayloadType.VENDOR, b"after", 0)])
    with bench.silent(Drop.SYNTAX):
        script.send(script.clear_raw(INFO, *vendor, script.next_id))


@pytest.mark.parametrize("role", ROLES)
def test_h21_sk_inside_sk_is_dropped(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    inner = chain([(PayloadType.SK, b"x" * 40, 0)])
    with bench.silent(Drop.SYNTAX):
        script.send(script.sealed_raw(INFO, *inner, script.next_id))
    assert script.request(INFO, ()) == ()  # the id was not used up


def test_h21_sk_inside_sk_in_an_answer_leaves_no_sa_hanging() -> None:
    bench = Bench("initiator")
    script = bench.authenticating()
    inner = chain([(PayloadType.SK, b"x" * 40, 0)])
    script.send(script.sealed_raw(AUTH, *inner, 1, response=True))
    bench.world.run(600.0)
    assert bench.state() == ""


@pytest.mark.parametrize("role", ROLES)
def test_h22_payloads_in_clear_before_sk_are_never_trusted(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    delete = chain([(PayloadType.DELETE, bytes((1, 0, 0, 0)), 0), (PayloadType.NOTIFY, bytes((0, 0, 0, 24)), 0)])[1]
    before_sk = delete[:8] + bytes((PayloadType.SK,)) + delete[9:]
    message = script.sealed_raw(INFO, 0, b"", script.next_id, clear=(PayloadType.DELETE, before_sk))
    with bench.silent(Drop.INTEGRITY):
        script.send(altered(message, HEADER_LEN + 4, 3))
    script.send(message)
    assert script.opened(script.one()) == ()
    assert bench.state() == "established"
    assert len(bench.node.plane.children) == 1


@pytest.mark.parametrize("role", ROLES)
def test_h23_an_sk_body_of_every_length_that_is_too_short_is_dropped(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    message = script.sealed(INFO, (), script.next_id)
    for length in range(len(message) - 32):
        forged = chain([(PayloadType.SK, message[32 : 32 + length], 0)])
        with bench.silent(Drop.INTEGRITY):
            script.send(script.clear_raw(INFO, *forged, script.next_id))


@pytest.mark.parametrize("role", ROLES)
def test_h24_a_flipped_bit_of_sk_is_dropped_and_uses_up_no_id(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    message = script.sealed(INFO, (ANY_NOTIFY,), script.next_id)
    for bit in range(32 * 8, len(message) * 8):
        with bench.silent(Drop.INTEGRITY):
            script.send(altered(message, bit // 8, message[bit // 8] ^ (1 << bit % 8)), wait=False)
    script.send(message)
    assert script.opened(script.one()) == ()


def test_h24_a_forged_answer_is_dropped_and_the_right_one_still_counts() -> None:
    bench = Bench("initiator")
    script = bench.authenticating()
    message = script.sealed(AUTH, script.auth_payloads(), 1, response=True)
    for at in (32, 60, len(message) - 1):
        with bench.silent(Drop.INTEGRITY):
            script.send(altered(message, at, message[at] ^ 1))
    script.send(message)
    assert bench.state() == "established"


@pytest.mark.parametrize("role", ROLES)
def test_h25_another_first_inner_type_is_dropped(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    message = script.sealed(INFO, (ANY_NOTIFY,), script.next_id)
    for kind in (0, 33, 42, 46, 255):
        with bench.silent(Drop.INTEGRITY):
            script.send(altered(message, HEADER_LEN, kind))


def test_h26_an_encrypted_message_before_there_are_keys_is_dropped() -> None:
    bench = Bench("initiator")
    script = bench.started()
    script.hear(script.one())
    for exchange in (AUTH, INFO, CREATE):
        before = bench.picture()
        script.send(script.sealed(exchange, (), 0))
        script.send(script.sealed(exchange, (), 0, response=True))
        assert bench.picture() == before


@pytest.mark.parametrize("exchange", [AUTH, CREATE, INFO])
@pytest.mark.parametrize("role", ROLES)
def test_h26_a_clear_message_on_an_sa_with_keys_is_dropped(role: str, exchange: int) -> None:
    bench = Bench(role)
    script = bench.established()
    with bench.silent():
        script.send(script.clear(exchange, (ANY_NOTIFY,), script.next_id))
    bench.node.command(CheckLiveness("bob" if role == "initiator" else "alice"))
    bench.world.run(0.1)
    request = parse_header(script.one())
    with bench.silent():
        script.send(script.clear(INFO, (), request.message_id, response=True))
    with bench.silent():
        script.send(script.clear(INFO, (ANY_NOTIFY,), request.message_id, response=True))


def test_h26_a_clear_ike_auth_is_dropped_while_it_is_due() -> None:
    bench = Bench("responder")
    script = bench.started()
    with bench.silent(Drop.NOT_PROTECTED):
        script.send(script.clear(AUTH, script.auth_payloads(), 1))
    assert not errors(script.request(AUTH, script.auth_payloads()))


def test_h27_our_own_first_message_sent_back_is_dropped() -> None:
    bench = Bench("initiator")
    script = bench.started()
    own = script.one()
    for flags in (0x08, 0x28, 0x20, 0x00):
        with bench.silent():
            script.send(altered(own, 19, flags))


@pytest.mark.parametrize("flags", [None, 0x00, 0x08, 0x20, 0x28])
@pytest.mark.parametrize("role", ROLES)
def test_h27_our_own_protected_messages_sent_back_are_dropped(role: str, flags: int | None) -> None:
    bench = Bench(role)
    script = bench.established()
    bench.node.command(CheckLiveness("bob" if role == "initiator" else "alice"))
    bench.world.run(0.1)
    for own in (script.one(), bench.node.sent[-2]):
        before = bench.picture()
        script.send(own if flags is None else altered(own, 19, flags))
        assert bench.picture() == before


@pytest.mark.parametrize("exchange_id", [0, 1, 2])
def test_h27_our_own_answers_sent_back_are_dropped(exchange_id: int) -> None:
    bench = Bench("responder")
    bench.established()
    script = bench.script
    answer = bench.node.sent[-1]
    message = answer[:20] + exchange_id.to_bytes(4, "big") + answer[24:]
    before = bench.picture()
    for flags in (0x00, 0x08, 0x20, 0x28):
        script.send(altered(message, 19, flags))
    assert bench.picture() == before


def test_h28_datagrams_on_both_ports_are_classified_exactly() -> None:
    pair = Pair()
    pair.up()
    bob = pair.bob

    def junk(port: int, data: bytes) -> tuple[int, int, int]:
        before = bob.ports.junk, bob.ports.keepalives, len(bob.events_of(PacketRefused))
        pair.world.inject((ALICE, port), (BOB, port), data)
        after = bob.ports.junk, bob.ports.keepalives, len(bob.events_of(PacketRefused))
        return after[0] - before[0], after[1] - before[1], after[2] - before[2]

    ike = pair.world.captured[0].data
    assert junk(4500, b"\xff") == (0, 1, 0)
    assert junk(4500, b"\xff\xff") == (1, 0, 0)
    assert junk(4500, b"\x00") == (1, 0, 0)
    assert junk(4500, b"") == (1, 0, 0)
    assert junk(4500, MARKER) == (0, 0, 1)  # IKE of no octets: short
    assert junk(500, MARKER + ike) == (1, 0, 0)
    assert junk(500, b"\xff") == (0, 0, 1)
    drops = dict(bob.plane.drops)
    assert junk(4500, ike) == (0, 0, 0)  # without a marker it is ESP, of an SPI that nobody has
    assert bob.plane.drops != drops
    assert bob.endpoint.snapshot()[0].state == "established"


def test_vendor_payloads_of_any_kind_are_ignored() -> None:
    bench = Bench("responder")
    script = bench.script
    script.send(script.clear(INIT, [*script.init_payloads(), VendorPayload(b""), VendorPayload(b"\0\n" * 9)]))
    assert bench.state() == "init_done"

"""Bad inputs H1 to H10: the header, as dialogues with a real Endpoint in both roles."""

from __future__ import annotations

import pytest

from fynx.errors import Drop
from fynx.events import PacketRefused
from fynx.wire.header import parse_header
from fynx.wire.iana import NotifyType
from tests.sim.alter import ANY_NOTIFY, altered, with_length
from tests.sim.forge import (
    AUTH,
    CREATE,
    INFO,
    INIT,
    NO_SPI,
    ROLES,
    Bench,
    clear_payloads,
    notifies,
)
from tests.sim.rig import ALICE, BOB


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


ANSWERS = {
    "H4 minor version 15": (17, 0x2F, "auth_sent"),
    "H5 reserved flags": (19, 0x20 | 0xC7, "auth_sent"),
    "H3 major version 3": (17, 0x30, "init_sent"),
    "H6 not a response": (19, 0x00, "init_sent"),
    "H6 from an initiator": (19, 0x28, "init_sent"),
    "H7 another exchange": (18, 99, "init_sent"),
    "H8 an initiator SPI of zero": (0, 0, "init_sent"),
    "H10 message id 1": (23, 1, "init_sent"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_h3_to_h10_the_header_of_an_answer_is_read_by_the_same_rules(name: str) -> None:
    at, octet, state = ANSWERS[name]
    bench = Bench("initiator")
    script = bench.started()
    script.own_init = script.clear(INIT, script.hear(script.one()), response=True)
    script.own_init = altered(script.own_init, at, octet)
    if name.startswith("H8"):
        script.own_init = bytes(8) + script.own_init[8:]
    script.send(script.own_init)
    assert bench.state() == state
    assert bool(script.received()) is (state == "auth_sent")


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

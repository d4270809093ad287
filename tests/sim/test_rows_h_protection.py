"""Bad inputs H21 to H28: protection and classification, against a real Endpoint in both roles."""

from __future__ import annotations

import pytest

from fynx.errors import Drop
from fynx.events import PacketRefused
from fynx.ike.effects import CheckLiveness
from fynx.wire.encap import MARKER
from fynx.wire.header import HEADER_LEN, parse_header
from fynx.wire.iana import PayloadType
from fynx.wire.payload import (
    VendorPayload,
)
from tests.sim.alter import ANY_NOTIFY, altered, with_length
from tests.sim.forge import (
    AUTH,
    CREATE,
    INFO,
    INIT,
    ROLES,
    Bench,
    chain,
    errors,
)
from tests.sim.rig import ALICE, BOB, Pair


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

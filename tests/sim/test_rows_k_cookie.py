"""Bad inputs K23 to K25: cookies in both roles, and errors in clear that may be forged."""

from __future__ import annotations

import pytest

from fynx.events import HandshakeFailed
from fynx.ike.policy import HostPolicy, Retransmission
from fynx.wire.iana import NotifyType
from fynx.wire.payload import KePayload, NoncePayload, NotifyPayload, Payload, SaPayload
from tests.sim.forge import AUTH, INIT, Bench, Script, clear_payloads, errors
from tests.sim.rig import ALICE, peer_of_alice, peer_of_bob, policy


def guarded() -> Bench:
    """A responder that always asks for a cookie."""
    return Bench("responder", policy(peer_of_bob(remote=()), cookie_threshold=0))


def cookie_in(message: bytes) -> bytes:
    (notify,) = clear_payloads(message)
    assert isinstance(notify, NotifyPayload)
    assert notify.type == NotifyType.COOKIE
    return notify.data


def asked(script: Script) -> bytes:
    """Sends a first message without a cookie; returns the one that it is asked for."""
    first = script.begin()
    answer = script.one()
    assert len(answer) <= len(first)  # G4
    assert answer[8:16] == bytes(8)  # no responder SPI: no state
    return cookie_in(answer)


def shown(script: Script, cookie: bytes) -> list[Payload]:
    return [NotifyPayload(NotifyType.COOKIE, cookie), *script.init_payloads()]


def refused(bench: Bench, payloads: list[Payload], source: str = "") -> None:
    """The message gets a new cookie and leaves no state."""
    script = bench.script
    script.send(script.clear(INIT, payloads), source=source)
    if not source:
        assert cookie_in(script.one())
    assert bench.state() == ""
    assert bench.node.endpoint.counters()["half_open"] == 0


def test_k23_the_right_cookie_lets_the_first_message_pass() -> None:
    bench = guarded()
    script = bench.script
    cookie = asked(script)
    script.begin(shown(script, cookie))
    script.learn(script.one())
    assert not errors(script.request(AUTH, script.auth_payloads()))


@pytest.mark.parametrize("size", [0, 1, 32, 64, 65, 1000])
def test_k23_a_cookie_of_another_size_is_no_cookie(size: int) -> None:
    bench = guarded()
    cookie = asked(bench.script)
    refused(bench, shown(bench.script, (cookie * 40)[:size]))


def test_k23_a_wrong_cookie_is_no_cookie() -> None:
    bench = guarded()
    cookie = asked(bench.script)
    refused(bench, shown(bench.script, cookie[:-1] + bytes((cookie[-1] ^ 1,))))


def test_k23_a_cookie_from_another_address_is_no_cookie() -> None:
    bench = guarded()
    cookie = asked(bench.script)
    bench.world.attach("192.0.2.77", bench.script)
    refused(bench, shown(bench.script, cookie), source="192.0.2.77")
    assert cookie_in(bench.script.one()) != cookie


def test_k23_a_cookie_for_another_spi_is_no_cookie() -> None:
    bench = guarded()
    cookie = asked(bench.script)
    bench.script.spi_i = b"another."
    refused(bench, shown(bench.script, cookie))


def test_k23_a_cookie_for_another_nonce_is_no_cookie() -> None:
    bench = guarded()
    cookie = asked(bench.script)
    payloads = shown(bench.script, cookie)
    refused(bench, [NoncePayload(b"o" * 32) if isinstance(one, NoncePayload) else one for one in payloads])


def test_k23_a_cookie_holds_for_a_while_and_then_expires() -> None:
    bench = guarded()
    cookie = asked(bench.script)
    bench.world.run(300.0)
    refused(bench, shown(bench.script, cookie))


def test_k23_two_thousand_first_messages_leave_no_state() -> None:
    bench = guarded()
    script = bench.script
    for number in range(2000):
        script.spi_i = number.to_bytes(8, "big").replace(b"\0", b"\1")
        script.send(script.clear(INIT, [SaPayload(()), KePayload(31, b"k" * 32), NoncePayload(b"n" * 32)]), wait=False)
    assert bench.state() == ""
    assert not bench.node.endpoint.sas


def test_k23_a_cookie_in_an_ordinary_time_is_ignored() -> None:
    bench = Bench("responder")
    script = bench.script
    script.begin(shown(script, b"whatever"))
    assert bench.state() == "init_done"


# K24.


def initiator(**changes: object) -> Bench:
    retransmission = Retransmission(base_s=4.0, tries=6)
    return Bench("initiator", policy(peer_of_alice(retransmission=retransmission, **changes)))


def want_cookie(number: int) -> list[Payload]:
    return [NotifyPayload(NotifyType.COOKIE, b"cookie %d" % number)]


def cookies_of(message: bytes) -> list[bytes]:
    found = [one for one in clear_payloads(message) if isinstance(one, NotifyPayload)]
    return [one.data for one in found if one.type == NotifyType.COOKIE]


def test_k24_a_cookie_is_returned_first_and_everything_else_unchanged() -> None:
    bench = initiator()
    script = bench.started()
    first = script.one()
    script.hear(first)
    script.respond_init(want_cookie(1))
    second = script.one()
    assert clear_payloads(second) == (NotifyPayload(NotifyType.COOKIE, b"cookie 1"), *clear_payloads(first))
    script.respond_init(script.hear(second))
    assert bench.state() == "auth_sent"


def test_k24_cookies_without_end_are_followed_three_times() -> None:
    bench = initiator()
    script = bench.started()
    script.hear(script.one())
    for number in range(3):
        script.respond_init(want_cookie(number))
        assert cookies_of(script.one()) == [b"cookie %d" % number]
    for number in range(3, 30):
        with bench.silent():
            script.respond_init(want_cookie(number))
    sent = len(bench.node.sent)
    bench.world.run(600.0)
    assert len(bench.node.sent) - sent <= 6
    assert bench.state() == ""


@pytest.mark.parametrize("size", [0, 65, 1000])
def test_k24_a_cookie_of_a_wrong_size_is_not_followed(size: int) -> None:
    bench = initiator()
    script = bench.started()
    script.hear(script.one())
    with bench.silent():
        script.respond_init([NotifyPayload(NotifyType.COOKIE, b"c" * size)])


def test_k24_the_cookie_stays_when_the_group_changes() -> None:
    bench = initiator()
    script = bench.started()
    script.hear(script.one())
    script.respond_init(want_cookie(1))
    script.received()
    script.respond_init([NotifyPayload(NotifyType.INVALID_KE_PAYLOAD, b"\x00\x13")])
    third = script.one()
    assert cookies_of(third) == [b"cookie 1"]
    assert next(one.method for one in clear_payloads(third) if isinstance(one, KePayload)) == 19


def test_k24_cookie_and_group_in_turns_come_to_an_end() -> None:
    bench = initiator()
    script = bench.started()
    script.hear(script.one())
    for number in range(100):
        script.respond_init(want_cookie(number))
        script.respond_init([NotifyPayload(NotifyType.INVALID_KE_PAYLOAD, bytes((0, 19 if number % 2 else 31)))])
    assert len(script.received()) <= 3 + 1 + 6


# K25.

FORGED = [
    NotifyType.NO_PROPOSAL_CHOSEN,
    NotifyType.AUTHENTICATION_FAILED,
    NotifyType.INVALID_SYNTAX,
    NotifyType.INVALID_MAJOR_VERSION,
    NotifyType.INVALID_IKE_SPI,
    NotifyType.INVALID_MESSAGE_ID,
    NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD,
]


@pytest.mark.parametrize("kind", FORGED)
def test_k25_after_a_forged_error_the_right_answer_still_counts(kind: NotifyType) -> None:
    bench = initiator()
    script = bench.started()
    payloads = script.hear(script.one())
    for spi_r in (bytes(8), b"forged.."):
        right, script.spi_r = script.spi_r, spi_r
        with bench.silent():
            script.send(script.clear(INIT, [NotifyPayload(kind)], response=True))
        script.spi_r = right
    bench.world.run(3.0)
    script.respond_init(payloads)
    assert bench.state() == "auth_sent"
    script.one()
    script.send(script.sealed(AUTH, script.auth_payloads(), 1, response=True))
    assert bench.state() == "established"


@pytest.mark.parametrize("kind", FORGED)
def test_k25_when_no_better_answer_comes_the_error_is_what_people_are_told(kind: NotifyType) -> None:
    bench = initiator()
    script = bench.started()
    script.hear(script.one())
    script.respond_init([NotifyPayload(kind)])
    bench.world.run(600.0)
    assert bench.state() == ""
    (failure,) = bench.events(HandshakeFailed)
    assert isinstance(failure, HandshakeFailed)
    assert failure.notify == kind.name


def test_k25_errors_in_clear_do_not_end_an_sa_that_waits_for_ike_auth() -> None:
    bench = initiator()
    script = bench.authenticating()
    script.received()
    for exchange, message_id in ((INIT, 0), (AUTH, 1)):
        for kind in FORGED:
            with bench.silent():
                script.send(script.clear(exchange, [NotifyPayload(kind)], message_id, response=True), wait=False)
    script.send(script.sealed(AUTH, script.auth_payloads(), 1, response=True))
    assert bench.state() == "established"


def test_the_threshold_counts_half_open_sas() -> None:
    own = policy(peer_of_bob(remote=()), cookie_threshold=3)
    assert isinstance(own, HostPolicy)
    bench = Bench("responder", own)
    script = bench.script
    for number in range(3):
        script.spi_i = b"attempt" + bytes((number,))
        script.begin()
        assert len(script.one()) > 100
    script.spi_i = b"attempt4"
    assert asked(script)
    assert bench.node.endpoint.counters()["half_open"] == 3
    assert script.address == ALICE

"""Bad inputs C1-C5, C7, C9, C13, C16, C17: Child SAs, selectors and DELETE, against a real Endpoint."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fynx.errors import Drop
from fynx.events import ChildRefused
from fynx.plugin import Selector
from fynx.wire.header import parse_header
from fynx.wire.iana import ExchangeType, NotifyType, PayloadType, Protocol
from fynx.wire.payload import (
    DeletePayload,
    NotifyPayload,
    Payload,
    SaPayload,
    TrafficSelector,
    TsPayload,
)
from fynx.wire.proposal import Transform
from tests.sim.forge import (
    AUTH,
    CREATE,
    INFO,
    ROLES,
    SPI,
    Bench,
    Part,
    Script,
    chain,
    child_request,
    errors,
    parts,
)
from tests.sim.rig import LAN_A, LAN_B, lan, mirrored, network, peer_of_bob, policy
from tests.unit.ike.algorithms import GCM_128, NO_ESN, WITH_ESN, esp

ALL = network("0.0.0.0/0")
LOW, HIGH = bytes((10, 1, 0, 0)), bytes((10, 1, 255, 255))


def ts_body(*selectors: bytes, count: int | None = None) -> bytes:
    return bytes((len(selectors) if count is None else count, 0, 0, 0)) + b"".join(selectors)


def raw(
    kind: int = 7, length: int = 16, start: bytes = LOW, end: bytes = HIGH, ports: tuple[int, int] = (0, 65535)
) -> bytes:
    head = bytes((kind, 0)) + length.to_bytes(2, "big")
    return head + ports[0].to_bytes(2, "big") + ports[1].to_bytes(2, "big") + start + end


MALFORMED = {
    "count 0": ts_body(count=0),
    "count 0 with one": ts_body(raw(), count=0),
    "count 255": ts_body(raw(), count=255),
    "count 1 of 2": ts_body(raw(), raw(), count=1),
    "length 0": ts_body(raw(length=0)),
    "length 15": ts_body(raw(length=15)[:15]),
    "length 17": ts_body(raw(length=17) + b"\0"),
    "length 40 for IPv4": ts_body(raw(length=40) + bytes(24)),
    "length 16 for IPv6": ts_body(raw(kind=8)),
    "length beyond the end": ts_body(raw(length=65535)),
    "empty": b"",
    "cut short": ts_body(raw())[:-1],
}
IGNORED = {f"type {kind}": ts_body(raw(kind)) for kind in (0, 6, 9, 255)}
IGNORED |= {
    "C2 start above end": ts_body(raw(start=HIGH, end=LOW)),
    "C2 ports reversed": ts_body(TrafficSelector(7, 6, 443, 80, LOW, HIGH).encode()),
    "C2 OPAQUE": ts_body(TrafficSelector(7, 6, 65535, 0, LOW, HIGH).encode()),
    "C2 ports without protocol": ts_body(raw(ports=(80, 80))),
    "C2 ports of ESP": ts_body(TrafficSelector(7, 50, 1, 2, LOW, HIGH).encode()),
}


def with_tsi(payloads: list[Payload], body: bytes) -> list[Part]:
    return [(PayloadType.TSI, body, 0) if one[0] == PayloadType.TSI else one for one in parts(payloads)]


@pytest.mark.parametrize("name", MALFORMED)
def test_c1_malformed_selectors_are_invalid_syntax(name: str) -> None:
    bench = Bench("responder")
    script = bench.established()
    answer = script.request_raw(CREATE, *chain(with_tsi(child_request(script), MALFORMED[name])))
    assert errors(answer) == [NotifyType.INVALID_SYNTAX]
    assert len(bench.node.plane.history) == 1
    bench = Bench("responder")
    script = bench.authenticating()
    answer = script.request_raw(AUTH, *chain(with_tsi(script.auth_payloads(), MALFORMED[name])))
    assert errors(answer) == [NotifyType.INVALID_SYNTAX]
    assert bench.state() == ""


@pytest.mark.parametrize("name", MALFORMED)
def test_c1_malformed_selectors_in_the_answer_make_no_child(name: str) -> None:
    bench = Bench("initiator")
    script = bench.authenticating()
    script.received()
    payloads = with_tsi(script.auth_payloads(), MALFORMED[name])
    script.send(script.sealed_raw(AUTH, *chain(payloads), 1, response=True))
    bench.world.run(60.0)
    assert not bench.node.plane.history
    assert not bench.node.plane.reserved


@pytest.mark.parametrize("name", IGNORED)
def test_c1_c2_selectors_that_make_no_sense_are_ignored_and_alone_unacceptable(name: str) -> None:
    bench = Bench("responder")
    script = bench.established()
    answer = script.request_raw(CREATE, *chain(with_tsi(child_request(script), IGNORED[name])))
    assert errors(answer) == [NotifyType.TS_UNACCEPTABLE]
    assert bench.state() == "established"
    assert len(bench.node.plane.history) == 1


@pytest.mark.parametrize("name", IGNORED)
def test_c1_c2_a_selector_that_makes_sense_beside_them_is_taken(name: str) -> None:
    bench = Bench("responder")
    script = bench.established()
    good = ts_body(IGNORED[name][4:], raw(), count=2)
    answer = script.request_raw(CREATE, *chain(with_tsi(child_request(script), good)))
    assert not errors(answer)
    (tsi,) = [one for one in answer if isinstance(one, TsPayload) and one.initiator]
    assert [(one.start, one.end) for one in tsi.selectors] == [(LOW, HIGH)]


def test_c1_255_selectors_are_taken() -> None:
    bench = Bench("responder")
    script = bench.established()
    many = [raw(start=bytes((10, 1, number, 0)), end=bytes((10, 1, number, 9))) for number in range(255)]
    answer = script.request_raw(CREATE, *chain(with_tsi(child_request(script), ts_body(*many))))
    (tsi,) = [one for one in answer if isinstance(one, TsPayload) and one.initiator]
    assert len(tsi.selectors) == 255


def asked(bench: Bench, tsi: tuple[Selector, ...], tsr: tuple[Selector, ...]) -> tuple[Payload, ...]:
    script = bench.authenticating()
    return script.request(AUTH, script.auth_payloads(tsi=tsi, tsr=tsr))


def test_c3_everything_asked_where_a_host_is_allowed_is_narrowed_to_it() -> None:
    one_host = network("192.0.2.77/32")
    child = mirrored(lan(local=(one_host,)))
    bench = Bench("responder", policy(peer_of_bob(children=(child,))))
    answer = asked(bench, (ALL,), (ALL,))
    ts = {one.initiator: one.selectors for one in answer if isinstance(one, TsPayload)}
    assert [(one.start, one.end) for one in ts[True]] == [(one_host.start, one_host.end)]
    assert [(one.start, one.end) for one in ts[False]] == [(LAN_B.start, LAN_B.end)]
    (installed,) = bench.node.plane.children.values()
    assert (installed.spec.local_ts, installed.spec.remote_ts) == ((LAN_B,), (one_host,))


@pytest.mark.parametrize(
    ("tsi", "tsr"),
    [((network("172.16.0.0/12"),), (LAN_B,)), ((LAN_A,), (network("2001:db8::/32"),)), ((LAN_B,), (LAN_A,))],
)
def test_c3_selectors_without_common_part_are_unacceptable(
    tsi: tuple[Selector, ...], tsr: tuple[Selector, ...]
) -> None:
    bench = Bench("responder")
    assert errors(asked(bench, tsi, tsr)) == [NotifyType.TS_UNACCEPTABLE]
    assert not bench.node.plane.history


WIDER = {
    "TSi everything": ((ALL,), (LAN_B,)),
    "TSr everything": ((LAN_A,), (ALL,)),
    "TSi one address more": ((network("10.1.0.0/16"), network("10.2.0.0/32")), (LAN_B,)),
    "TSi twice as wide": ((network("10.0.0.0/15"),), (LAN_B,)),
    "TSr another family": ((LAN_A,), (LAN_B, network("2001:db8::/64"))),
    "swapped": ((LAN_B,), (LAN_A,)),
}


@pytest.mark.parametrize("name", WIDER)
def test_c4_wider_selectors_than_offered_fail_the_child_and_not_the_ike_sa(name: str) -> None:
    tsi, tsr = WIDER[name]
    bench = Bench("initiator")
    script = bench.authenticating()
    script.received()
    script.send(script.sealed(AUTH, script.auth_payloads(tsi=tsi, tsr=tsr), 1, response=True))
    assert bench.state() == "established"
    assert not bench.node.plane.history
    assert not bench.node.plane.reserved
    assert bench.events(ChildRefused)


def test_c4_the_peer_that_answered_wider_is_told_to_take_its_child_back() -> None:
    bench = Bench("initiator")
    script = bench.authenticating()
    script.received()
    script.send(script.sealed(AUTH, script.auth_payloads(tsi=(ALL,)), 1, response=True))
    message = script.one()
    assert parse_header(message).exchange == ExchangeType.INFORMATIONAL
    assert any(isinstance(one, DeletePayload) and one.protocol == Protocol.ESP for one in script.opened(message))


def test_c4_a_narrower_answer_is_taken_as_it_is() -> None:
    bench = Bench("initiator")
    script = bench.authenticating()
    script.received()
    part_a, part_b = network("10.1.7.0/24"), network("10.2.0.0/17")
    script.send(script.sealed(AUTH, script.auth_payloads(tsi=(part_a,), tsr=(part_b,)), 1, response=True))
    (installed,) = bench.node.plane.children.values()
    assert (installed.spec.local_ts, installed.spec.remote_ts) == ((part_a,), (part_b,))


def test_c5_a_client_that_claims_everything_gets_its_own_address_alone() -> None:
    own = network("10.66.0.4/32")
    bench = Bench("responder", policy(peer_of_bob(children=(mirrored(lan(local=(own,))),))))
    assert not errors(asked(bench, (network("10.0.0.0/8"),), (LAN_B,)))
    (installed,) = bench.node.plane.children.values()
    assert installed.spec.remote_ts == (own,)


@pytest.mark.parametrize("claimed", ["10.66.0.5/32", "10.2.0.9/32", "198.51.100.2/32", "128.0.0.0/1"])
def test_c5_a_client_gets_no_address_but_its_own(claimed: str) -> None:
    """Each peer's selectors are bound to its identity: another's address, our LAN and our own are not to be had."""
    own = mirrored(lan(local=(network("10.66.0.4/32"),)))
    bench = Bench("responder", policy(peer_of_bob(children=(own,))))
    answer = asked(bench, (network(claimed),), (LAN_B,))
    assert errors(answer) == ([NotifyType.TS_UNACCEPTABLE])
    assert not bench.node.plane.history


def with_spi(script: Script, spi: bytes) -> list[Payload]:
    found = child_request(script)
    found[0] = SaPayload((replace(esp(GCM_128, NO_ESN), spi=spi),))
    return found


@pytest.mark.parametrize("spi", [bytes(4), b"\0\0\0\1", b"\0\0\0\xff", b"", b"abc", b"abcde", b"abcdefgh"])
def test_c7_reserved_spis_and_other_sizes_are_rejected(spi: bytes) -> None:
    bench = Bench("responder")
    script = bench.established()
    assert errors(script.request(CREATE, with_spi(script, spi))) in (
        [NotifyType.INVALID_SYNTAX],
        [NotifyType.NO_PROPOSAL_CHOSEN],
    )
    assert len(bench.node.plane.history) == 1


def test_c7_an_spi_that_the_peer_has_given_already_is_rejected() -> None:
    bench = Bench("responder")
    script = bench.established()
    assert errors(script.request(CREATE, with_spi(script, SPI)))
    assert len(bench.node.plane.history) == 1


@pytest.mark.parametrize("spi", [bytes(4), b"\0\0\0\xff", b"abc", b"abcde"])
def test_c7_reserved_spis_in_the_answer_make_no_child(spi: bytes) -> None:
    bench = Bench("initiator")
    script = bench.authenticating()
    script.received()
    offered = (replace(esp(GCM_128, NO_ESN), spi=spi),)
    script.send(script.sealed(AUTH, script.auth_payloads(esp_offer=offered), 1, response=True))
    bench.world.run(60.0)
    assert not bench.node.plane.history
    assert not bench.node.plane.reserved


@pytest.mark.parametrize("esn", [(), (WITH_ESN,), (NO_ESN, WITH_ESN), (NO_ESN, NO_ESN)])
def test_c9_an_answer_with_no_both_or_another_esn_makes_no_child(esn: tuple[Transform, ...]) -> None:
    bench = Bench("initiator")
    script = bench.authenticating()
    script.received()
    offered = (esp(GCM_128, *esn, spi=SPI),)
    script.send(script.sealed(AUTH, script.auth_payloads(esp_offer=offered), 1, response=True))
    assert bench.state() == "established"
    assert not bench.node.plane.history
    assert bench.events(ChildRefused)


def test_c9_an_offer_of_both_gets_one() -> None:
    bench = Bench("responder")
    script = bench.authenticating()
    offered = (esp(GCM_128, WITH_ESN, NO_ESN, spi=SPI),)
    answer = script.request(AUTH, script.auth_payloads(esp_offer=offered))
    (sa,) = [one for one in answer if isinstance(one, SaPayload)]
    assert sa.proposals[0].of_type(5) == (NO_ESN,)


@pytest.mark.parametrize("exchange", [CREATE, INFO])
@pytest.mark.parametrize("message_id", [0, 1, 2])
def test_c13_other_exchanges_before_ike_auth_are_dropped(exchange: int, message_id: int) -> None:
    bench = Bench("responder")
    script = bench.authenticating()
    with bench.silent():
        script.send(script.sealed(exchange, child_request(script), message_id))
    assert not errors(script.request(AUTH, script.auth_payloads()))


def test_c13_an_initiator_takes_no_requests_before_ike_auth_is_answered() -> None:
    bench = Bench("initiator")
    script = bench.authenticating()
    script.received()
    for exchange in (CREATE, INFO, AUTH):
        with bench.silent():
            script.send(script.sealed(exchange, child_request(script), 0))
    script.send(script.sealed(AUTH, script.auth_payloads(), 1, response=True))
    assert bench.state() == "established"


def delete_body(protocol: int, size: int, count: int, data: bytes) -> Part:
    return PayloadType.DELETE, bytes((protocol, size)) + count.to_bytes(2, "big") + data, 0


BAD_DELETES = {
    "count above data": delete_body(3, 4, 2, SPI),
    "count below data": delete_body(3, 4, 1, SPI + SPI),
    "count 65535": delete_body(3, 4, 65535, SPI),
    "ESP with size 0": delete_body(3, 0, 0, b""),
    "ESP with size 8": delete_body(3, 8, 1, SPI + SPI),
    "IKE with size 4": delete_body(1, 4, 1, SPI),
    "IKE with size 8": delete_body(1, 8, 1, b"scripted"),
    "IKE with count 1": delete_body(1, 0, 1, b""),
    "empty": (PayloadType.DELETE, b"", 0),
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", BAD_DELETES)
def test_c16_a_malformed_delete_is_invalid_syntax(role: str, name: str) -> None:
    bench = Bench(role)
    script = bench.established()
    assert script.request_raw(INFO, *chain([BAD_DELETES[name]])) == (NotifyPayload(NotifyType.INVALID_SYNTAX),)


@pytest.mark.parametrize("role", ROLES)
def test_c16_deletes_of_what_is_not_there_are_ignored_and_answered_once(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    (child,) = bench.node.plane.children.values()
    own_half = child.spec.spi_in.to_bytes(4, "big")
    for spis in ((b"zzzz",), (own_half,), (b"zzzz", b"yyyy", b"zzzz"), (bytes(4),)):
        assert script.request(INFO, [DeletePayload(Protocol.ESP, spis)]) == ()
        assert len(bench.node.plane.children) == 1
    assert script.request(INFO, [DeletePayload(Protocol.AH, (SPI,))]) == ()
    assert len(bench.node.plane.children) == 1


@pytest.mark.parametrize("role", ROLES)
def test_c16_the_same_spi_twice_is_deleted_once(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    (child,) = bench.node.plane.children.values()
    twice = [DeletePayload(Protocol.ESP, (SPI, SPI)), DeletePayload(Protocol.ESP, (SPI,))]
    own_half = child.spec.spi_in.to_bytes(4, "big")
    assert script.request(INFO, twice) == (DeletePayload(Protocol.ESP, (own_half,)),)
    assert not bench.node.plane.children
    assert script.request(INFO, [DeletePayload(Protocol.ESP, (SPI,))]) == ()
    assert bench.state() == "established"


@pytest.mark.parametrize("role", ROLES)
def test_c16_after_the_delete_of_the_ike_sa_nothing_more_of_the_message_counts(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    own, child = DeletePayload(Protocol.IKE, ()), DeletePayload(Protocol.ESP, (SPI,))
    assert script.request(INFO, [own, child, NotifyPayload(40000), own]) == ()
    assert bench.state() == ""
    assert not bench.node.plane.children
    script.send(script.sealed(INFO, [own], script.next_id))
    assert bench.picture()[0] == ()


@pytest.mark.parametrize("role", ROLES)
def test_c17_a_delete_in_clear_is_dropped(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    for protocol, spis in ((Protocol.IKE, ()), (Protocol.ESP, (SPI,))):
        with bench.silent(Drop.NOT_PROTECTED):
            script.send(script.clear(INFO, [DeletePayload(protocol, spis)], script.next_id))
    with bench.silent():
        script.send(script.clear(INFO, (), script.next_id))


@pytest.mark.parametrize("role", ROLES)
def test_c17_a_delete_with_the_keys_of_another_sa_is_dropped(role: str) -> None:
    bench, other = Bench(role), Bench(role, seed=2)
    script, stranger = bench.established(), other.established()
    stranger.spi_i, stranger.spi_r = script.spi_i, script.spi_r
    with bench.silent(Drop.INTEGRITY):
        script.send(stranger.sealed(INFO, [DeletePayload(Protocol.IKE, ())], script.next_id))
    assert bench.state() == "established"


def test_c17_a_delete_for_a_half_open_sa_is_dropped() -> None:
    bench = Bench("responder")
    script = bench.authenticating()
    for message_id in (0, 1):
        with bench.silent():
            script.send(script.sealed(INFO, [DeletePayload(Protocol.IKE, ())], message_id))
    assert bench.state() == "init_done"

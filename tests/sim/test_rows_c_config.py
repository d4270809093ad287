"""Bad inputs C18, C19, C20, and C5 with leased addresses: Configuration payloads of a peer that obeys nothing."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from fynx.events import AddressAssigned
from fynx.ike.policy import PoolPolicy
from fynx.wire.config import CpAttr, CpPayload
from fynx.wire.iana import CpAttribute, CpType, NotifyType, PayloadType
from fynx.wire.payload import AuthPayload, Payload, SaPayload, TsPayload
from tests.sim.forge import AUTH, INFO, Bench, Script, chain, child_request, errors, part, parts
from tests.sim.rig import LAN_B, identity, network
from tests.sim.test_config_payload import OFFICE, gateway, own

ALL = network("0.0.0.0/0")
V4, V6 = CpAttribute.INTERNAL_IP4_ADDRESS, CpAttribute.INTERNAL_IP6_ADDRESS
DNS4, DNS6 = CpAttribute.INTERNAL_IP4_DNS, CpAttribute.INTERNAL_IP6_DNS
DOMAIN = CpAttribute.INTERNAL_DNS_DOMAIN


def ip(text: str) -> bytes:
    return ip_address(text).packed


def ask(*attributes: CpAttr, cfg_type: int = CpType.CFG_REQUEST) -> CpPayload:
    return CpPayload(cfg_type, attributes)


def asking(script: Script, *found: Payload, **changes: Any) -> list[Payload]:
    """IKE_AUTH with configuration payloads after AUTH."""
    payloads = script.auth_payloads(**{"tsi": (ALL,), **changes})
    place = next(n for n, one in enumerate(payloads) if isinstance(one, AuthPayload)) + 1
    return [*payloads[:place], *found, *payloads[place:]]


def told(answer: tuple[Payload, ...]) -> dict[int, list[bytes]]:
    """What the only configuration payload carries, by type."""
    (payload,) = [one for one in answer if isinstance(one, CpPayload)]
    assert payload.cfg_type == CpType.CFG_REPLY
    found: dict[int, list[bytes]] = {}
    for one in payload.attributes:
        found.setdefault(one.type, []).append(one.value)
    return found


def gate() -> tuple[Bench, Script]:
    bench = Bench("responder", gateway())
    return bench, bench.authenticating()


# C18: what a client may ask for.

WISHES = {
    "length 0": b"",
    "length 3": b"\xc6\x12\x00",
    "length 5": ip("198.18.0.2") + b"\0",
    "zero": ip("0.0.0.0"),
    "ours": ip("198.51.100.2"),
    "another network": ip("192.0.2.9"),
    "broadcast": ip("255.255.255.255"),
    "of a subnet": ip("198.18.0.255"),
    "loopback": ip("127.0.0.1"),
    "multicast": ip("224.0.0.1"),
    "length 16": ip("fd00:1::5"),
    "length 60000": bytes(60000),
}


@pytest.mark.parametrize("name", WISHES)
def test_c18_whatever_address_is_asked_for_the_lease_is_one_of_the_pool(name: str) -> None:
    bench, script = gate()
    answer = script.request(AUTH, asking(script, ask(CpAttr(V4, WISHES[name]))))
    assert told(answer) == {V4: [ip("198.18.0.1")]}
    (child,) = bench.node.plane.children.values()
    assert child.spec.remote_ts == (own("198.18.0.1"),)


def test_c18_an_address_that_another_holds_is_not_given_away() -> None:
    bench, script = gate()
    other = gateway().peers[0].local_id
    bench.node.pools.lease("office", other, (4,))
    answer = script.request(AUTH, asking(script, ask(CpAttr(V4, ip("198.18.0.1")))))
    assert told(answer) == {V4: [ip("198.18.0.2")]}


def test_c18_a_free_address_of_the_pool_is_given_to_whom_would_like_it() -> None:
    _, script = gate()
    assert told(script.request(AUTH, asking(script, ask(CpAttr(V4, ip("198.18.0.2")))))) == {V4: [ip("198.18.0.2")]}


def test_c18_attributes_of_unknown_types_are_passed_over() -> None:
    _, script = gate()
    strange = [CpAttr(number, bytes(number % 7)) for number in (0, 5, 9, 11, 27, 1000, 0x7FFF)]
    answer = script.request(AUTH, asking(script, ask(*strange, CpAttr(V4))))
    assert told(answer) == {V4: [ip("198.18.0.1")]}


def test_c18_a_hundred_addresses_asked_at_once_are_one_lease_of_each_family() -> None:
    bench, script = gate()
    many = [CpAttr(V4)] * 100 + [CpAttr(V6)] * 100
    answer = script.request(AUTH, asking(script, ask(*many), tsi=(ALL, network("::/0"))))
    assert told(answer) == {V4: [ip("198.18.0.1")], V6: [ip("fd00:1::1") + b"\x80"]}
    assert bench.node.pools.status()["office"]["online"] == 1


@pytest.mark.parametrize("length", [3, 65535])
def test_c18_an_attribute_longer_than_its_payload_is_bad_syntax(length: int) -> None:
    bench, script = gate()
    body = bytes((CpType.CFG_REQUEST, 0, 0, 0, 0, V4)) + length.to_bytes(2, "big") + b"\0\0"
    found = parts(script.auth_payloads(tsi=(ALL,)))
    answer = script.request_raw(AUTH, *chain([*found[:2], (PayloadType.CP, body, 0), *found[2:]]))
    assert errors(answer) == [NotifyType.INVALID_SYNTAX]
    assert bench.state() == ""
    assert bench.node.pools.status()["office"]["online"] == 0


# C19: too much, unasked, poisoned.


def test_c19_two_configuration_payloads_in_one_message_are_bad_syntax() -> None:
    bench, script = gate()
    answer = script.request(AUTH, asking(script, ask(CpAttr(V4)), ask(CpAttr(V4))))
    assert errors(answer) == [NotifyType.INVALID_SYNTAX]
    assert bench.node.pools.status()["office"] == {"online": 0, "kept": 0}


def test_c19_a_thousand_requests_later_lease_nothing_more() -> None:
    bench, script = gate()
    script.request(AUTH, asking(script, ask(CpAttr(V4))))
    for _ in range(1000):
        answer = script.request(INFO, [ask(CpAttr(V4), CpAttr(V6), CpAttr(DNS4))])
        assert told(answer) == {}
    assert bench.node.pools.status()["office"] == {"online": 1, "kept": 0}
    assert bench.state() == "established"


@pytest.mark.parametrize("cfg_type", [CpType.CFG_SET, CpType.CFG_REPLY, CpType.CFG_ACK, 0, 5, 255])
def test_c19_what_is_no_request_leases_nothing(cfg_type: int) -> None:
    bench, script = gate()
    poison = ask(CpAttr(V4, ip("198.18.0.2")), CpAttr(DNS4, ip("6.6.6.6")), cfg_type=cfg_type)
    answer = script.request(AUTH, asking(script, poison))
    assert not [one for one in answer if isinstance(one, CpPayload)]
    assert errors(answer) == [NotifyType.FAILED_CP_REQUIRED]
    assert bench.state() == "established"
    assert bench.node.pools.status()["office"] == {"online": 0, "kept": 0}


def test_c19_a_set_after_the_handshake_is_acknowledged_with_nothing_accepted() -> None:
    bench, script = gate()
    script.request(AUTH, asking(script, ask(CpAttr(V4))))
    before = bench.node.endpoint.snapshot()
    (answer,) = script.request(INFO, [ask(CpAttr(DNS4, ip("6.6.6.6")), cfg_type=CpType.CFG_SET)])
    assert answer == CpPayload(CpType.CFG_ACK)
    assert bench.node.endpoint.snapshot() == before


@pytest.mark.parametrize("cfg_type", [CpType.CFG_REPLY, CpType.CFG_ACK, 77])
def test_c19_replies_to_nothing_change_nothing(cfg_type: int) -> None:
    bench, script = gate()
    script.request(AUTH, asking(script, ask(CpAttr(V4))))
    before = bench.node.endpoint.snapshot()
    assert script.request(INFO, [ask(CpAttr(DNS4, ip("6.6.6.6")), cfg_type=cfg_type)]) == ()
    assert bench.node.endpoint.snapshot() == before
    assert not bench.events(AddressAssigned)


def test_the_version_is_told_to_whom_asks_for_it_later() -> None:
    _, script = gate()
    script.request(AUTH, asking(script, ask(CpAttr(V4))))
    answer = script.request(INFO, [ask(CpAttr(CpAttribute.APPLICATION_VERSION))])
    assert told(answer) == {CpAttribute.APPLICATION_VERSION: [b"Fynx test"]}


# C20 and C5.


def test_c20_an_empty_pool_is_an_internal_address_failure_and_no_child() -> None:
    bench = Bench("responder", gateway(PoolPolicy("office", (OFFICE.ranges[0],))))
    for name in ("one.example.org", "two.example.org"):
        bench.node.pools.lease("office", identity(name), (4,))
    script = bench.authenticating()
    answer = script.request(AUTH, asking(script, ask(CpAttr(V4))))
    assert errors(answer) == [NotifyType.INTERNAL_ADDRESS_FAILURE]
    assert any(isinstance(one, AuthPayload) for one in answer)
    assert not [one for one in answer if isinstance(one, CpPayload | SaPayload | TsPayload)]
    assert bench.state() == "established"
    assert not bench.node.plane.history
    assert script.request(INFO, []) == ()


CLAIMS = {
    "another client's": own("198.18.0.2"),
    "our network": LAN_B,
    "the pool's first address, of another": own("198.18.0.200"),
    "another family": network("::/0"),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_c5_an_address_that_was_not_leased_is_no_selector(name: str) -> None:
    bench, script = gate()
    answer = script.request(AUTH, asking(script, ask(CpAttr(V4)), tsi=(CLAIMS[name],)))
    assert errors(answer) == [NotifyType.TS_UNACCEPTABLE]
    assert bench.state() == "established"
    assert not bench.node.plane.history


@pytest.mark.parametrize("name", CLAIMS)
def test_c5_nor_is_it_one_for_a_later_child(name: str) -> None:
    bench, script = gate()
    script.request(AUTH, asking(script, ask(CpAttr(V4))))
    later = [
        TsPayload(True, script.ts((CLAIMS[name],), True).selectors)
        if isinstance(one, TsPayload) and one.initiator
        else one
        for one in child_request(script)
    ]
    answer = script.request(36, later)
    assert errors(answer) == [NotifyType.TS_UNACCEPTABLE]
    assert len(bench.node.plane.children) == 1


def test_c5_what_is_claimed_beside_the_leased_address_is_cut_off() -> None:
    bench, script = gate()
    script.request(AUTH, asking(script, ask(CpAttr(V4)), tsi=(own("198.18.0.1"), own("198.18.0.2"), LAN_B)))
    (child,) = bench.node.plane.children.values()
    assert child.spec.remote_ts == (own("198.18.0.1"),)


def test_a_configuration_payload_with_the_critical_bit_is_read_all_the_same() -> None:
    _, script = gate()
    found = [part(one, 0x80 if isinstance(one, CpPayload) else 0) for one in asking(script, ask(CpAttr(V4)))]
    assert told(script.request_raw(AUTH, *chain(found))) == {V4: [ip("198.18.0.1")]}

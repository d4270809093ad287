"""Bad inputs C18 and C19 at the client: replies of a gateway that obeys nothing."""

from __future__ import annotations

from typing import Any

import pytest

from fynx.events import AddressAssigned, ChildRefused
from fynx.wire.config import CpAttr, CpPayload
from fynx.wire.iana import CpAttribute, CpType
from fynx.wire.payload import TsPayload
from tests.sim.forge import AUTH, Bench
from tests.sim.rig import LAN_B, policy
from tests.sim.test_config_payload import client, own
from tests.sim.test_rows_c_config import ALL, DNS4, DNS6, DOMAIN, V4, V6, asking, ip


class Dialling:
    """A Fynx client that asks, and a gateway that answers as it likes."""

    def __init__(self, *request: Any) -> None:
        self.bench = Bench("initiator", policy(client(*request)))
        self.script = self.bench.authenticating()
        self.heard = self.script.opened(self.script.one())

    def answer(self, *attributes: CpAttr, cfg_type: int = CpType.CFG_REPLY, tsi: str = "198.18.0.1") -> None:
        found = asking(self.script, CpPayload(cfg_type, attributes), tsi=(own(tsi),), tsr=(LAN_B,))
        self.script.send(self.script.sealed(AUTH, found, 1, response=True))
        assert self.bench.state() == "established"

    @property
    def assigned(self) -> AddressAssigned | None:
        found = self.bench.events(AddressAssigned)
        assert all(isinstance(one, AddressAssigned) for one in found)
        return found[0] if found else None  # type: ignore[return-value]


GIVEN = CpAttr(V4, ip("198.18.0.1"))


def test_the_client_asks_with_empty_attributes_and_offers_everything() -> None:
    dialling = Dialling("ipv4", "ipv6", "dns", "split_dns", "version")
    (payload,) = [one for one in dialling.heard if isinstance(one, CpPayload)]
    assert payload.cfg_type == CpType.CFG_REQUEST
    kinds = [V4, V6, DNS4, DNS6, DOMAIN, CpAttribute.APPLICATION_VERSION]
    assert payload.attributes == tuple(CpAttr(kind) for kind in kinds)
    (tsi,) = [one for one in dialling.heard if isinstance(one, TsPayload) and one.initiator]
    assert [(one.start, one.end) for one in tsi.selectors] == [(bytes(n), b"\xff" * n) for n in (4, 16)]


def test_c19_name_servers_and_networks_that_nobody_asked_for_are_passed_over() -> None:
    dialling = Dialling("ipv4")
    dialling.answer(
        GIVEN,
        CpAttr(DNS4, ip("6.6.6.6")),
        CpAttr(V6, ip("fd00:1::1") + b"\x40"),
        CpAttr(CpAttribute.INTERNAL_IP4_SUBNET, bytes(8)),
        CpAttr(DOMAIN, b"example.org"),
        CpAttr(CpAttribute.APPLICATION_VERSION, b"evil"),
    )
    assert dialling.assigned == AddressAssigned("bob", ("198.18.0.1",), (), (), (), "")


def test_c19_a_client_that_asked_for_nothing_takes_nothing() -> None:
    bench = Bench("initiator")
    script = bench.authenticating()
    script.received()
    poison = CpPayload(CpType.CFG_REPLY, (GIVEN, CpAttr(DNS4, ip("6.6.6.6"))))
    payloads = script.auth_payloads()
    script.send(script.sealed(AUTH, [*payloads[:2], poison, *payloads[2:]], 1, response=True))
    assert bench.state() == "established"
    assert not bench.events(AddressAssigned)
    (child,) = bench.node.plane.children.values()
    assert child.spec.virtual == ()


DOMAINS = [
    b"corp.example.org;$(reboot)",
    b"$(reboot)",
    b"`id`.example.org",
    b"a b.example.org",
    b"example.org\n",
    b"example.org\0",
    b"..",
    b".",
    b"",
    b"-a.example",
    b"a" * 64 + b".example",
    b".".join([b"abcdefgh"] * 40),
    "bücher.example".encode(),
    b"localhost",
    b"printer.local",
    b"../../etc/passwd",
]


@pytest.mark.parametrize("name", DOMAINS)
def test_c19_split_dns_takes_names_of_letters_digits_and_hyphens_alone(name: bytes) -> None:
    dialling = Dialling("ipv4", "split_dns")
    dialling.answer(GIVEN, CpAttr(DNS4, ip("10.2.0.53")), CpAttr(DOMAIN, name), CpAttr(DOMAIN, b"Corp.Example.org."))
    assert dialling.assigned is not None
    assert dialling.assigned.domains == ("corp.example.org",)


def test_split_dns_without_a_server_is_nothing() -> None:
    """RFC 8598 section 3.2."""
    dialling = Dialling("ipv4", "split_dns")
    dialling.answer(GIVEN, CpAttr(DOMAIN, b"corp.example.org"))
    assert dialling.assigned == AddressAssigned("bob", ("198.18.0.1",), (), (), (), "")


SERVERS = [
    b"",
    b"\x0a",
    bytes(4),
    ip("127.0.0.1"),
    ip("224.0.0.1"),
    ip("255.255.255.255"),
    bytes(16),
    b"6.6.6.6;reboot",
]


@pytest.mark.parametrize("value", SERVERS)
def test_c19_a_name_server_is_an_address_or_nothing(value: bytes) -> None:
    dialling = Dialling("ipv4", "dns")
    dialling.answer(GIVEN, CpAttr(DNS4, value), CpAttr(DNS4, ip("10.2.0.53")))
    assert dialling.assigned == AddressAssigned("bob", ("198.18.0.1",), ("10.2.0.53",), (), (), "")


def test_c19_no_more_name_servers_and_domains_than_anyone_needs() -> None:
    dialling = Dialling("ipv4", "split_dns")
    servers = [CpAttr(DNS4, bytes((10, 2, 0, number))) for number in range(1, 101)]
    dialling.answer(GIVEN, *servers, *[CpAttr(DOMAIN, b"d%d.example" % number) for number in range(100)])
    assert dialling.assigned is not None
    assert (len(dialling.assigned.dns), len(dialling.assigned.domains)) == (8, 64)


SUBNETS = {
    "holes in the mask": ip("10.0.0.0") + ip("255.0.255.0"),
    "short": ip("10.0.0.0"),
    "long": ip("10.0.0.0") + ip("255.0.0.0") + b"\0",
}


@pytest.mark.parametrize("name", SUBNETS)
def test_c19_a_network_is_an_address_with_a_mask_or_nothing(name: str) -> None:
    dialling = Dialling("ipv4", "subnets")
    kind = CpAttribute.INTERNAL_IP4_SUBNET
    dialling.answer(GIVEN, CpAttr(kind, SUBNETS[name]), CpAttr(kind, ip("10.2.3.4") + ip("255.255.0.0")))
    assert dialling.assigned == AddressAssigned("bob", ("198.18.0.1",), (), (), ("10.2.0.0/16",), "")


ADDRESSES = [b"", b"\x0a\0\0", bytes(4), ip("127.0.0.1"), ip("255.255.255.255"), ip("224.0.0.9"), ip("0.1.2.3")]


@pytest.mark.parametrize("value", ADDRESSES)
def test_c18_an_address_that_no_host_can_have_is_none(value: bytes) -> None:
    dialling = Dialling("ipv4")
    dialling.answer(CpAttr(V4, value))
    assert dialling.assigned is None
    assert not dialling.bench.node.plane.children
    assert dialling.bench.events(ChildRefused)


@pytest.mark.parametrize("cfg_type", [CpType.CFG_REQUEST, CpType.CFG_SET, CpType.CFG_ACK, 9])
def test_c19_only_a_reply_is_an_answer(cfg_type: int) -> None:
    dialling = Dialling("ipv4")
    dialling.answer(GIVEN, cfg_type=cfg_type)
    assert dialling.assigned is None
    assert not dialling.bench.node.plane.children


def test_a_child_for_another_address_than_the_leased_one_is_refused() -> None:
    dialling = Dialling("ipv4")
    dialling.answer(GIVEN, tsi="198.18.0.77")
    assert not dialling.bench.node.plane.children
    assert dialling.bench.events(ChildRefused)


def test_a_child_for_everything_is_cut_down_to_the_leased_address() -> None:
    dialling = Dialling("ipv4")
    found = asking(dialling.script, CpPayload(CpType.CFG_REPLY, (GIVEN,)), tsi=(ALL,), tsr=(LAN_B,))
    dialling.script.send(dialling.script.sealed(AUTH, found, 1, response=True))
    (child,) = dialling.bench.node.plane.children.values()
    assert child.spec.local_ts == (own("198.18.0.1"),)

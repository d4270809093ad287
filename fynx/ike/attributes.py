"""Attributes of the Configuration payload as values: what is asked, what is answered (RFC 7296 section 3.15, RFC 8598).

Whatever the peer sends that is malformed, not an address that a host can have, or was not asked for, is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from fynx.ike.policy import PoolPolicy, Request
from fynx.wire.config import CpAttr, CpPayload
from fynx.wire.config_values import domain, possible
from fynx.wire.iana import CpAttribute, CpType

MOST_SERVERS, MOST_SUBNETS, MOST_DOMAINS = 8, 64, 64
MOST_VERSION = 256
_ADDRESS = {4: CpAttribute.INTERNAL_IP4_ADDRESS, 6: CpAttribute.INTERNAL_IP6_ADDRESS}
_DNS = {4: CpAttribute.INTERNAL_IP4_DNS, 6: CpAttribute.INTERNAL_IP6_DNS}
_SUBNET = {4: CpAttribute.INTERNAL_IP4_SUBNET, 6: CpAttribute.INTERNAL_IP6_SUBNET}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a reply carries. Addresses are packed; ``subnets`` have their prefix lengths."""

    addresses: tuple[bytes, ...] = ()
    dns: tuple[bytes, ...] = ()
    subnets: tuple[tuple[bytes, int], ...] = ()
    domains: tuple[str, ...] = ()
    version: str = ""

    def show_addresses(self) -> tuple[str, ...]:
        return tuple(str(ip_address(one)) for one in self.addresses)

    def show_dns(self) -> tuple[str, ...]:
        return tuple(str(ip_address(one)) for one in self.dns)

    def show_subnets(self) -> tuple[str, ...]:
        return tuple(f"{ip_address(one)}/{length}" for one, length in self.subnets)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for: address families, addresses it would like, and all attribute types in it."""

    versions: tuple[int, ...]
    wanted: tuple[bytes, ...]
    types: frozenset[int]


# The client.


def request(wanted: tuple[Request, ...]) -> CpPayload:
    """A CFG_REQUEST with empty attributes."""
    types: list[int] = []
    versions = families(wanted)
    types += [_ADDRESS[version] for version in versions]
    if "dns" in wanted or "split_dns" in wanted:
        types += [_DNS[version] for version in versions or (4, 6)]
    if "subnets" in wanted:
        types += [_SUBNET[version] for version in versions or (4, 6)]
    if "split_dns" in wanted:
        types.append(CpAttribute.INTERNAL_DNS_DOMAIN)
    if "version" in wanted:
        types.append(CpAttribute.APPLICATION_VERSION)
    return CpPayload(CpType.CFG_REQUEST, tuple(CpAttr(one) for one in types))


def families(wanted: tuple[Request, ...]) -> tuple[int, ...]:
    return tuple(version for version, word in ((4, "ipv4"), (6, "ipv6")) if word in wanted)


def read_reply(payload: CpPayload, wanted: tuple[Request, ...]) -> Settings:
    """Only what was asked for, and of addresses the first of each family."""
    asked = {one.type for one in request(wanted).attributes}
    told = [one for one in payload.attributes if one.type in asked]
    addresses: dict[int, bytes] = {}
    for version in (4, 6):
        for address in _addresses(told, _ADDRESS[version], version):
            addresses.setdefault(version, address)
    dns = tuple(dict.fromkeys(one for version in (4, 6) for one in _addresses(told, _DNS[version], version)))
    subnets = tuple(dict.fromkeys(one for version in (4, 6) for one in _subnets(told, version)))
    domains = tuple(dict.fromkeys(one for one in _domains(told)))
    version_text = next((one.value for one in told if one.type == CpAttribute.APPLICATION_VERSION), b"")
    return Settings(
        tuple(addresses.values()),
        dns[:MOST_SERVERS],
        subnets[:MOST_SUBNETS],
        domains[:MOST_DOMAINS] if dns else (),  # without a server they say nothing (RFC 8598 section 3.2)
        version_text[:MOST_VERSION].decode("ascii", "backslashreplace"),
    )


# The gateway.


def read_request(payload: CpPayload) -> Asked:
    types = frozenset(one.type for one in payload.attributes)
    versions = tuple(version for version in (4, 6) if _ADDRESS[version] in types)
    wanted = [one for version in versions for one in _addresses(payload.attributes, _ADDRESS[version], version)]
    return Asked(versions, tuple(wanted[:2]), types)


def reply(asked: Asked, settings: Settings) -> CpPayload:
    """A CFG_REPLY with what was asked for and we have."""
    found: list[CpAttr] = []
    for one in settings.addresses:
        found.append(CpAttr(_ADDRESS[_version(one)], one if len(one) == 4 else one + b"\x80"))
    found += [CpAttr(_DNS[_version(one)], one) for one in settings.dns if _DNS[_version(one)] in asked.types]
    for start, length in settings.subnets:
        if _SUBNET[_version(start)] in asked.types:
            found.append(CpAttr(_SUBNET[_version(start)], start + _prefix(start, length)))
    served = any(one.type in _DNS.values() for one in found)
    if served and CpAttribute.INTERNAL_DNS_DOMAIN in asked.types:
        found += [CpAttr(CpAttribute.INTERNAL_DNS_DOMAIN, name.encode("ascii")) for name in settings.domains]
    if settings.version and CpAttribute.APPLICATION_VERSION in asked.types:
        found.append(CpAttr(CpAttribute.APPLICATION_VERSION, settings.version.encode("ascii", "replace")))
    return CpPayload(CpType.CFG_REPLY, tuple(found))


def settings_of(pool: PoolPolicy, addresses: tuple[bytes, ...]) -> Settings:
    return Settings(addresses, pool.dns, pool.subnets, pool.domains, pool.version)


# Values.


def _addresses(attributes: tuple[CpAttr, ...] | list[CpAttr], kind: int, version: int) -> Iterator[bytes]:
    """IPv6 addresses may have a prefix length behind them; DNS servers have none (section 3.15.1)."""
    lengths = (4,) if version == 4 else ((16, 17) if kind == CpAttribute.INTERNAL_IP6_ADDRESS else (16,))
    for one in attributes:
        if one.type != kind or len(one.value) not in lengths:
            continue
        if len(one.value) == 17 and one.value[16] > 128:
            continue
        address = one.value[: 4 if version == 4 else 16]
        if possible(address):
            yield address


def _subnets(attributes: list[CpAttr], version: int) -> Iterator[tuple[bytes, int]]:
    size = 4 if version == 4 else 16
    for one in attributes:
        if one.type != _SUBNET[version] or len(one.value) != (8 if version == 4 else 17):
            continue
        length = _mask_length(one.value[4:]) if version == 4 else one.value[16]
        if 0 <= length <= size * 8:
            network = int.from_bytes(one.value[:size], "big") >> (size * 8 - length) << (size * 8 - length)
            yield network.to_bytes(size, "big"), length


def _domains(attributes: list[CpAttr]) -> Iterator[str]:
    for one in attributes:
        name = domain(one.value) if one.type == CpAttribute.INTERNAL_DNS_DOMAIN else ""
        if name:
            yield name


def _mask_length(mask: bytes) -> int:
    """-1 for a mask with holes."""
    bits = f"{int.from_bytes(mask, 'big'):032b}"
    length = len(bits) - len(bits.lstrip("1"))
    return length if "1" not in bits[length:] else -1


def _prefix(start: bytes, length: int) -> bytes:
    """A netmask behind IPv4, one octet of prefix length behind IPv6."""
    if len(start) == 16:
        return bytes((length,))
    return ((1 << 32) - (1 << (32 - length))).to_bytes(4, "big")


def _version(packed: bytes) -> int:
    return 4 if len(packed) == 4 else 6

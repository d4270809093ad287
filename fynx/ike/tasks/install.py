"""From a negotiated proposal and its selectors to a Child SA in the data plane (RFC 7296 section 2.17)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fynx.errors import FynxError, PeerFault
from fynx.events import ChildUp
from fynx.ike import virtual
from fynx.ike.child import ChildSa, Group
from fynx.ike.effects import LogKeys
from fynx.ike.keymat import derive_child
from fynx.ike.negotiate import Choice
from fynx.ike.policy import ChildPolicy
from fynx.ike.sa import IkeSa
from fynx.ike.selectors import show
from fynx.ike.states import ChildEvent
from fynx.plugin.crypto import Cipher
from fynx.plugin.dataplane import Aggregation, ChildKeys, ChildSpec, EspSuite, Selector
from fynx.plugin.extension import Running
from fynx.plugin.keylog import EspKeyRecord
from fynx.plugin.transport import Path
from fynx.plugin.work import InstallChild
from fynx.wire.iana import NotifyType

LOWEST_SPI = 256
IKE_PORT = 500


class DeletedEarly(FynxError):
    """The DELETE of a child overtook the answer that brings it."""


@dataclass(slots=True)
class Material:
    """What the keys of one Child SA come from. ``initiator``: this exchange was ours."""

    ni: bytes
    nr: bytes
    shared: bytes
    initiator: bool


@dataclass(slots=True)
class Agreed:
    """What the two sides agreed on, from our side of the tunnel."""

    policy: ChildPolicy
    choice: Choice[EspSuite]
    spi_in: int
    local: tuple[Selector, ...]
    remote: tuple[Selector, ...]
    outbound: bool = True
    translated: tuple[bytes, bytes] | None = None
    tfc_allowed: bool = True
    aggregation: Aggregation | None = None
    resource: int = 0
    group: Group | None = None


def install(sa: IkeSa, agreed: Agreed, material: Material) -> Running:
    """Puts the pair into the plane and into ``sa``; the new ChildSa is the last of ``sa.children`` then.

    Raises ``PeerFault`` for an SPI that cannot be, ``FynxError`` when the plane refuses.
    """
    policy, choice = agreed.policy, agreed.choice
    spi_out = _spi_out(sa, choice.proposal.spi)
    outward, inward = _keys(sa, choice.suite, material)
    spec = ChildSpec(
        handle=sa.services.next_handle(),
        peer=sa.peer,
        child=policy.name,
        spi_in=agreed.spi_in,
        spi_out=spi_out,
        suite=choice.suite,
        keys_in=inward,
        keys_out=outward,
        path=esp_path(sa),
        encap=in_udp(sa),
        mode=policy.mode,
        local_ts=agreed.local,
        remote_ts=agreed.remote,
        window=policy.window,
        aggregation=agreed.aggregation,
        resource=agreed.resource,
        outbound=agreed.outbound,
        translated=agreed.translated,
        tfc_allowed=agreed.tfc_allowed,
        tfc_pad=policy.tfc_pad,
        dummies=policy.dummies if agreed.aggregation is None else None,
        virtual=virtual.own_addresses(sa, agreed.local),
    )
    yield InstallChild(spec)
    sa.reserved.pop(agreed.spi_in, None)
    _log_keys(sa, spec)
    child = ChildSa(
        policy.name, spec.handle, spec.spi_in, spi_out, choice.suite, agreed.local, agreed.remote, spec.mode
    )
    child.low, child.ours = min(material.ni, material.nr), material.initiator
    child.sends = spec.outbound
    child.aggregated = spec.aggregation is not None
    child.resource, child.group = agreed.resource, agreed.group
    child.advance(ChildEvent.INSTALLED)
    sa.children[spec.handle] = child


def newest(sa: IkeSa) -> ChildSa:
    return next(reversed(sa.children.values()))


def in_udp(sa: IkeSa) -> bool:
    """Whether ESP travels in UDP: with a NAT between, or where IKE itself left port 500 (RFC 7296 section 2.23)."""
    plain = sa.policy.encap == "auto" and sa.services.policy.raw_esp and sa.path.local_port == IKE_PORT
    return not plain or (sa.nat is not None and sa.nat.found)


def esp_path(sa: IkeSa) -> Path:
    """Port 4500, also where IKE itself stayed on 500 (RFC 3948 section 2.1); ports 0 stand for ESP without UDP."""
    if not in_udp(sa):
        return replace(sa.path, local_port=0, remote_port=0)
    return replace(sa.path, local_port=4500, remote_port=4500) if sa.path.local_port == IKE_PORT else sa.path


def announce(sa: IkeSa, child: ChildSa) -> None:
    child.announced = True
    sa.emit(
        ChildUp(
            sa.peer,
            child.name,
            f"{child.spi_in:08x}",
            f"{child.spi_out:08x}",
            child.suite.keyword,
            " ".join(show(one) for one in child.local_ts),
            " ".join(show(one) for one in child.remote_ts),
        )
    )


def _spi_out(sa: IkeSa, octets: bytes) -> int:
    spi = int.from_bytes(octets, "big")
    if len(octets) != 4 or spi < LOWEST_SPI:
        raise PeerFault(NotifyType.INVALID_SYNTAX, f"ESP SPI {octets.hex()} is reserved or of a wrong size")
    if octets in sa.deleted_early:
        raise DeletedEarly("the peer deleted this child before its answer came")
    if any(one.children.sends_with(spi) for one in (sa, *sa.services.siblings(sa))):
        raise PeerFault(NotifyType.INVALID_SYNTAX, "the peer gave an ESP SPI that it uses already")
    return spi


def _keys(sa: IkeSa, suite: EspSuite, material: Material) -> tuple[ChildKeys, ChildKeys]:
    """(ours to send with, ours to receive with); the initiator of the exchange has the first half."""
    assert sa.suite is not None
    assert sa.keys is not None
    cipher, integ_len = _sizes(sa, suite)
    i_to_r, r_to_i = derive_child(
        sa.suite.prf,
        bytes(sa.keys.sk_d),
        material.ni,
        material.nr,
        cipher.key_bits // 8,
        cipher.salt_len,
        integ_len,
        material.shared,
    )
    return (i_to_r, r_to_i) if material.initiator else (r_to_i, i_to_r)


def _sizes(sa: IkeSa, suite: EspSuite) -> tuple[Cipher, int]:
    """The cipher, and the octets of an integrity key."""
    algorithms = sa.services.algorithms
    cipher = algorithms.cipher(suite.encr_id, suite.key_bits)
    assert cipher is not None
    return cipher, algorithms.integs[suite.integ_id].key_len if suite.integ_id else 0


def _log_keys(sa: IkeSa, spec: ChildSpec) -> None:
    if not sa.services.policy.keylog:
        return
    local, remote, suite = spec.path.local, spec.path.remote, spec.suite
    enc_len = _sizes(sa, suite)[0].key_bits // 8
    for source, destination, spi, keys in (
        (local, remote, spec.spi_out, spec.keys_out),
        (remote, local, spec.spi_in, spec.keys_in),
    ):
        key = keys.key.reveal()
        record = EspKeyRecord(
            source,
            destination,
            spi,
            suite.encr_id,
            suite.key_bits,
            suite.integ_id,
            key[:enc_len] + keys.salt.reveal(),
            key[enc_len:],
        )
        sa.services.effect(LogKeys(record))

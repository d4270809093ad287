"""Hypothesis strategies: every payload of RFC 7296 section 3, and damaged messages."""

from __future__ import annotations

from hypothesis import strategies as st

from fynx.wire.header import Header
from fynx.wire.iana import KEY_LENGTH, PayloadType, Protocol, TsType
from fynx.wire.message import encode_payloads
from fynx.wire.payload import (
    PARSERS,
    Attribute,
    AuthPayload,
    CertPayload,
    CertReqPayload,
    CpAttr,
    CpPayload,
    DeletePayload,
    EapPayload,
    EncryptedPayload,
    FragmentPayload,
    IdPayload,
    KePayload,
    NoncePayload,
    NotifyPayload,
    Payload,
    Proposal,
    SaPayload,
    TrafficSelector,
    Transform,
    TsPayload,
    UnknownPayload,
    VendorPayload,
)

octet = st.integers(0, 255)
word = st.integers(0, 0xFFFF)
data = st.binary(max_size=64)
spi8 = st.binary(min_size=8, max_size=8)
child_spi = st.integers(256, 0xFFFFFFFF).map(lambda value: value.to_bytes(4, "big"))
child_protocol = st.sampled_from((int(Protocol.AH), int(Protocol.ESP)))

attribute = st.one_of(
    st.builds(Attribute, st.just(KEY_LENGTH), word),
    st.builds(Attribute, st.integers(0, 0x7FFF), st.one_of(word, st.binary(max_size=8))),
)
transform = st.builds(Transform, octet, word, st.lists(attribute, max_size=2).map(tuple))
transforms = st.lists(transform, min_size=1, max_size=6).map(tuple)


@st.composite
def offers(draw: st.DrawFn) -> tuple[Proposal, ...]:
    protocol, spi = draw(
        st.one_of(
            st.tuples(st.just(int(Protocol.IKE)), st.one_of(st.just(b""), spi8)),
            st.tuples(child_protocol, child_spi),
            st.tuples(st.integers(4, 255), st.binary(max_size=16)),
        )
    )
    bodies = draw(st.lists(transforms, max_size=4))
    return tuple(Proposal(number, protocol, spi, body) for number, body in enumerate(bodies, 1))


def selector_of(ts_type: int, size: int) -> st.SearchStrategy[TrafficSelector]:
    address = st.binary(min_size=size, max_size=size)
    return st.builds(TrafficSelector, st.just(ts_type), octet, word, word, address, address)


other_ts_type = octet.filter(lambda value: value not in (TsType.TS_IPV4_ADDR_RANGE, TsType.TS_IPV6_ADDR_RANGE))
selector = st.one_of(
    selector_of(TsType.TS_IPV4_ADDR_RANGE, 4),
    selector_of(TsType.TS_IPV6_ADDR_RANGE, 16),
    st.builds(
        TrafficSelector,
        other_ts_type,
        octet,
        st.just(0),
        st.just(0),
        st.just(b""),
        st.just(b""),
        st.binary(max_size=20),
    ),
)


def eap_message(code: int, identifier: int, content: bytes) -> bytes:
    return bytes((code, identifier)) + (4 + len(content)).to_bytes(2, "big") + content


eap = st.one_of(
    st.builds(eap_message, st.sampled_from((1, 2)), octet, st.binary(min_size=1, max_size=64)),
    st.builds(eap_message, st.sampled_from((3, 4)), octet, st.just(b"")),
).map(EapPayload)

notify = st.one_of(
    st.builds(NotifyPayload, word, data, octet),
    st.builds(NotifyPayload, word, data, child_protocol, child_spi),
)
delete = st.one_of(
    st.just(DeletePayload(Protocol.IKE)),
    st.builds(DeletePayload, child_protocol, st.lists(st.binary(min_size=4, max_size=4), max_size=9).map(tuple)),
)
unknown_type = st.integers(1, 255).filter(
    lambda value: value not in PARSERS and value not in (PayloadType.SK, PayloadType.SKF)
)

once: tuple[st.SearchStrategy[Payload], ...] = (
    st.builds(SaPayload, offers()),
    st.builds(KePayload, word, data),
    st.builds(IdPayload, st.just(True), octet, data),
    st.builds(IdPayload, st.just(False), octet, data),
    st.builds(AuthPayload, octet, data),
    st.builds(NoncePayload, st.binary(min_size=16, max_size=256)),
    st.builds(TsPayload, st.just(True), st.lists(selector, min_size=1, max_size=5).map(tuple)),
    st.builds(TsPayload, st.just(False), st.lists(selector, min_size=1, max_size=5).map(tuple)),
    st.builds(CpPayload, octet, st.lists(st.builds(CpAttr, st.integers(0, 0x7FFF), data), max_size=5).map(tuple)),
    eap,
)
"""Payloads that a message holds once."""

many: tuple[st.SearchStrategy[Payload], ...] = (
    st.builds(CertPayload, octet, data),
    st.builds(CertReqPayload, octet, data),
    notify,
    delete,
    st.builds(VendorPayload, data),
    st.builds(UnknownPayload, unknown_type, st.just(False), data),
)

encrypted = st.one_of(
    st.builds(EncryptedPayload, octet, data),
    st.integers(1, 0xFFFF).flatmap(
        lambda total: st.builds(FragmentPayload, octet, st.integers(1, total), st.just(total), data)
    ),
)


@st.composite
def payloads(draw: st.DrawFn) -> tuple[Payload, ...]:
    """What a message may hold, in any order."""
    chosen = draw(st.lists(st.sampled_from(once), unique_by=id, max_size=len(once)))
    some: list[Payload] = [draw(strategy) for strategy in chosen]
    some += draw(st.lists(st.one_of(*many), max_size=8))
    return tuple(draw(st.permutations(some)))


headers = st.builds(
    Header,
    spi_i=spi8,
    spi_r=spi8,
    next_payload=octet,
    exchange=octet,
    initiator=st.booleans(),
    response=st.booleans(),
    message_id=st.integers(0, 0xFFFFFFFF),
    length=st.just(28),
    major=st.integers(0, 15),
    minor=st.integers(0, 15),
    version_flag=st.booleans(),
)


@st.composite
def damaged_chains(draw: st.DrawFn) -> tuple[int, bytes]:
    """A valid chain with some octets changed, cut off or put in: past the first checks, into the deep ones."""
    first, chain = encode_payloads(draw(payloads()))
    octets = bytearray(chain)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(octets)))
        octets[place : place + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    if draw(st.booleans()):
        del octets[draw(st.integers(0, len(octets))) :]
    return draw(st.one_of(st.just(first), octet)), bytes(octets)

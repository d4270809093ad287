"""Proposals, transforms and attributes of the SA payload, RFC 7296 sections 3.3.1 to 3.3.5."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fynx.wire.fault import syntax
from fynx.wire.iana import KEY_LENGTH, Protocol

MAX_PROPOSALS, MAX_TRANSFORMS = 64, 256
"""In one SA payload. The largest offers in use have under a hundred transforms; more is a way to burn our time (row
K4)."""

_MAX_ATTRIBUTES = 2  # one is all that can be acceptable; a second shows that it is not
_MORE_PROPOSALS = 2
_MORE_TRANSFORMS = 3
_TV = 0x8000
_SPI_SIZES: dict[int, tuple[int, ...]] = {Protocol.IKE: (0, 8), Protocol.AH: (4,), Protocol.ESP: (4,)}
_MAX_FOREIGN_SPI = 16
_RESERVED_SPIS = 256  # RFC 4303 section 2.1


@dataclass(frozen=True, slots=True)
class Attribute:
    """One transform attribute: an int in the short (TV) form, octets in the long (TLV) form."""

    type: int
    value: int | bytes

    def encode(self) -> bytes:
        if isinstance(self.value, int):
            return (_TV | self.type).to_bytes(2, "big") + self.value.to_bytes(2, "big")
        return self.type.to_bytes(2, "big") + len(self.value).to_bytes(2, "big") + self.value


@dataclass(frozen=True, slots=True)
class Transform:
    """One transform. ``malformed`` keeps attribute octets that were not read: such a transform is never acceptable."""

    type: int
    id: int
    attributes: tuple[Attribute, ...] = ()
    malformed: bytes = b""

    @property
    def acceptable(self) -> bool:
        """No attributes, or the key length alone in its short form (RFC 7296 sections 3.3.5, 3.3.6)."""
        if self.malformed or len(self.attributes) > 1:
            return False
        return all(a.type == KEY_LENGTH and isinstance(a.value, int) for a in self.attributes)

    @property
    def key_bits(self) -> int | None:
        """The key length in bits; None where there is none, or none that can be used."""
        for attribute in self.attributes:
            if attribute.type == KEY_LENGTH and isinstance(attribute.value, int):
                return attribute.value
        return None

    def encode(self, *, last: bool) -> bytes:
        attributes = b"".join([a.encode() for a in self.attributes]) + self.malformed
        more = 0 if last else _MORE_TRANSFORMS
        head = bytes((more, 0)) + (8 + len(attributes)).to_bytes(2, "big")
        return head + bytes((self.type, 0)) + self.id.to_bytes(2, "big") + attributes


@dataclass(frozen=True, slots=True)
class Proposal:
    """One proposal: transforms of one type are alternatives, all types together are needed. ``spi`` is the sender's."""

    number: int
    protocol: int
    spi: bytes
    transforms: tuple[Transform, ...]

    def of_type(self, type: int) -> tuple[Transform, ...]:  # noqa: A002
        """The alternatives of that transform type, in the sender's order."""
        return tuple([t for t in self.transforms if t.type == type])

    def encode(self, *, last: bool) -> bytes:
        end = len(self.transforms) - 1
        body = self.spi + b"".join([t.encode(last=i == end) for i, t in enumerate(self.transforms)])
        head = bytes((0 if last else _MORE_PROPOSALS, 0)) + (8 + len(body)).to_bytes(2, "big")
        return head + bytes((self.number, self.protocol, len(self.spi), len(self.transforms))) + body


def transform(type: int, id: int, key_bits: int | None = None) -> Transform:  # noqa: A002
    """A transform as we offer it, with the key length when there is one."""
    return Transform(int(type), int(id), () if key_bits is None else (Attribute(KEY_LENGTH, key_bits),))


def encode_proposals(proposals: Iterable[Proposal]) -> bytes:
    """The body of an SA payload."""
    proposals = tuple(proposals)
    end = len(proposals) - 1
    return b"".join([p.encode(last=i == end) for i, p in enumerate(proposals)])


def check_offer(proposals: tuple[Proposal, ...], spi_size: int) -> None:
    """What only a *request* must hold: the first proposal is number 1, and SPIs are of the exchange's size.

    ``spi_size`` is 0 in IKE_SA_INIT, 8 when an IKE SA is rekeyed, 4 for a Child SA (RFC 7296 section 3.3.1);
    proposals for protocols other than IKE, AH and ESP are not looked at. Raises ``PeerFault`` INVALID_SYNTAX.
    """
    if proposals and proposals[0].number != 1:
        raise syntax(f"the first proposal has number {proposals[0].number}")
    for proposal in proposals:
        if proposal.protocol in _SPI_SIZES and len(proposal.spi) != spi_size:
            raise syntax(f"proposal {proposal.number} has an SPI of {len(proposal.spi)} octets, not {spi_size}")


def parse_proposals(data: bytes) -> tuple[Proposal, ...]:
    """Reads the body of an SA payload; an empty one gives no proposals, to be answered with NO_PROPOSAL_CHOSEN.

    An answer carries one proposal, with the number it had in the offer: so a single one may have any number but 0.
    Raises ``PeerFault`` INVALID_SYNTAX for lengths, counts, last bits, numbers or SPI sizes that do not agree.
    """
    heads = _proposal_bounds(data)
    cache: dict[bytes, Transform] = {}
    return tuple([_parse_proposal(data, start, end, cache) for start, end in heads])


def _proposal_bounds(data: bytes) -> list[tuple[int, int]]:
    """Walks the proposals alone first, so that an offer that is too large costs nothing."""
    bounds: list[tuple[int, int]] = []
    offset, size, transforms = 0, len(data), 0
    while offset < size:
        if size - offset < 8:
            raise syntax("a proposal is cut short")
        end = offset + (data[offset + 2] << 8 | data[offset + 3])
        if end < offset + 8 or end > size:
            raise syntax(f"a proposal of {end - offset} octets where {size - offset} are left")
        if data[offset] != (0 if end == size else _MORE_PROPOSALS):
            raise syntax(f"last-proposal octet is {data[offset]}")
        number = data[offset + 4]
        alone = not bounds and end == size
        if number == 0 or not (alone or number == len(bounds) + 1):
            raise syntax(f"proposal number {number} is out of order")
        transforms += data[offset + 7]
        bounds.append((offset, end))
        offset = end
    if transforms > MAX_TRANSFORMS or len(bounds) > MAX_PROPOSALS:
        raise syntax(f"{len(bounds)} proposals with {transforms} transforms in one SA payload")
    return bounds


def _parse_proposal(data: bytes, start: int, end: int, cache: dict[bytes, Transform]) -> Proposal:
    number, protocol, spi_size, count = data[start + 4 : start + 8]
    offset = start + 8 + spi_size
    spi = data[start + 8 : offset]
    if offset > end:
        raise syntax(f"SPI size {spi_size} passes the end of proposal {number}")
    _check_spi(protocol, spi)
    transforms: list[Transform] = []
    for left in range(count - 1, -1, -1):
        if end - offset < 8:
            raise syntax(f"proposal {number} has fewer than {count} transforms")
        stop = offset + (data[offset + 2] << 8 | data[offset + 3])
        if stop < offset + 8 or stop > end:
            raise syntax(f"a transform of {stop - offset} octets where {end - offset} are left")
        if data[offset] != (_MORE_TRANSFORMS if left else 0):
            raise syntax(f"last-transform octet is {data[offset]}")
        body = data[offset + 4 : stop]
        known = cache.get(body)
        if known is None:
            known = cache[body] = _parse_transform(body)
        transforms.append(known)
        offset = stop
    if offset != end or not transforms:
        raise syntax(f"proposal {number} says {count} transforms, its length says otherwise")
    return Proposal(number, protocol, spi, tuple(transforms))


def _check_spi(protocol: int, spi: bytes) -> None:
    sizes = _SPI_SIZES.get(protocol)
    if len(spi) > _MAX_FOREIGN_SPI or (sizes is not None and len(spi) not in sizes):
        raise syntax(f"an SPI of {len(spi)} octets for protocol {protocol}")
    if protocol in (Protocol.AH, Protocol.ESP) and int.from_bytes(spi, "big") < _RESERVED_SPIS:
        raise syntax(f"the SPI {int.from_bytes(spi, 'big')} is reserved")


def _parse_transform(body: bytes) -> Transform:
    kind, transform_id = body[0], body[2] << 8 | body[3]
    if len(body) == 4:
        return Transform(kind, transform_id)
    attributes: list[Attribute] = []
    offset, size = 4, len(body)
    while size - offset >= 4 and len(attributes) < _MAX_ATTRIBUTES:
        head = body[offset] << 8 | body[offset + 1]
        value = body[offset + 2] << 8 | body[offset + 3]
        if head & _TV:
            attributes.append(Attribute(head & ~_TV, value))
            offset += 4
            continue
        if offset + 4 + value > size:
            break
        attributes.append(Attribute(head, body[offset + 4 : offset + 4 + value]))
        offset += 4 + value
    return Transform(kind, transform_id, tuple(attributes), body[offset:])

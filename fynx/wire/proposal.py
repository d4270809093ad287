"""Proposals, transforms and attributes of the SA payload, RFC 7296 sections 3.3.1 to 3.3.5."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from fynx.wire.fault import syntax
from fynx.wire.iana import KEY_LENGTH, Esn, Protocol, TransformType

MAX_PROPOSALS, MAX_TRANSFORMS = 64, 256
"""In one SA payload. The largest offers in use have under a hundred transforms; more is a way to burn our time (row
K4)."""

KE_TYPES = (4, 6, 7, 8, 9, 10, 11, 12)
"""Transform types that are key exchanges (RFC 9370 section 2.2.1)."""
_MAX_ATTRIBUTES = 2  # one is all that can be acceptable; a second shows that it is not
_USUAL = 8
"""Octets of a transform with a key length. There are few of them in the world: each is read once."""
_SHORT = 256
"""Octets of the transforms of a proposal that is remembered: a peer, and all that are configured alike, offer the same
time and again."""
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


Key = tuple[int, int, int | None]
"""Transform type, id, key bits: what makes two transforms the same."""


@dataclass(frozen=True)
class Transform:
    """One transform. ``malformed`` keeps attribute octets that were not read: such a transform is never acceptable."""

    type: int
    id: int
    attributes: tuple[Attribute, ...] = ()
    malformed: bytes = b""

    @cached_property
    def key(self) -> Key | None:
        """None for what is never acceptable: attributes other than the key length alone in its short form (RFC 7296
        sections 3.3.5, 3.3.6)."""
        attributes = self.attributes
        if self.malformed or len(attributes) > 1:
            return None
        if not attributes:
            return self.type, self.id, None
        value = attributes[0].value
        if attributes[0].type != KEY_LENGTH or not isinstance(value, int):
            return None
        return self.type, self.id, value

    @property
    def acceptable(self) -> bool:
        return self.key is not None

    @property
    def key_bits(self) -> int | None:
        """The key length in bits; None where there is none, or none that can be used."""
        for attribute in self.attributes:
            if attribute.type == KEY_LENGTH and isinstance(attribute.value, int):
                return attribute.value
        return None

    @cached_property
    def _octets(self) -> bytes:
        """Without the first two, which say whether others follow."""
        attributes = b"".join([a.encode() for a in self.attributes]) + self.malformed
        head = (8 + len(attributes)).to_bytes(2, "big")
        return head + bytes((self.type, 0)) + self.id.to_bytes(2, "big") + attributes

    def encode(self, *, last: bool) -> bytes:
        return bytes((0 if last else _MORE_TRANSFORMS, 0)) + self._octets


Options = Mapping[int, Mapping[Key, Transform]]
"""Transforms by type."""


@dataclass(frozen=True)
class Proposal:
    """One proposal: transforms of one type are alternatives, all types together are needed. ``spi`` is the sender's."""

    number: int
    protocol: int
    spi: bytes
    transforms: tuple[Transform, ...]

    @cached_property
    def options(self) -> Options:
        """What may be chosen, by type and in order of preference; a type with nothing acceptable is there too."""
        found: dict[int, dict[Key, Transform]] = {}
        for one in self.transforms:
            kind, key = one.type, one.key
            if kind not in found:
                found[kind] = {}
            if key is not None and key not in found[kind]:
                found[kind][key] = one
        return found

    @cached_property
    def with_esn(self) -> Proposal:
        """For a Child SA. Who says nothing about ESN means 32-bit sequence numbers; on the wire that has to be said."""
        if self.of_type(TransformType.ESN):
            return self
        return replace(self, transforms=(*self.transforms, transform(TransformType.ESN, Esn.NO_ESN)))

    @cached_property
    def initial(self) -> Proposal:
        """For the Child SA of IKE_AUTH: without key exchanges (section 1.2)."""
        kept = tuple(one for one in self.transforms if one.type not in KE_TYPES)
        return replace(self, transforms=kept).with_esn

    def with_spi(self, spi: bytes) -> Proposal:
        """The same of another sender."""
        return Proposal(self.number, self.protocol, spi, self.transforms)

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
    return tuple([_parse_proposal(data, start, end) for start, end in _proposal_bounds(data)])


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


def _parse_proposal(data: bytes, start: int, end: int) -> Proposal:
    number, protocol, spi_size, count = data[start + 4 : start + 8]
    offset = start + 8 + spi_size
    spi = data[start + 8 : offset]
    if offset > end:
        raise syntax(f"SPI size {spi_size} passes the end of proposal {number}")
    _check_spi(protocol, spi)
    octets = data[offset:end]
    read = _known_transforms if len(octets) <= _SHORT else _parse_transforms
    return Proposal(number, protocol, spi, read(octets, number, count))


@lru_cache(256)
def _known_transforms(octets: bytes, number: int, count: int) -> tuple[Transform, ...]:
    return _parse_transforms(octets, number, count)


def _parse_transforms(octets: bytes, number: int, count: int) -> tuple[Transform, ...]:
    offset, end = 0, len(octets)
    transforms: list[Transform] = []
    for left in range(count - 1, -1, -1):
        if end - offset < 8:
            raise syntax(f"proposal {number} has fewer than {count} transforms")
        stop = offset + (octets[offset + 2] << 8 | octets[offset + 3])
        if stop < offset + 8 or stop > end:
            raise syntax(f"a transform of {stop - offset} octets where {end - offset} are left")
        if octets[offset] != (_MORE_TRANSFORMS if left else 0):
            raise syntax(f"last-transform octet is {octets[offset]}")
        body = octets[offset + 4 : stop]
        transforms.append(_known_transform(body) if len(body) <= _USUAL else _parse_transform(body))
        offset = stop
    if offset != end or not transforms:
        raise syntax(f"proposal {number} says {count} transforms, its length says otherwise")
    return tuple(transforms)


def _check_spi(protocol: int, spi: bytes) -> None:
    sizes = _SPI_SIZES.get(protocol)
    if len(spi) > _MAX_FOREIGN_SPI or (sizes is not None and len(spi) not in sizes):
        raise syntax(f"an SPI of {len(spi)} octets for protocol {protocol}")
    if protocol in (Protocol.AH, Protocol.ESP) and int.from_bytes(spi, "big") < _RESERVED_SPIS:
        raise syntax(f"the SPI {int.from_bytes(spi, 'big')} is reserved")


@lru_cache(1024)
def _known_transform(body: bytes) -> Transform:
    return _parse_transform(body)


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

"""The Traffic Selector payloads, RFC 7296 section 3.13."""

from __future__ import annotations

from struct import Struct

from fynx.record import record
from fynx.wire.fault import syntax
from fynx.wire.iana import PayloadType, TsType

_HEAD, _PORTS = Struct("!BBH"), Struct("!HH")
_ADDRESS_LEN: dict[int, int] = {TsType.TS_IPV4_ADDR_RANGE: 4, TsType.TS_IPV6_ADDR_RANGE: 16}


@record
class TrafficSelector:
    """One selector: inclusive ranges of ports and of packed addresses, as the peer wrote them and not yet judged.

    Of a type we do not know, ``raw`` keeps what follows the selector's first four octets; it never matches anything.
    """

    ts_type: int
    protocol: int
    start_port: int
    end_port: int
    start: bytes
    end: bytes
    raw: bytes = b""

    @property
    def known(self) -> bool:
        return self.ts_type in _ADDRESS_LEN

    def encode(self) -> bytes:
        if not self.known:
            return _HEAD.pack(self.ts_type, self.protocol, 4 + len(self.raw)) + self.raw
        content = _PORTS.pack(self.start_port, self.end_port) + self.start + self.end
        return _HEAD.pack(self.ts_type, self.protocol, 4 + len(content)) + content


@record
class TsPayload:
    """TSi (``initiator``) or TSr: 1 to 255 selectors."""

    initiator: bool
    selectors: tuple[TrafficSelector, ...]

    @property
    def kind(self) -> PayloadType:
        return PayloadType.TSI if self.initiator else PayloadType.TSR

    @property
    def body(self) -> bytes:
        return bytes((len(self.selectors), 0, 0, 0)) + b"".join([s.encode() for s in self.selectors])


def parse_tsi(body: bytes) -> TsPayload:
    return TsPayload(True, _parse_selectors(body))


def parse_tsr(body: bytes) -> TsPayload:
    return TsPayload(False, _parse_selectors(body))


def _parse_selectors(body: bytes) -> tuple[TrafficSelector, ...]:
    """Count, lengths and octets must agree; a selector of a known type has that type's length."""
    if len(body) < 4 or body[0] == 0:
        raise syntax("a traffic selector payload without selectors")
    selectors: list[TrafficSelector] = []
    offset, size = 4, len(body)
    for _ in range(body[0]):
        if size - offset < 4:
            raise syntax(f"fewer than {body[0]} traffic selectors")
        end = offset + (body[offset + 2] << 8 | body[offset + 3])
        if end < offset + 4 or end > size:
            raise syntax(f"a traffic selector of {end - offset} octets where {size - offset} are left")
        selectors.append(_parse_selector(body[offset], body[offset + 1], body[offset + 4 : end]))
        offset = end
    if offset != size:
        raise syntax(f"{size - offset} octets after the last traffic selector")
    return tuple(selectors)


def _parse_selector(ts_type: int, protocol: int, content: bytes) -> TrafficSelector:
    address_len = _ADDRESS_LEN.get(ts_type)
    if address_len is None:
        return TrafficSelector(ts_type, protocol, 0, 0, b"", b"", content)
    if len(content) != 4 + 2 * address_len:
        raise syntax(f"a traffic selector of type {ts_type} with {4 + len(content)} octets")
    start_port, end_port = content[0] << 8 | content[1], content[2] << 8 | content[3]
    middle = 4 + address_len
    return TrafficSelector(ts_type, protocol, start_port, end_port, content[4:middle], content[middle:])

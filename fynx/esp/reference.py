"""ESP in plain Python, slow on purpose: what the C plane must do, to the packet (RFC 4303; RFC 4301 section 5)."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from fynx.errors import CryptoError
from fynx.esp.key import EspKey
from fynx.plugin.dataplane import Selector

IPV4, IPV6, NO_NEXT_HEADER = 4, 41, 59
WITH_PORTS = {6, 17, 33, 132, 136}
ICMP = {1, 58}
MOBILITY = 135
HOP_BY_HOP, FRAGMENT = 0, 44
EXTENSIONS = {HOP_BY_HOP, 43, FRAGMENT, 60}
MAX_EXTENSIONS = 8
OUTSIDE = {HOP_BY_HOP, 43, FRAGMENT, NO_NEXT_HEADER}
"""What transport mode does not carry: headers that belong before ESP, and the mark of a dummy packet."""
CHECKSUM_AT = {6: 16, 17: 6, 33: 6, 58: 2, 136: 6}
"""Of the upper protocols that count the addresses."""
MAX_DATAGRAM, MAX_PACKET = 65507, 65535
ESP, IKE_PORT = 50, 500


class Refused(Exception):
    """Why a packet is dropped, by the name of the counter in ``cext/drops.h``."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)


class Window:
    """Anti-replay (RFC 4303 section 3.4.3), as a set; with ESN the high half is inferred (appendix A2)."""

    def __init__(self, size: int, *, esn: bool = False) -> None:
        self.size, self.esn = size, esn
        self.top = 0
        self.seen: set[int] = set()

    def infer(self, low: int) -> int:
        """The 64-bit number of a packet that carries ``low``, 0 when there is none."""
        if not self.esn:
            return low
        high, top = self.top >> 32, self.top & 0xFFFFFFFF
        bottom = (top - self.size + 1) & 0xFFFFFFFF
        if top >= self.size - 1:
            high += low < bottom
        else:
            high -= low >= bottom
        return high << 32 | low if 0 <= high < 1 << 32 else 0

    def check(self, number: int) -> bool:
        return number > 0 and number > self.top - self.size and number not in self.seen

    def commit(self, number: int) -> bool:
        if not self.check(number):
            return False
        self.seen.add(number)
        self.top = max(self.top, number)
        self.seen = {each for each in self.seen if each > self.top - self.size}
        return True


@dataclass(frozen=True, slots=True)
class Inner:
    """An inner packet as the policy database sees it (RFC 4301 section 4.4.1.1). Ports None: not to be seen."""

    version: int
    source: bytes
    destination: bytes
    protocol: int | None
    ports: tuple[int, int] | None
    total: int


def parse_inner(packet: bytes) -> Inner:
    """Octets behind the packet's own length are TFC padding. Raises ``Refused``."""
    if not packet:
        raise Refused("inner_header")
    if packet[0] >> 4 == 4:
        return _parse4(packet)
    if packet[0] >> 4 == 6:
        return _parse6(packet)
    raise Refused("inner_header")


def _parse4(packet: bytes) -> Inner:
    if len(packet) < 20:
        raise Refused("inner_header")
    header, total = (packet[0] & 15) * 4, int.from_bytes(packet[2:4], "big")
    if header < 20 or not header <= total <= len(packet):
        raise Refused("inner_header")
    first = int.from_bytes(packet[6:8], "big") & 0x1FFF == 0
    ports = _ports(packet[9], packet[header:total]) if first else None
    return Inner(4, packet[12:16], packet[16:20], packet[9], ports, total)


def _parse6(packet: bytes) -> Inner:
    if len(packet) < 40:
        raise Refused("inner_header")
    total = 40 + int.from_bytes(packet[4:6], "big")
    if total > len(packet):
        raise Refused("inner_header")
    protocol, ports = _walk6(packet[6], packet[40:total])
    return Inner(6, packet[8:24], packet[24:40], protocol, ports, total)


def _walk6(following: int, rest: bytes) -> tuple[int | None, tuple[int, int] | None]:
    count = 0
    while following in EXTENSIONS:
        length = 8 if following == FRAGMENT else (rest[1] + 1) * 8 if len(rest) > 1 else 8
        if count == MAX_EXTENSIONS or len(rest) < max(length, 8) or (following == HOP_BY_HOP and count):
            raise Refused("inner_header")
        later = following == FRAGMENT and int.from_bytes(rest[2:4], "big") >> 3 != 0
        following, rest, count = rest[0], rest[length:], count + 1
        if later:
            return (None if following in EXTENSIONS else following), None
    return following, _ports(following, rest)


def _ports(protocol: int, upper: bytes) -> tuple[int, int] | None:
    if protocol in WITH_PORTS and len(upper) >= 4:
        return int.from_bytes(upper[:2], "big"), int.from_bytes(upper[2:4], "big")
    if protocol in ICMP and len(upper) >= 2:
        return (int.from_bytes(upper[:2], "big"),) * 2
    if protocol == MOBILITY and len(upper) >= 3:
        return (upper[2] << 8,) * 2
    return None


def matches(selector: Selector, address: bytes, protocol: int | None, port: int | None) -> bool:
    if len(selector.start) != len(address) or not selector.start <= address <= selector.end:
        return False
    if selector.protocol not in (0, protocol):
        return False
    if (selector.start_port, selector.end_port) == (0, 65535):
        return True
    return port is not None and selector.start_port <= port <= selector.end_port


def martian(inner: Inner) -> bool:
    """An inner source that nobody may have."""
    if inner.version == 4:
        return inner.source[0] in (0, 127) or inner.source[0] >= 224
    address = ipaddress.IPv6Address(inner.source)
    return address.is_multicast or address.is_unspecified or address.is_loopback or address.ipv4_mapped is not None


@dataclass(frozen=True, slots=True)
class Traffic:
    """What an SA carries: selectors of both ends, and addresses that no inner source may have."""

    local: Sequence[Selector]
    remote: Sequence[Selector]
    own: Collection[bytes] = ()
    transport: bool = False
    translated: tuple[bytes, bytes] | None = None
    """Source and destination as the peer counted them (RFC 3948 section 3.1.2)."""


def seal(key: EspKey, spi: int, number: int, iv: bytes, body: bytes, *, esn: bool = False) -> bytes:
    """An ESP packet around ``body``: what stands before the ICV, padding and trailer included."""
    head = spi.to_bytes(4, "big") + (number & 0xFFFFFFFF).to_bytes(4, "big")
    return head + iv + key.seal(_iv(key, iv, number), body, _aad(spi, number, esn))


def trailer(key: EspKey, length: int, next_header: int) -> bytes:
    """Padding 1, 2, 3 … and the two octets behind it, for a payload of ``length`` octets (RFC 4303 section 2.4)."""
    padding = -(length + 2) % key.block
    return bytes(range(1, padding + 1)) + bytes([padding, next_header])


def seal_inner(
    key: EspKey, spi: int, number: int, iv: bytes, packet: bytes, *, esn: bool = False, transport: bool = False
) -> bytes:
    """The packet as the C plane seals it, in tunnel or in transport mode. Raises ``Refused``."""
    inner = parse_inner(packet)
    body, following = packet[: inner.total], IPV4 if inner.version == 4 else IPV6
    if transport:
        body, following = without_header(body)
    return seal(key, spi, number, iv, body + trailer(key, len(body), following), esn=esn)


def without_header(packet: bytes) -> tuple[bytes, int]:
    """Transport mode: what is sealed, and its protocol (RFC 4303 section 3.1.1): whole packets without options only."""
    if packet[0] >> 4 == 6:
        payload, protocol, plain = packet[40:], packet[6], packet[6] not in OUTSIDE
    else:
        payload, protocol = packet[20:], packet[9]
        plain = packet[0] == 0x45 and not int.from_bytes(packet[6:8], "big") & 0x3FFF and protocol != NO_NEXT_HEADER
    if not plain:
        raise Refused("transport")
    return payload, protocol


def with_header(payload: bytes, protocol: int, source: bytes, destination: bytes) -> bytes:
    """The packet that a transport-mode receiver makes: time to live 64, no fragments."""
    if len(source) == 16:
        return (
            bytes([0x60, 0, 0, 0])
            + len(payload).to_bytes(2, "big")
            + bytes([protocol, 64])
            + source
            + destination
            + payload
        )
    head = bytes([0x45, 0]) + (20 + len(payload)).to_bytes(2, "big") + bytes([0, 0, 0x40, 0, 64, protocol])
    check = _ones(head + source + destination) ^ 0xFFFF
    return head + check.to_bytes(2, "big") + source + destination + payload


def checksum_moved(payload: bytes, protocol: int, before: bytes, after: bytes) -> bytes:
    """``payload`` with its checksum counted over the addresses ``after``, not ``before`` (RFC 1624 section 3)."""
    at = CHECKSUM_AT.get(protocol)
    difference = _ones(bytes(octet ^ 0xFF for octet in before) + after)
    if at is None or len(payload) < at + 2 or difference == 0xFFFF:
        return payload
    check = int.from_bytes(payload[at : at + 2], "big")
    if protocol == 17 and check == 0:
        return payload
    total = (check ^ 0xFFFF) + difference
    moved = (total & 0xFFFF) + (total >> 16) ^ 0xFFFF
    if protocol == 17 and moved == 0:
        moved = 0xFFFF
    return payload[:at] + moved.to_bytes(2, "big") + payload[at + 2 :]


def _ones(data: bytes) -> int:
    """The sum of RFC 1071, not complemented; of an even number of octets."""
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _iv(key: EspKey, on_the_wire: bytes, number: int) -> bytes:
    """The number itself where the IV is implicit (RFC 8750 section 4)."""
    return number.to_bytes(8, "big") if key.implicit_iv else on_the_wire


def _aad(spi: int, number: int, esn: bool) -> bytes:
    return spi.to_bytes(4, "big") + number.to_bytes(8 if esn else 4, "big")


def outside_udp(data: bytes, port: int) -> tuple[str, bytes]:
    """What a datagram to one of our ports is, and its octets: NAT encapsulation (RFC 3948 section 2, RFC 7296 section
    2.23)."""
    if data == b"\xff":
        return "keepalive", b""
    if port == IKE_PORT:
        return "ike", data
    if data[:4] == bytes(4):
        return "ike", data[4:]
    return "esp", data


def outside_raw(packet: bytes) -> bytes:
    """ESP out of what a raw IPv4 socket gives, its header included (RFC 791 section 3.1). Raises ``Refused``."""
    header, total = (packet[0] & 15) * 4 if packet else 0, int.from_bytes(packet[2:4], "big")
    if len(packet) < 20 or packet[0] >> 4 != 4 or not 20 <= header <= total <= len(packet) or packet[9] != ESP:
        raise Refused("raw_header")
    if int.from_bytes(packet[6:8], "big") & 0x3FFF:
        raise Refused("raw_fragment")
    return packet[header:total]


class Receiver:
    """One inbound SA. ``receive`` gives the inner packet or raises ``Refused``."""

    def __init__(self, key: EspKey, spi: int, window: Window, traffic: Traffic) -> None:
        self.key, self.spi, self.window, self.traffic = key, spi, window, traffic

    def receive(self, packet: bytes) -> bytes:
        key, window = self.key, self.window
        if len(packet) < 8:
            raise Refused("short")
        if int.from_bytes(packet[:4], "big") != self.spi:
            raise Refused("unknown_spi")
        length = len(packet) - 8 - key.iv_len - key.icv_len
        if length < 2 or length % key.block:
            raise Refused("length")
        number = window.infer(int.from_bytes(packet[4:8], "big"))
        if not window.check(number):
            raise Refused("replay")
        try:
            iv, sealed = packet[8 : 8 + key.iv_len], packet[8 + key.iv_len :]
            body = key.open(_iv(key, iv, number), sealed, _aad(self.spi, number, window.esn))
        except CryptoError:
            raise Refused("integrity") from None
        window.commit(number)
        return self._inner(body)

    def _inner(self, body: bytes) -> bytes:
        padding, following = body[-2], body[-1]
        payload = body[: len(body) - 2 - padding]
        if padding > len(body) - 2 or body[len(payload) : -2] != bytes(range(1, padding + 1)):
            raise Refused("padding")
        if following == NO_NEXT_HEADER:
            raise Refused("dummy")
        if self.traffic.transport:
            packet = self._restored(payload, following)
            self._police(parse_inner(packet))
            return packet
        if following not in (IPV4, IPV6):
            raise Refused("next_header")
        if payload and payload[0] >> 4 != (4 if following == IPV4 else 6):
            raise Refused("next_header")
        inner = parse_inner(payload)
        self._police(inner)
        return payload[: inner.total]

    def _restored(self, payload: bytes, protocol: int) -> bytes:
        if protocol in OUTSIDE:
            raise Refused("next_header")
        source, destination = self.traffic.remote[0].start, self.traffic.local[0].start
        if len(payload) + (20 if len(source) == 4 else 40) > MAX_PACKET:
            raise Refused("inner_header")
        if self.traffic.translated is not None:
            before = b"".join(self.traffic.translated)
            payload = checksum_moved(payload, protocol, before, source + destination)
        return with_header(payload, protocol, source, destination)

    def _police(self, inner: Inner) -> None:
        if martian(inner) or inner.source in self.traffic.own:
            raise Refused("inner_source")
        sport, dport = inner.ports or (None, None)
        from_there = any(matches(each, inner.source, inner.protocol, sport) for each in self.traffic.remote)
        to_here = any(matches(each, inner.destination, inner.protocol, dport) for each in self.traffic.local)
        if not (from_there and to_here):
            raise Refused("selectors")


__all__ = ["Inner", "Receiver", "Refused", "Traffic", "Window", "parse_inner", "seal", "seal_inner", "trailer"]

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
MAX_DATAGRAM = 65507


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


def seal(key: EspKey, spi: int, number: int, iv: bytes, body: bytes, *, esn: bool = False) -> bytes:
    """An ESP packet around ``body``: what stands before the ICV, padding and trailer included."""
    head = spi.to_bytes(4, "big") + (number & 0xFFFFFFFF).to_bytes(4, "big")
    return head + iv + key.seal(iv, body, _aad(spi, number, esn))


def trailer(key: EspKey, length: int, next_header: int) -> bytes:
    """Padding 1, 2, 3 … and the two octets behind it, for a payload of ``length`` octets (RFC 4303 section 2.4)."""
    padding = -(length + 2) % key.block
    return bytes(range(1, padding + 1)) + bytes([padding, next_header])


def seal_inner(key: EspKey, spi: int, number: int, iv: bytes, packet: bytes, *, esn: bool = False) -> bytes:
    """Tunnel mode: the packet as the C plane seals it. Raises ``Refused``."""
    inner = parse_inner(packet)
    body = packet[: inner.total]
    body += trailer(key, len(body), IPV4 if inner.version == 4 else IPV6)
    return seal(key, spi, number, iv, body, esn=esn)


def _aad(spi: int, number: int, esn: bool) -> bytes:
    return spi.to_bytes(4, "big") + number.to_bytes(8 if esn else 4, "big")


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
            body = key.open(iv, sealed, _aad(self.spi, number, window.esn))
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
        if following not in (IPV4, IPV6):
            raise Refused("next_header")
        if payload and payload[0] >> 4 != (4 if following == IPV4 else 6):
            raise Refused("next_header")
        inner = parse_inner(payload)
        self._police(inner)
        return payload[: inner.total]

    def _police(self, inner: Inner) -> None:
        if martian(inner) or inner.source in self.traffic.own:
            raise Refused("inner_source")
        sport, dport = inner.ports or (None, None)
        from_there = any(matches(each, inner.source, inner.protocol, sport) for each in self.traffic.remote)
        to_here = any(matches(each, inner.destination, inner.protocol, dport) for each in self.traffic.local)
        if not (from_there and to_here):
            raise Refused("selectors")


__all__ = ["Inner", "Receiver", "Refused", "Traffic", "Window", "parse_inner", "seal", "seal_inner", "trailer"]

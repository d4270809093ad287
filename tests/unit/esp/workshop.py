"""Engines, keys and packets for the tests of ESP: the C plane on one side, the reference on the other."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fynx.esp.engine import Engine, make_engine
from fynx.esp.key import EspKey
from fynx.esp.reference import Receiver, Refused, Traffic, Window, seal, trailer
from fynx.plugin.auth import Secret
from fynx.plugin.crypto import Algorithms, Provider
from fynx.plugin.dataplane import ChildKeys, ChildSpec, EspSuite, Selector
from fynx.plugin.transport import Path
from fynx_plugins import aes_cbc, aes_ccm, aes_gcm, chacha20poly1305, hmac_sha2, ipsecmb, libcrypto, sodium

ALGORITHMS = Algorithms(
    ciphers={
        (cipher.transform_id, cipher.key_bits if cipher.key_length_attribute else 0): cipher
        for plugin in (aes_gcm, aes_ccm, aes_cbc, chacha20poly1305)
        for cipher in plugin.fynx_ciphers()
    },
    integs={integ.transform_id: integ for integ in hmac_sha2.fynx_integs()},
)
PROVIDERS: dict[str, tuple[Provider, ...]] = {
    "libcrypto": tuple(libcrypto.fynx_providers()),
    "ipsecmb": tuple(ipsecmb.fynx_providers()),
    "sodium": tuple(sodium.fynx_providers()),
    "python": (),
}
GCM = EspSuite(20, 128, keyword="aes128gcm16")
SUITES = {
    "aes128gcm16": GCM,
    "aes192gcm16": EspSuite(20, 192),
    "aes256gcm16": EspSuite(20, 256),
    "chacha20poly1305": EspSuite(28, 0),
    "aes128-sha256": EspSuite(12, 128, 12),
    "aes256-sha384": EspSuite(12, 256, 13),
    "aes256-sha512": EspSuite(12, 256, 14),
    "aes128gcm16iiv": EspSuite(30, 128),
    "aes256gcm16iiv": EspSuite(30, 256),
    "chacha20poly1305iiv": EspSuite(31, 0),
    "aes128ccm16": EspSuite(16, 128),
    "aes256ccm12": EspSuite(15, 256),
    "aes192ccm8iiv": EspSuite(29, 192),
}
WEST = Path("192.0.2.1", 4500, "192.0.2.2", 4500)
EAST = Path("192.0.2.2", 4500, "192.0.2.1", 4500)
HERE, THERE = "198.18.1.0/24", "198.18.2.0/24"
SPI_IN, SPI_OUT = 0x1234_5678, 0x0BAD_CAFE


def make(provider: str = "libcrypto", *, inproc: bool = True, capacity: int = 64) -> Engine:
    return make_engine(providers=PROVIDERS[provider], inproc=inproc, capacity=capacity, algorithms=ALGORITHMS)


def network(text: str, protocol: int = 0, ports: tuple[int, int] = (0, 65535)) -> Selector:
    found = ipaddress.ip_network(text)
    return Selector(found[0].packed, found[-1].packed, protocol, *ports)


def key_material(suite: EspSuite, seed: int) -> ChildKeys:
    cipher = ALGORITHMS.cipher(suite.encr_id, suite.key_bits)
    assert cipher is not None
    integ = ALGORITHMS.integs.get(suite.integ_id)
    length = cipher.key_bits // 8 + (integ.key_len if integ else 0)
    return ChildKeys(Secret(bytes([seed]) * length), Secret(bytes([seed + 1]) * cipher.salt_len))


def esp_key(suite: EspSuite, seed: int) -> EspKey:
    cipher, keys = ALGORITHMS.cipher(suite.encr_id, suite.key_bits), key_material(suite, seed)
    assert cipher is not None
    return EspKey(cipher, ALGORITHMS.integs.get(suite.integ_id), keys.key.reveal(), keys.salt.reveal())


def child(handle: int = 1, **changes: object) -> ChildSpec:
    """Keys with seed 10 protect what comes in, with seed 20 what goes out."""
    suite = changes.pop("suite", GCM)
    assert isinstance(suite, EspSuite)
    values: dict[str, object] = {
        "peer": "hq",
        "child": "lan",
        "spi_in": SPI_IN,
        "spi_out": SPI_OUT,
        "suite": suite,
        "keys_in": key_material(suite, 10),
        "keys_out": key_material(suite, 20),
        "path": WEST,
        "encap": True,
        "mode": "tunnel",
        "local_ts": (network(HERE),),
        "remote_ts": (network(THERE),),
    }
    return ChildSpec(handle=handle, **(values | changes))  # type: ignore[arg-type]


def mirror(spec: ChildSpec, **changes: object) -> ChildSpec:
    """The same Child SA as its other end installs it."""
    values: dict[str, object] = {
        "suite": spec.suite,
        "spi_in": spec.spi_out,
        "spi_out": spec.spi_in,
        "keys_in": spec.keys_out,
        "keys_out": spec.keys_in,
        "path": EAST,
        "local_ts": spec.remote_ts,
        "remote_ts": spec.local_ts,
        "window": spec.window,
    }
    return child(spec.handle, **(values | changes))


def ipv4(source: str, destination: str, payload: bytes = b"payload", protocol: int = 17, **fields: int) -> bytes:
    """An IPv4 packet; ``fields`` may set ``first`` (version and IHL), ``total`` and ``fragment`` to any value."""
    head = struct.pack(
        ">BBHHHBBH",
        fields.get("first", 0x45),
        0,
        fields.get("total", 20 + len(payload)),
        7,
        fields.get("fragment", 0),
        64,
        protocol,
        0,
    )
    return head + ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address(destination).packed + payload


def ipv6(source: str, destination: str, payload: bytes = b"payload", protocol: int = 17, **fields: int) -> bytes:
    head = struct.pack(">IHBB", 6 << 28, fields.get("plen", len(payload)), protocol, 64)
    return head + ipaddress.IPv6Address(source).packed + ipaddress.IPv6Address(destination).packed + payload


def udp(sport: int, dport: int, data: bytes = b"data") -> bytes:
    return struct.pack(">HHHH", sport, dport, 8 + len(data), 0) + data


def inbound(payload: bytes = b"payload") -> bytes:
    """A packet that the default child lets in."""
    return ipv4("198.18.2.7", "198.18.1.9", udp(1000, 2000, payload))


def outbound(payload: bytes = b"payload") -> bytes:
    return ipv4("198.18.1.9", "198.18.2.7", udp(2000, 1000, payload))


@dataclass(slots=True)
class Lane:
    """A plane with one inbound SA, and the key to make packets for it."""

    engine: Engine
    key: EspKey
    spec: ChildSpec

    def packet(self, number: int, body: bytes, next_header: int = 4, tail: bytes | None = None) -> bytes:
        """ESP around ``body``; ``tail`` replaces the proper padding and trailer."""
        end = trailer(self.key, len(body), next_header) if tail is None else tail
        iv = number.to_bytes(8, "big").rjust(self.key.iv_len, b"\0") if self.key.iv_len else b""
        return seal(self.key, self.spec.spi_in, number, iv, body + end, esn=self.spec.suite.esn)

    def put(self, *packets: bytes, path: Path = WEST) -> list[bytes]:
        self.engine.receive_outer(path, packets)
        return list(self.engine.recv_inner(len(packets) + 1))

    def drops(self) -> dict[str, int]:
        counted = self.engine.counters().items()
        return {name.removeprefix("drop_"): n for name, n in counted if name.startswith("drop_") and n}


def lane(provider: str = "libcrypto", **changes: object) -> Lane:
    engine, spec = make(provider), child(**changes)
    engine.install(spec)
    return Lane(engine, esp_key(spec.suite, 10), spec)


def reference(spec: ChildSpec, own: Sequence[bytes] = ()) -> Receiver:
    window = Window(spec.window, esn=spec.suite.esn)
    return Receiver(esp_key(spec.suite, 10), spec.spi_in, window, Traffic(spec.local_ts, spec.remote_ts, own))


def expected(receiver: Receiver, packets: Iterable[bytes]) -> tuple[list[bytes], dict[str, int]]:
    """What the reference delivers, and what it drops by name."""
    delivered: list[bytes] = []
    dropped: dict[str, int] = {}
    for packet in packets:
        try:
            delivered.append(receiver.receive(packet))
        except Refused as refused:
            dropped[refused.name] = dropped.get(refused.name, 0) + 1
    return delivered, dropped

"""The twelve measurements that the first version of Fynx promised, over real work.

Messages are encoded and parsed, the key exchange is X25519, the replay window is on, and the handshake is a whole one:
IKE_SA_INIT and IKE_AUTH of both sides, until both have their Child SA. All of it on one thread, without sockets.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from random import Random

from benches.esp import SUITES, inner_packet
from benches.handshake import configuration
from benches.result import RUNS, Result
from fynx import __version__
from fynx.esp.engine import make_engine
from fynx.ike.effects import Initiate
from fynx.ike.keymat import derive_child, derive_ike
from fynx.ike.protect import IkeSuite
from fynx.ike.tasks import CORE
from fynx.kernel.loader import boot
from fynx.plugin import ChildKeys, ChildSpec, Path, Policy, Secret, Selector
from fynx.run.policy import host_policy
from fynx.sim.clock import Clock
from fynx.sim.nat import Address
from fynx.sim.node import Host, Node
from fynx.sim.trace import Trace
from fynx.wire.encap import Kind, classify

SUITE = "aes128gcm16-prfsha256-x25519"
HERE, THERE = "192.0.2.1", "192.0.2.2"
ROUND_S = 0.1
AES_128_GCM = SUITES["aes128gcm16"]


def run() -> Result:
    """Microseconds for one of each."""
    result = Result("checklist")
    for name, work in measurements().items():
        result.add(name, "fynx", __version__, [microseconds(work) for _ in range(RUNS)], "us")
    return result


def microseconds(work: Callable[[], float]) -> float:
    """``work`` tells the seconds that it took itself, so that what it prepares does not count."""
    spent, rounds, end = 0.0, 0, time.perf_counter() + ROUND_S
    while rounds < 3 or time.perf_counter() < end:
        spent += work()
        rounds += 1
    return spent / rounds * 1e6


def measurements() -> dict[str, Callable[[], float]]:
    pair = Pair()
    found = {
        "ike_sa_init/create_request": pair.create_request,
        "ike_sa_init/process_request": pair.process_request,
        "key_derivation/derive_ike_keys": ike_keys(pair),
        "key_derivation/derive_child_sa_keys": child_keys(pair),
    }
    for size in (64, 512, 1500):
        found[f"esp_encryption/encrypt_{size}bytes"] = Esp(size).seal
    for size in (64, 1500):
        found[f"esp_decryption/decrypt_{size}bytes"] = Esp(size).open
    return found | datagrams() | {"full_handshake/ike_sa_init_and_auth": pair.handshake}


@dataclass(slots=True)
class Pair:
    """Two hosts of the simulator on a network that is a list."""

    wire: list[tuple[Path, bytes]] = field(default_factory=list)

    def nodes(self) -> tuple[Node, Node]:
        return self._node("initiator", HERE), self._node("responder", THERE)

    def create_request(self) -> float:
        left, _ = self.nodes()
        return timed(lambda: self._begin(left))

    def process_request(self) -> float:
        left, right = self.nodes()
        self._begin(left)
        path, data = self.wire.pop()
        return timed(lambda: right.arrive(path, data))

    def handshake(self) -> float:
        left, right = self.nodes()

        def whole() -> None:
            self._begin(left)
            while self.wire:
                path, data = self.wire.pop(0)
                (left if path.local == HERE else right).arrive(path, data)

        took = timed(whole)
        if not (left.plane.children and right.plane.children):
            raise RuntimeError("the handshake did not end with a Child SA")
        return took

    def suite(self) -> IkeSuite:
        left, right = self.nodes()
        self._begin(left)
        right.arrive(*self.wire.pop())
        return next(iter(right.endpoint.sas.values())).suite  # type: ignore[return-value]

    def _begin(self, node: Node) -> None:
        self.wire.clear()
        node.command(Initiate("peer1", Path(HERE, 500, THERE, 500), ("net",)))

    def _node(self, name: str, address: str) -> Node:
        initiator = name == "initiator"
        config = configuration(initiator=initiator, suite=SUITE, own_port=500, other_port=500)
        registry = config.registry
        policy = host_policy(config, registry, resolve={})
        host = Host(name, (address,), policy, registry.algorithms, registry.auth_methods, (CORE,))
        return Node(host, Clock(), Trace(), self._send, Random(name))

    def _send(self, _node: Node, source: Address, destination: Address, data: bytes) -> None:
        path = Path(destination[0], destination[1], source[0], source[1])
        self.wire.append((path, data))


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ike_keys(pair: Pair) -> Callable[[], float]:
    suite = pair.suite()
    return lambda: timed(lambda: derive_ike(suite, bytes(32), bytes(32), bytes(8), bytes(8), bytes(32)))


def child_keys(pair: Pair) -> Callable[[], float]:
    prf = pair.suite().prf
    return lambda: timed(lambda: derive_child(prf, bytes(32), bytes(32), bytes(32), 16, 4, 0))


class Esp:
    """One packet at a time through the plane, one crossing each: policy, SA, header, seal; window, open, selectors."""

    def __init__(self, size: int) -> None:
        self._packet = inner_packet(size)
        registry = boot(["default"])
        self._from = make_engine(providers=list(registry.providers), inproc=True, capacity=64)
        self._to = make_engine(providers=list(registry.providers), inproc=True, capacity=64)
        own, other = selector("198.51.100.1"), selector("203.0.113.1")
        spis = self._from.reserve_spi(), self._to.reserve_spi()
        for engine, spi_in, spi_out, near, far in (
            (self._from, spis[0], spis[1], own, other),
            (self._to, spis[1], spis[0], other, own),
        ):
            engine.start()
            engine.install(child(spi_in, spi_out, near, far))
            engine.policies([Policy("protect", (near,), (far,), 100, "bench", "bench")])

    def seal(self) -> float:
        return timed(lambda: self._from.send_inner([self._packet]))

    def open(self) -> float:
        ((_, sealed),) = self._from.send_inner([self._packet])
        path, found = Path(THERE, 4500, HERE, 4500), list[bytes]()

        def receive() -> None:
            self._to.receive_outer(path, [sealed])
            found.extend(self._to.recv_inner())

        took = timed(receive)
        if found != [self._packet]:
            raise RuntimeError("the packet did not come out as it went in")
        return took


def selector(address: str) -> Selector:
    octets = ip_address(address).packed
    return Selector(octets, octets)


def child(spi_in: int, spi_out: int, near: Selector, far: Selector) -> ChildSpec:
    keys = ChildKeys(Secret(bytes(range(16))), Secret(bytes(4)))
    path = Path(HERE, 4500, THERE, 4500)
    return ChildSpec(
        1, "bench", "bench", spi_in, spi_out, AES_128_GCM, keys, keys, path, True, "tunnel", (near,), (far,)
    )


def datagrams() -> dict[str, Callable[[], float]]:
    """An ESP datagram of 1500 octets from its parts, and taken for what it is with its SPI and sequence number."""
    iv, ciphertext, icv = bytes(8), bytes(1500 - 8 - 8 - 16), bytes(16)

    def to_bytes() -> bytes:
        return b"".join((struct.pack("!II", 0x1000, 1), iv, ciphertext, icv))

    def from_bytes() -> tuple[int, int]:
        kind, data = classify(datagram, encapsulated=True)
        if kind is not Kind.ESP:
            raise RuntimeError("not taken for ESP")
        spi, sequence = struct.unpack_from("!II", data)
        return spi, sequence

    datagram = to_bytes()
    return {
        "esp_serialization/to_bytes": lambda: timed(to_bytes),
        "esp_serialization/from_bytes": lambda: timed(from_bytes),
    }

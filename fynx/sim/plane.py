"""A data plane in memory: records what was installed, and carries real ESP packets of the Child SAs (RFC 4303).

Small and slow; it knows no replay window but the highest sequence number, which is what path updates need.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from fynx.errors import CryptoError, FynxError
from fynx.plugin.crypto import Algorithms, Cipher
from fynx.plugin.dataplane import ChildKeys, ChildSpec, PathSeen
from fynx.plugin.transport import Path

LOWEST_SPI = 256
HEADER_LEN = 8
TUNNEL_V4 = 4
EARLY = 64
"""Packets that wait for their SA, as in the planes in C."""


@dataclass(slots=True)
class Installed:
    """A Child SA of this plane. ``received`` are the packets that verified, in order of arrival."""

    spec: ChildSpec
    path: Path
    encap: bool
    outbound: bool
    sequence_out: int = 0
    highest_in: int = 0
    seen: set[int] = field(default_factory=set)
    """Sequence numbers that verified: a window without an end."""
    received: list[bytes] = field(default_factory=list)


class MemoryPlane:
    """What ``fynx.plugin.Plane`` asks, as far as the core calls it. ``refuse``: set to make ``install`` fail."""

    def __init__(self, algorithms: Algorithms, random: Random, path_seen: Callable[[PathSeen], None]) -> None:
        self._algorithms, self._random, self._path_seen = algorithms, random, path_seen
        self.reserved: list[int] = []
        self.children: dict[int, Installed] = {}
        self.history: list[ChildSpec] = []
        """Every Child SA that was ever installed."""
        self.early: list[tuple[Path, bytes]] = []
        """Packets for an SPI that is reserved, until its SA is installed."""
        self.drops: dict[str, int] = {}
        self.refuse: FynxError | None = None
        self.unknown_spi: Callable[[Path, int], None] | None = None

    def reserve_spi(self) -> int:
        taken = [*self.reserved, *(one.spec.spi_in for one in self.children.values())]
        while (spi := self._random.randrange(LOWEST_SPI, 2**32)) in taken:
            pass
        self.reserved.append(spi)
        return spi

    def release_spi(self, spi: int) -> None:
        if spi in self.reserved:
            self.reserved.remove(spi)
            self.early = [one for one in self.early if int.from_bytes(one[1][:4], "big") != spi]

    def install(self, child: ChildSpec) -> None:
        if self.refuse is not None:
            raise self.refuse
        if child.spi_in not in self.reserved or child.handle in self.children:
            raise FynxError(f"SPI {child.spi_in:08x} or handle {child.handle} was not ours to install")
        self.reserved.remove(child.spi_in)
        self.children[child.handle] = Installed(child, child.path, child.encap, child.outbound)
        self.history.append(child)
        waited = [one for one in self.early if int.from_bytes(one[1][:4], "big") == child.spi_in]
        self.early = [one for one in self.early if one not in waited]
        for path, data in waited:
            self.receive(path, data)

    def activate(self, handle: int) -> None:
        child = self.children.pop(handle)
        child.outbound = True
        self.children[handle] = child  # the last of those that send is the one that does

    def move(self, handle: int, path: Path, encap: bool) -> None:
        child = self.children[handle]
        child.path, child.encap = path, encap

    def remove(self, handle: int) -> None:
        self.children.pop(handle, None)

    # Packets.

    def seal(self, handle: int, packet: bytes) -> tuple[Path, bytes]:
        """One ESP packet, and where it goes. Raises ``FynxError`` where the child may not send."""
        child = self.children[handle]
        if not child.outbound:
            raise FynxError(f"child {handle} does not send yet")
        child.sequence_out += 1
        spec = child.spec
        head = spec.spi_out.to_bytes(4, "big") + child.sequence_out.to_bytes(4, "big")
        return child.path, self._sealed(spec, spec.keys_out, head, child.sequence_out, packet)

    def receive(self, path: Path, data: bytes) -> None:
        """An ESP packet from the network: delivered to its child, or counted."""
        spi, sequence = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")
        child = next((one for one in self.children.values() if one.spec.spi_in == spi), None)
        if child is None and spi in self.reserved and len(self.early) < EARLY:
            self.early.append((path, data))  # the answer that brings its SA is on its way
            return
        if child is None:
            self._drop("unknown_spi")
            if self.unknown_spi is not None:
                self.unknown_spi(path, spi)
            return
        try:
            packet = self._opened(child.spec, child.spec.keys_in, data)
        except CryptoError:
            self._drop("integrity")
            return
        if sequence in child.seen:
            self._drop("replay")
            return
        child.seen.add(sequence)
        child.received.append(packet)
        if sequence <= child.highest_in:
            return
        child.highest_in = sequence
        if (path.remote, path.remote_port) != (child.path.remote, child.path.remote_port):
            self._path_seen(PathSeen(child.spec.handle, path))

    def _drop(self, reason: str) -> None:
        self.drops[reason] = self.drops.get(reason, 0) + 1

    def _sealed(self, spec: ChildSpec, keys: ChildKeys, head: bytes, sequence: int, packet: bytes) -> bytes:
        cipher, enc_len, integ_key = self._parts(spec, keys)
        block = max(cipher.block_len, 4)
        pad = -(len(packet) + 2) % block
        plain = packet + bytes(range(1, pad + 1)) + bytes((pad, TUNNEL_V4))
        iv = sequence.to_bytes(8, "big") if cipher.aead else self._random.randbytes(cipher.iv_len)
        key = cipher.key(keys.key.reveal()[:enc_len] + keys.salt.reveal())
        if cipher.aead:
            return head + iv[: cipher.iv_len] + key.seal(iv, plain, head)
        sealed = head + iv + key.seal(iv, plain, b"")
        return sealed + self._algorithms.integs[spec.suite.integ_id].mac(integ_key, sealed)

    def _opened(self, spec: ChildSpec, keys: ChildKeys, data: bytes) -> bytes:
        cipher, enc_len, integ_key = self._parts(spec, keys)
        key = cipher.key(keys.key.reveal()[:enc_len] + keys.salt.reveal())
        head, iv, body = data[:HEADER_LEN], data[HEADER_LEN:][: cipher.iv_len], data[HEADER_LEN + cipher.iv_len :]
        if cipher.aead:
            plain = key.open(iv or bytes(4) + head[4:], body, head)
        else:
            integ = self._algorithms.integs[spec.suite.integ_id]
            cut = len(data) - integ.icv_len
            if not hmac.compare_digest(integ.mac(integ_key, data[:cut]), data[cut:]):
                raise CryptoError("wrong ICV")
            plain = key.open(iv, body[: len(body) - integ.icv_len], b"")
        return plain[: len(plain) - 2 - plain[-2]]

    def _parts(self, spec: ChildSpec, keys: ChildKeys) -> tuple[Cipher, int, bytes]:
        cipher = self._algorithms.cipher(spec.suite.encr_id, spec.suite.key_bits)
        if cipher is None:
            raise FynxError(f"no cipher {spec.suite.encr_id} of {spec.suite.key_bits} bits")
        enc_len = cipher.key_bits // 8
        return cipher, enc_len, keys.key.reveal()[enc_len:]

"""Checks of a ``Provider``: ``struct fynx_aead_ops`` of ``fynx.h``, and the memory around its buffers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fynx.errors import CryptoError
from fynx.esp._plane import ffi, lib
from fynx.esp.ops import CALLS, OpsInfo, ops_info, ops_open, ops_seal
from fynx.plugin.agreement import check_agreement
from fynx.plugin.crypto import Cipher
from fynx.plugin.selftest import OpsPacket, check_ops, flip, has_answers, stream
from fynx.testing.kit.abi import Ops, ops_key, there_and_back
from fynx.testing.kit.ciphers import together
from fynx.testing.kit.subject import Check, Refused, Subject
from fynx.testing.kit.vectors import ALGORITHMS, vectors

FUNCTIONS = ("key_new", "key_free", "thr_new", "thr_free", "seal", "open")
GUARD, FILL = 64, 0xA5
CYCLES, GROWTH = 20000, 1 << 20
SIZES = (0, 1, 16, 100, 1400, 33, 64)


@dataclass(frozen=True, slots=True)
class Offered:
    """One ops: whose, for which cipher, with which integrity algorithm."""

    provider: str
    address: int
    cipher: Cipher
    integ_id: int
    integ_len: int

    @property
    def key(self) -> bytes:
        return stream(self.cipher.key_bits // 8 + self.integ_len, b"key")

    @property
    def salt(self) -> bytes:
        return stream(self.cipher.salt_len, b"salt")

    def packet(self, length: int) -> OpsPacket:
        rounded = length - length % max(1, self.cipher.block_len)
        return OpsPacket(stream(self.cipher.iv_len, b"iv"), stream(8, b"aad"), stream(rounded, b"plain"))


def ops_checks(subject: Subject) -> Iterator[Check]:
    for name in subject.owned("provider"):
        found = list(_offered(subject, name))
        yield Check(f"{name}: offers something", partial(_something, name, found))
        for one in found:
            word = f"{name}, {one.cipher.keyword}" + (f" with integrity {one.integ_id}" if one.integ_id else "")
            yield Check(f"{word}: structure", partial(_structure, one))
            yield Check(f"{word}: in place and inside its buffers", partial(_guarded, one))
            yield Check(f"{word}: answers, forgeries, batches", partial(_trust, one))
            yield Check(f"{word}: Wycheproof", partial(_wycheproof, subject, one))
            yield Check(f"{word}: threads", partial(_threads, one))
            yield Check(f"{word}: wrong keys", partial(_wrong_keys, one))
            yield Check(f"{word}: leaks", partial(_leaks, one))


def _offered(subject: Subject, name: str) -> Iterator[Offered]:
    algorithms = subject.registry.algorithms
    provider = next(one for one in subject.registry.providers if one.name == name)
    for cipher in algorithms.ciphers.values():
        integs = [(0, 0)] if cipher.aead else [(one.transform_id, one.key_len) for one in algorithms.integs.values()]
        for integ_id, integ_len in integs:
            address = provider.ops(cipher.transform_id, cipher.key_bits, integ_id) if cipher.esp else 0
            if address:
                yield Offered(name, address, cipher, integ_id, integ_len)


def _something(name: str, found: Sequence[Offered]) -> None:
    if not found:
        raise Refused(f"provider {name} has no algorithm that this Fynx knows: is its library missing?")


def _structure(one: Offered) -> None:
    """What the structure says is what the ``Cipher`` of the same transform says."""
    info = ops_info(one.address)
    wanted = {
        "encr_id": one.cipher.transform_id,
        "integ_id": one.integ_id,
        "key_len": len(one.key),
        "salt_len": one.cipher.salt_len,
        "iv_len": one.cipher.iv_len,
    }
    if one.cipher.aead:
        wanted["icv_len"] = one.cipher.icv_len
    for field, value in wanted.items():
        if getattr(info, field) != value:
            raise Refused(f"says {field} = {getattr(info, field)} where the algorithm has {value}")
    if info.block < 4 or info.block % 4:
        raise Refused(f"says block = {info.block}: ESP pads to a multiple of 4 (RFC 4303 section 2.4)")
    missing = [name for name in FUNCTIONS if not getattr(Ops.from_address(one.address), name)]
    if missing:
        raise Refused(f"leaves {', '.join(missing)} empty")


def _trust(one: Offered) -> None:
    suite = one.cipher.transform_id, one.cipher.key_bits, one.integ_id
    if has_answers(*suite):
        check_ops(one.address, *suite, CALLS)
    else:
        check_agreement(one.address, one.cipher, CALLS)


def _wycheproof(subject: Subject, one: Offered) -> None:
    cipher = one.cipher
    algorithm = subject.vectors.get(cipher.keyword) or ALGORITHMS.get(cipher.transform_id)
    for vector in vectors(algorithm, cipher) if algorithm else ():
        salt, iv = vector.nonce[: cipher.salt_len], vector.nonce[cipher.salt_len :]
        if len(vector.aad) not in (8, 12):
            continue  # ESP has no other, and an ops may rely on it
        if not vector.valid:
            _must_fail(one, vector.number, (vector.key, salt, iv, vector.aad, vector.sealed))
        elif ops_seal(one.address, vector.key, salt, iv, vector.aad, vector.plain) != vector.sealed:
            raise Refused(f"Wycheproof {algorithm} {vector.number}: the known answer differs")


def _must_fail(one: Offered, number: int, given: tuple[bytes, bytes, bytes, bytes, bytes]) -> None:
    try:
        ops_open(one.address, *given)
    except CryptoError:
        return
    raise Refused(f"Wycheproof {number}: a forged packet is accepted")


def _guarded(one: Offered) -> None:
    """A batch, in place and from one buffer to another, one bad packet in each position: nothing around is written."""
    info = ops_info(one.address)
    plain = [one.packet(size) for size in SIZES]
    for in_place in (True, False):
        sealed = _batch(one, info, plain, (False, in_place))
        texts = [text for text in sealed if text is not None]
        if len(texts) != len(plain):
            raise Refused("a batch lost packets while sealing")
        closed = [OpsPacket(packet.iv, packet.aad, text) for packet, text in zip(plain, texts, strict=True)]
        for bad in range(len(closed)):
            tried = list(closed)
            tried[bad] = OpsPacket(tried[bad].iv, tried[bad].aad, flip(tried[bad].text, len(tried[bad].text) - 1))
            opened = _batch(one, info, tried, (True, in_place))
            wanted = [None if place == bad else packet.text for place, packet in enumerate(plain)]
            if list(opened) != wanted:
                raise Refused(f"a batch with a bad packet in position {bad}: others suffer, or it passes")


def _batch(one: Offered, info: OpsInfo, packets: Sequence[OpsPacket], how: tuple[bool, bool]) -> Sequence[bytes | None]:
    opening, in_place = how
    structs = ffi.new("struct fynx_packet[]", len(packets))
    held: list[tuple[Any, Any, int]] = []
    keep: list[object] = []
    for struct, packet in zip(structs, packets, strict=True):
        length = len(packet.text) - (info.icv_len if opening else 0)
        room = length + (0 if opening else info.icv_len)
        source = _memory(len(packet.text) if not in_place else max(room, len(packet.text)), packet.text)
        target = source if in_place else _memory(room, b"")
        aad, iv = ffi.from_buffer("uint8_t[]", packet.aad), ffi.from_buffer("uint8_t[]", packet.iv)
        keep += [source, aad, iv]
        setattr(struct, "in", source + GUARD)
        struct.out, struct.len = target + GUARD, length
        struct.aad, struct.aad_len, struct.iv = aad, len(packet.aad), iv
        held.append((struct, target, max(room, len(packet.text)) if in_place else room))
    if lib.fynx_ops_batch(one.address, one.key, one.salt, structs, len(packets), int(opening)):
        raise Refused("the key is refused")
    return [_result(*each, 0 if opening else info.icv_len) for each in held]


def _memory(size: int, text: bytes) -> Any:
    made = ffi.new("uint8_t[]", size + 2 * GUARD)
    ffi.buffer(made)[:] = bytes([FILL]) * (size + 2 * GUARD)
    ffi.memmove(made + GUARD, text, len(text))
    return made


def _result(struct: Any, memory: Any, size: int, grown: int) -> bytes | None:
    octets = bytes(ffi.buffer(memory))
    guard = bytes([FILL]) * GUARD
    if octets[:GUARD] != guard or octets[GUARD + size :] != guard:
        raise Refused(f"writes outside of its buffer of {size} octets")
    return None if struct.rc else octets[GUARD : GUARD + struct.len + grown]


def _threads(one: Offered) -> None:
    """One key object, a thread object for each thread, as the plane uses them."""
    key = ops_key(one.address, one.key, one.salt)
    wrong: list[str] = []

    def work(number: int) -> None:
        try:
            there_and_back(one.address, key, one.packet(512), number)
        except Refused as error:
            wrong.append(str(error))

    together(work)
    Ops.from_address(one.address).key_free(key)
    if wrong:
        raise Refused(f"several threads with one key: {wrong[0]}")


def _wrong_keys(one: Offered) -> None:
    for wrong in (one.key[:-1], one.key + b"\0"):
        made = ops_key(one.address, wrong, one.salt)
        if made:
            Ops.from_address(one.address).key_free(made)
            raise Refused(f"key_new takes a key of {len(wrong)} octets where {len(one.key)} belong")


def _leaks(one: Offered) -> None:
    ops = Ops.from_address(one.address)

    def use(count: int) -> None:
        for _ in range(count):
            key = ops_key(one.address, one.key, one.salt)
            ops.thr_free(ops.thr_new(key))
            ops.key_free(key)

    use(CYCLES // 10)
    before = _resident()
    use(CYCLES)
    grown = _resident() - before
    if grown > GROWTH:
        raise Refused(f"{CYCLES} keys made and freed leave {grown // 1024} KiB behind")


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


__all__ = ["ops_checks"]

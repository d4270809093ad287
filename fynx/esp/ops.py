"""A provider's operations (``struct fynx_aead_ops`` of ``fynx.h``) from Python: known answers and measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fynx.errors import CryptoError
from fynx.esp._plane import ffi, lib
from fynx.plugin.selftest import OpsCalls, OpsPacket

ABI = 1
SLOW = 2
MAX_BATCH = 64


@dataclass(frozen=True, slots=True)
class OpsInfo:
    """What an ops says of itself; sizes in octets. ``slow``: it crosses into Python."""

    name: str
    provider: str
    encr_id: int
    integ_id: int
    key_len: int
    salt_len: int
    iv_len: int
    icv_len: int
    block: int
    slow: bool


def ops_info(address: int) -> OpsInfo:
    """Raises ``CryptoError`` for another ABI version or a structure that is too small."""
    ops = ffi.cast("struct fynx_aead_ops *", address)
    if address == 0 or ops.abi != ABI or ops.size < ffi.offsetof("struct fynx_aead_ops", "user"):
        raise CryptoError("the operations of a provider have another ABI")
    return OpsInfo(
        name=ffi.string(ops.name).decode("ascii", "replace"),
        provider=ffi.string(ops.provider).decode("ascii", "replace"),
        encr_id=ops.encr_id,
        integ_id=ops.integ_id,
        key_len=ops.key_len,
        salt_len=ops.salt_len,
        iv_len=ops.iv_len,
        icv_len=ops.icv_len,
        block=ops.block,
        slow=bool(ops.flags & SLOW),
    )


def ops_seal(address: int, key: bytes, salt: bytes, iv: bytes, aad: bytes, plain: bytes) -> bytes:
    """Ciphertext | ICV of one packet. Raises ``CryptoError``."""
    info = _checked(address, key, salt, iv)
    out = ffi.new("uint8_t[]", len(plain) + info.icv_len)
    if lib.fynx_ops_seal1(address, key, salt, iv, aad, len(aad), plain, len(plain), out):
        raise CryptoError("a provider refused to seal")
    return bytes(ffi.buffer(out))


def ops_open(address: int, key: bytes, salt: bytes, iv: bytes, aad: bytes, sealed: bytes) -> bytes:
    """Plaintext of one packet, ``sealed`` being ciphertext | ICV. Raises ``CryptoError``."""
    info = _checked(address, key, salt, iv)
    length = len(sealed) - info.icv_len
    if length < 0:
        raise CryptoError("shorter than its ICV")
    out = ffi.new("uint8_t[]", max(length, 1))
    if lib.fynx_ops_open1(address, key, salt, iv, aad, len(aad), sealed, length, out):
        raise CryptoError("integrity check failed")
    return bytes(ffi.buffer(out, length))


def ops_batch(
    address: int, key: bytes, salt: bytes, packets: Sequence[OpsPacket], opening: bool
) -> Sequence[bytes | None]:
    """All packets in place in one call; None for each that the ops refused."""
    info = _checked(address, key, salt, packets[0].iv if packets else bytes(16))
    structs = ffi.new("struct fynx_packet[]", len(packets))
    keep: list[object] = []
    for struct, packet in zip(structs, packets, strict=True):
        length = len(packet.text) - (info.icv_len if opening else 0)
        memory = ffi.new("uint8_t[]", length + info.icv_len)
        ffi.memmove(memory, packet.text, len(packet.text))
        aad, iv = ffi.from_buffer("uint8_t[]", packet.aad), ffi.from_buffer("uint8_t[]", packet.iv)
        keep += [memory, aad, iv]
        setattr(struct, "in", memory)
        struct.out, struct.len = memory, length
        struct.aad, struct.aad_len, struct.iv = aad, len(packet.aad), iv
    if lib.fynx_ops_batch(address, key, salt, structs, len(packets), int(opening)):
        raise CryptoError("a provider refused the key")
    grown = 0 if opening else info.icv_len
    return [None if struct.rc else bytes(ffi.buffer(struct.out, struct.len + grown)) for struct in structs]


CALLS = OpsCalls(ops_seal, ops_open, ops_batch)
"""How ``fynx.plugin.selftest.check_ops`` reaches an ops."""


def bench_loop(address: int, size: int, batch: int, count: int) -> int:
    """Nanoseconds for sealing ``count`` packets of ``size`` octets, ``batch`` (at most 64) in each call of the ops."""
    info = ops_info(address)
    taken = int(lib.fynx_bench_loop(address, bytes(range(256))[: info.key_len], bytes(4), size, batch, count))
    if taken < 0:
        raise CryptoError("the measurement could not run")
    return taken


def _checked(address: int, key: bytes, salt: bytes, iv: bytes) -> OpsInfo:
    info = ops_info(address)
    if (len(key), len(salt), len(iv)) != (info.key_len, info.salt_len, info.iv_len):
        raise CryptoError("key, salt or IV of another length than the operations want")
    return info


__all__ = ["CALLS", "OpsInfo", "bench_loop", "ops_batch", "ops_info", "ops_open", "ops_seal"]

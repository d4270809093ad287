"""Drives a ``struct fynx_aead_ops`` by its address, for the tests of providers: ABI-level cffi, nothing compiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cffi import FFI

from fynx.plugin import CryptoError
from fynx.plugin.selftest import OpsCalls, OpsPacket

ffi = FFI()
ffi.cdef(
    """
    struct fynx_packet {
      const uint8_t *in; uint8_t *out; uint32_t len; uint32_t aad_len; const uint8_t *aad; const uint8_t *iv;
      int32_t rc; uint32_t reserved;
    };
    struct fynx_aead_ops {
      uint32_t abi, size; const char *name; const char *provider; uint16_t encr_id, integ_id, key_len;
      uint8_t salt_len, iv_len, icv_len, block; uint16_t reserved; uint32_t flags;
      void *(*key_new)(const struct fynx_aead_ops *ops, const uint8_t *key, size_t key_len, const uint8_t *salt);
      void (*key_free)(void *key);
      void *(*thr_new)(void *key);
      void (*thr_free)(void *thr);
      void (*seal)(void *thr, struct fynx_packet *packets, uint32_t n);
      void (*open)(void *thr, struct fynx_packet *packets, uint32_t n);
      void *user;
      size_t key_room;
      int (*key_put)(const struct fynx_aead_ops *ops, void *where, const uint8_t *key, size_t key_len,
                     const uint8_t *salt);
    };
    """
)

GUARD = 32
CANARY = 0xC5


class Ops:
    """An ops at an address; every buffer stands between canaries, at an odd address."""

    def __init__(self, address: int) -> None:
        self.raw: Any = ffi.cast("struct fynx_aead_ops *", address)

    def key(self, key: bytes, salt: bytes) -> Any:
        made = self.raw.key_new(self.raw, key, len(key), salt)
        if made == ffi.NULL:
            raise CryptoError("key_new refused")
        return ffi.gc(made, self.raw.key_free)

    def thread(self, key: Any) -> Any:
        made = self.raw.thr_new(key)
        assert made != ffi.NULL
        free = self.raw.thr_free

        def destroy(thread: Any, _key: Any = key) -> None:  # the key lives as long as what uses it
            free(thread)

        return ffi.gc(made, destroy)

    def run(
        self, thread: Any, packets: Sequence[OpsPacket], *, opening: bool, in_place: bool, keep_wiped: bool = False
    ) -> list[bytes | None]:
        """One call of the ops; None (or what was left in the buffer) for each refused packet."""
        icv_len = self.raw.icv_len
        array = ffi.new("struct fynx_packet[]", len(packets))
        held, lengths = [], []
        for slot, packet in zip(array, packets, strict=True):
            length = len(packet.text) - icv_len if opening else len(packet.text)
            out_len = length if opening and not in_place else length + icv_len
            out = _guarded(bytes(out_len))
            source = out if in_place else _guarded(packet.text)
            ffi.memmove(source + GUARD, packet.text, len(packet.text))
            aad, iv = ffi.from_buffer(packet.aad), ffi.from_buffer(packet.iv)
            slot.out, slot.len, slot.aad_len, slot.rc = out + GUARD, length, len(packet.aad), 99
            setattr(slot, "in", source + GUARD)
            slot.aad, slot.iv = aad, iv
            held.append((source, out, aad, iv))
            lengths.append((length if opening else length + icv_len, out_len))
        (self.raw.open if opening else self.raw.seal)(thread, array, len(packets))
        results: list[bytes | None] = []
        for slot, (_, out, _, _), (length, out_len) in zip(array, held, lengths, strict=True):
            _check_canaries(out, out_len)
            assert slot.rc != 99, "the ops left rc alone"
            text = bytes(ffi.buffer(out + GUARD, length))
            results.append(text if slot.rc == 0 or keep_wiped else None)
        return results


def _guarded(text: bytes) -> Any:
    memory = ffi.new("uint8_t[]", bytes([CANARY]) * (GUARD + len(text) + GUARD) + b"\0")
    ffi.memmove(memory + GUARD, text, len(text))
    return memory


def _check_canaries(memory: Any, length: int) -> None:
    before = bytes(ffi.buffer(memory, GUARD))
    after = bytes(ffi.buffer(memory + GUARD + length, GUARD))
    assert before == after == bytes([CANARY]) * GUARD, "the ops wrote outside its buffer"


def _single(opening: bool) -> Callable[[int, bytes, bytes, bytes, bytes, bytes], bytes]:
    def call(address: int, key: bytes, salt: bytes, iv: bytes, aad: bytes, text: bytes) -> bytes:
        ops = Ops(address)
        held = ops.key(key, salt)
        (result,) = ops.run(ops.thread(held), [OpsPacket(iv, aad, text)], opening=opening, in_place=False)
        if result is None:
            raise CryptoError("refused")
        return result

    return call


def _batch(
    address: int, key: bytes, salt: bytes, packets: Sequence[OpsPacket], opening: bool
) -> Sequence[bytes | None]:
    ops = Ops(address)
    held = ops.key(key, salt)
    return ops.run(ops.thread(held), packets, opening=opening, in_place=True)


CALLS = OpsCalls(seal=_single(False), open=_single(True), batch=_batch)

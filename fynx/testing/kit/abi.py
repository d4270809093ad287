"""``fynx.h`` as ctypes sees it, to call an ops the way the plane does: one key object, a thread object per thread."""

from __future__ import annotations

import ctypes

from fynx.plugin.selftest import OpsPacket
from fynx.testing.kit.subject import Refused

ROUNDS = 100


class Packet(ctypes.Structure):
    """``struct fynx_packet``."""

    _fields_ = (
        ("source", ctypes.c_void_p),
        ("out", ctypes.c_void_p),
        ("len", ctypes.c_uint32),
        ("aad_len", ctypes.c_uint32),
        ("aad", ctypes.c_void_p),
        ("iv", ctypes.c_void_p),
        ("rc", ctypes.c_int32),
        ("reserved", ctypes.c_uint32),
    )


KEY_NEW = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p)
MADE = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
FREED = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
CRYPT = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(Packet), ctypes.c_uint32)


class Ops(ctypes.Structure):
    """``struct fynx_aead_ops``."""

    _fields_ = (
        ("abi", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("name", ctypes.c_char_p),
        ("provider", ctypes.c_char_p),
        ("encr_id", ctypes.c_uint16),
        ("integ_id", ctypes.c_uint16),
        ("key_len", ctypes.c_uint16),
        ("salt_len", ctypes.c_uint8),
        ("iv_len", ctypes.c_uint8),
        ("icv_len", ctypes.c_uint8),
        ("block", ctypes.c_uint8),
        ("reserved", ctypes.c_uint16),
        ("flags", ctypes.c_uint32),
        ("key_new", KEY_NEW),
        ("key_free", FREED),
        ("thr_new", MADE),
        ("thr_free", FREED),
        ("seal", CRYPT),
        ("open", CRYPT),
        ("user", ctypes.c_void_p),
    )


def ops_key(address: int, key: bytes, salt: bytes) -> int:
    """0 when the ops refuses."""
    return int(Ops.from_address(address).key_new(address, key, len(key), salt) or 0)


def there_and_back(address: int, key: int, packet: OpsPacket, number: int) -> None:
    """Many times on this thread; ``number`` makes its packets differ from those of the others. Raises ``Refused``."""
    ops = Ops.from_address(address)
    plain = packet.text[:-16] + bytes([number]) * 16
    aad, iv = ctypes.create_string_buffer(packet.aad), ctypes.create_string_buffer(packet.iv)
    memory = ctypes.create_string_buffer(plain, len(plain) + ops.icv_len)
    thread = ops.thr_new(key)
    places = ctypes.addressof(aad), ctypes.addressof(iv), ctypes.addressof(memory)
    try:
        for _ in range(ROUNDS):
            for call in (ops.seal, ops.open):
                one = Packet(places[2], places[2], len(plain), len(packet.aad), places[0], places[1], 0, 0)
                call(thread, ctypes.byref(one), 1)
                if one.rc:
                    raise Refused("a good packet is refused")
            if memory.raw[: len(plain)] != plain:
                raise Refused("a packet comes back as another")
    finally:
        ops.thr_free(thread)


__all__ = ["Ops", "Packet", "ops_key", "there_and_back"]

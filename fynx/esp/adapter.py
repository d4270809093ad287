"""The one way from the plane into Python: operations for the C loop made of plugin ``Cipher`` and ``Integ`` objects."""

from __future__ import annotations

import logging
from typing import Protocol

from fynx.errors import CryptoError
from fynx.esp._plane import ffi, lib
from fynx.esp.key import EspKey
from fynx.plugin.crypto import Algorithms

log = logging.getLogger("fynx.esp")


class CPacket(Protocol):
    """``struct fynx_packet`` as cffi shows it; its field ``in`` is a Python keyword."""

    out: object
    len: int
    aad: object
    aad_len: int
    iv: object
    rc: int


class AdaptedOps:
    """Operations of one algorithm pair; keep it alive as long as an SA uses ``address``."""

    def __init__(self, algorithms: Algorithms, encr_id: int, key_bits: int, integ_id: int) -> None:
        """Raises ``CryptoError`` when the host has no such algorithm."""
        cipher = algorithms.cipher(encr_id, key_bits) or algorithms.cipher(encr_id, None)
        integ = algorithms.integs.get(integ_id)
        if cipher is None or not cipher.esp or (cipher.aead and integ_id) or (integ is None and not cipher.aead):
            raise CryptoError(f"no algorithm for encryption {encr_id} ({key_bits} bits), integrity {integ_id}")
        self._cipher, self._integ = cipher, integ
        self._keys: dict[object, object] = {}
        self._handle = ffi.new_handle(self)
        self._name = ffi.new("char[]", cipher.keyword.encode())
        self.address = int(lib.fynx_adapter_new([self._sizes()], [self._calls()]))
        if not self.address:
            raise CryptoError("out of memory")

    def _sizes(self) -> dict[str, object]:
        cipher, integ = self._cipher, self._integ
        return {
            "name": self._name,
            "encr_id": cipher.transform_id,
            "integ_id": integ.transform_id if integ else 0,
            "key_len": cipher.key_bits // 8 + (integ.key_len if integ else 0),
            "salt_len": cipher.salt_len,
            "iv_len": cipher.iv_len,
            "icv_len": integ.icv_len if integ else cipher.icv_len,
            "block": max(4, 1 if cipher.aead else cipher.block_len),
        }

    def _calls(self) -> dict[str, object]:
        return {
            "user": self._handle,
            "key_new": lib.fynx_py_key_new,
            "key_free": lib.fynx_py_key_free,
            "crypt": lib.fynx_py_crypt,
        }

    def key_new(self, key: bytes, salt: bytes) -> object:
        handle: object = ffi.new_handle(EspKey(self._cipher, self._integ, key, salt))
        self._keys[handle] = handle  # a handle lives as long as its object is referred to
        return handle

    def key_free(self, handle: object) -> None:
        self._keys.pop(handle, None)

    @property
    def salt_len(self) -> int:
        return self._cipher.salt_len

    def close(self) -> None:
        """Only when no SA has a key of it any more."""
        lib.fynx_adapter_free(self.address)
        self.address = 0


@ffi.def_extern(name="fynx_py_key_new", error=ffi.NULL)  # type: ignore[untyped-decorator]
def _key_new(user: object, key: object, key_len: int, salt: object) -> object:
    ops: AdaptedOps = ffi.from_handle(user)
    return ops.key_new(bytes(ffi.buffer(key, key_len)), bytes(ffi.buffer(salt, ops.salt_len)) if ops.salt_len else b"")


@ffi.def_extern(name="fynx_py_key_free")  # type: ignore[untyped-decorator]
def _key_free(user: object, key: object) -> None:
    ffi.from_handle(user).key_free(key)


@ffi.def_extern(name="fynx_py_crypt")  # type: ignore[untyped-decorator]
def _crypt(key: object, packets: object, n: int, opening: int) -> None:
    """Each packet starts as failed (rc -1); one that fails leaves the others alone."""
    adapted: EspKey = ffi.from_handle(key)
    array = ffi.cast("struct fynx_packet *", packets)
    for place in range(n):
        try:
            _crypt_one(adapted, array[place], opening=bool(opening))
        except CryptoError:
            continue
        except Exception as error:  # a plugin's bug costs this packet; its text may quote what the packet held
            _complain(adapted, type(error).__name__)


def _complain(key: EspKey, kind: str) -> None:
    """For the 1st, 2nd, 4th, 8th … time: a storm of packets floods no log."""
    key.bugs += 1
    if key.bugs & (key.bugs - 1) == 0:
        log.error("cipher %s raises %s, which is no CryptoError: %d packets lost so far", key.name, kind, key.bugs)


def _crypt_one(key: EspKey, packet: CPacket, *, opening: bool) -> None:
    iv = bytes(ffi.buffer(packet.iv, key.iv_len))
    aad = bytes(ffi.buffer(packet.aad, packet.aad_len))
    given = bytes(ffi.buffer(getattr(packet, "in"), packet.len + (key.icv_len if opening else 0)))
    result = key.open(iv, given, aad) if opening else key.seal(iv, given, aad)
    if len(result) != packet.len + (0 if opening else key.icv_len):
        return
    ffi.memmove(packet.out, result, len(result))
    packet.rc = 0


__all__ = ["AdaptedOps"]

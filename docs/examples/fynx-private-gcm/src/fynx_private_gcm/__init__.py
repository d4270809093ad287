"""AES-GCM under a transform id for private use: in C for ESP, in Python for IKE (RFC 4106, RFC 5282)."""

from __future__ import annotations

import ctypes
from importlib.util import find_spec

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fynx.plugin import Cipher, CryptoError, Provider, hookimpl
from fynx.plugin.selftest import CIPHER_ANSWERS, check_cipher

FYNX_API = 1
FYNX_VECTORS = {"privategcm128": "aes_gcm", "privategcm256": "aes_gcm"}
"""Whose vectors Fynx's conformance kit may use: the transform id says nothing of the algorithm."""

TRANSFORM_ID = 65001  # 1024 to 65535 are for private use (RFC 7296 section 3.3.2)
SALT_LEN, IV_LEN, ICV_LEN = 4, 8, 16
ANSWERS = {128: "aes128gcm16", 256: "aes256gcm16"}


@hookimpl
def fynx_ciphers() -> list[Cipher]:
    return [_cipher(key_bits) for key_bits in ANSWERS]


@hookimpl
def fynx_providers() -> list[Provider]:
    """The C part: an address for each key length, and 0 for all that is not ours."""
    spec = find_spec("fynx_private_gcm._ops")
    if spec is None or spec.origin is None:
        return []
    library = ctypes.CDLL(spec.origin)
    library.private_gcm_ops.restype = ctypes.c_void_p
    library.private_gcm_version.restype = ctypes.c_char_p

    def ops(encr_id: int, key_bits: int, integ_id: int) -> int:
        ours = encr_id == TRANSFORM_ID and not integ_id
        return int(library.private_gcm_ops(key_bits) or 0) if ours else 0

    return [Provider("private_gcm", library.private_gcm_version().decode(), ops, keep=library)]


def fynx_selftest() -> None:
    """The published answers of AES-GCM for ESP (draft-mcgrew-gcm-test); raises CryptoError."""
    for cipher in fynx_ciphers():
        check_cipher(cipher, CIPHER_ANSWERS[ANSWERS[cipher.key_bits]])


def _cipher(key_bits: int) -> Cipher:
    def key(raw: bytes) -> PrivateGcmKey:
        if len(raw) != key_bits // 8 + SALT_LEN:
            raise CryptoError(f"privategcm{key_bits} needs {key_bits // 8 + SALT_LEN} octets of key and salt")
        return PrivateGcmKey(raw)

    return Cipher(f"privategcm{key_bits}", TRANSFORM_ID, key_bits, SALT_LEN, IV_LEN, ICV_LEN, 1, True, key)


class PrivateGcmKey:
    """One key; the nonce is salt | IV (RFC 4106 section 4)."""

    __slots__ = ("_aead", "_salt")

    def __init__(self, raw: bytes) -> None:
        self._aead = AESGCM(raw[:-SALT_LEN])
        self._salt = raw[-SALT_LEN:]

    def seal(self, iv: bytes, plain: bytes, aad: bytes) -> bytes:
        if len(iv) != IV_LEN:
            raise CryptoError("the IV is 8 octets")
        return self._aead.encrypt(self._salt + iv, plain, aad)

    def open(self, iv: bytes, sealed: bytes, aad: bytes) -> bytes:
        if len(iv) != IV_LEN or len(sealed) < ICV_LEN:
            raise CryptoError("too short")
        try:
            return self._aead.decrypt(self._salt + iv, sealed, aad)
        except InvalidTag:
            raise CryptoError("the tag does not verify") from None

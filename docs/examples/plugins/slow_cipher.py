"""A cipher in Python alone: AES-CCM with a 16-octet ICV (RFC 4309), which the data plane calls through its adapter.

It works, for IKE and for ESP, and ``fynx status`` says that it is slow: each batch of packets crosses into Python.
``fynx run -p ./slow_cipher.py``, and in the configuration ``esp: [aes128ccm16]``.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from fynx.plugin import Cipher, CryptoError, hookimpl
from fynx.plugin.selftest import expect, flip, refuses

FYNX_API = 1

TRANSFORM_ID = 16  # ENCR_AES_CCM_16
SALT_LEN, IV_LEN, ICV_LEN = 3, 8, 16


@hookimpl
def fynx_ciphers() -> list[Cipher]:
    return [_cipher(key_bits) for key_bits in (128, 256)]


def fynx_selftest() -> None:
    """An answer of Wycheproof's aes_ccm_test (number 261) with a nonce as ESP has it; raises CryptoError."""
    key = CcmKey(bytes.fromhex("acab31483d9de4ad77f4e63fe41b57ae5c0939"))
    iv = bytes.fromhex("e71bae1a9de167d4")
    plain = bytes.fromhex("e4d72b2f7cb69bc54a49f4d5cea4f23a")
    sealed = bytes.fromhex("0c506843ba7bd2dc4578e6bb83fd0c8dc275373037635bae294f99c8e46964b3")
    expect("AES-CCM", key.seal(iv, plain, b""), sealed)
    expect("AES-CCM", key.open(iv, sealed, b""), plain)
    refuses("AES-CCM: a forged tag", key.open, iv, flip(sealed, 31), b"")


def _cipher(key_bits: int) -> Cipher:
    def key(raw: bytes) -> CcmKey:
        if len(raw) != key_bits // 8 + SALT_LEN:
            raise CryptoError(f"AES-CCM-{key_bits} needs {key_bits // 8 + SALT_LEN} octets of key and salt")
        return CcmKey(raw)

    return Cipher(f"aes{key_bits}ccm16", TRANSFORM_ID, key_bits, SALT_LEN, IV_LEN, ICV_LEN, 1, True, key)


class CcmKey:
    """One key; the nonce is salt | IV, 11 octets."""

    __slots__ = ("_aead", "_salt")

    def __init__(self, raw: bytes) -> None:
        self._aead = AESCCM(raw[:-SALT_LEN], tag_length=ICV_LEN)
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

"""A cipher in Python alone: AES-GCM with a 12-octet ICV (RFC 4106), which the data plane calls through its adapter.

It works, for IKE and for ESP, and ``fynx status`` says that it is slow: each batch of packets crosses into Python.
``fynx run -p ./slow_cipher.py``, and in the configuration ``esp: [aes128gcm12]``.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher as LibraryCipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from fynx.plugin import Cipher, CryptoError, hookimpl
from fynx.plugin.selftest import expect, flip, refuses

FYNX_API = 1

TRANSFORM_ID = 19  # ENCR_AES_GCM_12
SALT_LEN, IV_LEN, ICV_LEN = 4, 8, 12


@hookimpl
def fynx_ciphers() -> list[Cipher]:
    return [_cipher(key_bits) for key_bits in (128, 256)]


def fynx_selftest() -> None:
    """The answer of draft-mcgrew-gcm-test-01, case 7, whose tag is cut to 12 octets; raises CryptoError."""
    key = GcmKey(bytes.fromhex("feffe9928665731c6d6a8f9467308308feffe9928665731ccafebabe"))
    iv, aad = bytes.fromhex("facedbaddecaf888"), bytes.fromhex("0000a5f80000000a")
    plain = bytes.fromhex("45000028a4ad4000400678800a01038f0a010612802306b8cb712602dd6bb03e501016d075680001")
    sealed = bytes.fromhex(
        "a5b1f8066029aea40e598b8122de02420938b3ab33f828e687b8858b5bfbdbd0315b27452144cc7795457b9652037f5318027b5b"
    )
    expect("AES-GCM", key.seal(iv, plain, aad), sealed)
    expect("AES-GCM", key.open(iv, sealed, aad), plain)
    refuses("AES-GCM: a forged tag", key.open, iv, flip(sealed, 51), aad)


def _cipher(key_bits: int) -> Cipher:
    def key(raw: bytes) -> GcmKey:
        if len(raw) != key_bits // 8 + SALT_LEN:
            raise CryptoError(f"AES-GCM-{key_bits} needs {key_bits // 8 + SALT_LEN} octets of key and salt")
        return GcmKey(raw)

    return Cipher(f"aes{key_bits}gcm12", TRANSFORM_ID, key_bits, SALT_LEN, IV_LEN, ICV_LEN, 1, True, key)


class GcmKey:
    """One key; the nonce is salt | IV, 12 octets."""

    __slots__ = ("_aes", "_salt")

    def __init__(self, raw: bytes) -> None:
        self._aes = AES(raw[:-SALT_LEN])
        self._salt = raw[-SALT_LEN:]

    def seal(self, iv: bytes, plain: bytes, aad: bytes) -> bytes:
        if len(iv) != IV_LEN:
            raise CryptoError("the IV is 8 octets")
        made = LibraryCipher(self._aes, GCM(self._salt + iv)).encryptor()
        made.authenticate_additional_data(aad)
        return made.update(plain) + made.finalize() + made.tag[:ICV_LEN]

    def open(self, iv: bytes, sealed: bytes, aad: bytes) -> bytes:
        if len(iv) != IV_LEN or len(sealed) < ICV_LEN:
            raise CryptoError("too short")
        made = LibraryCipher(self._aes, GCM(self._salt + iv, sealed[-ICV_LEN:], ICV_LEN)).decryptor()
        made.authenticate_additional_data(aad)
        try:
            return made.update(sealed[:-ICV_LEN]) + made.finalize()
        except InvalidTag:
            raise CryptoError("the tag does not verify") from None

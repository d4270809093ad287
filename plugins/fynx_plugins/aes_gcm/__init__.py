"""AES-GCM with a 16-octet ICV for IKE and ESP, 128, 192 and 256 bits: RFC 4106, RFC 5282; RFC 8750."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fynx.plugin import Cipher, CryptoError, hookimpl, with_implicit_iv
from fynx.plugin.selftest import CIPHER_ANSWERS, check_cipher

FYNX_API = 1

TRANSFORM_ID = 20  # ENCR_AES_GCM_16
SALT_LEN, IV_LEN, ICV_LEN = 4, 8, 16


@hookimpl
def fynx_ciphers() -> list[Cipher]:
    ciphers = [_cipher(key_bits) for key_bits in (128, 192, 256)]
    return ciphers + [with_implicit_iv(cipher) for cipher in ciphers]


def fynx_selftest() -> None:
    """Known answers of draft-mcgrew-gcm-test-01 for each key length; raises CryptoError."""
    for cipher in fynx_ciphers():
        check_cipher(cipher, CIPHER_ANSWERS[cipher.keyword.removesuffix("iiv")])


def _cipher(key_bits: int) -> Cipher:
    def key(raw: bytes) -> AesGcmKey:
        if len(raw) != key_bits // 8 + SALT_LEN:
            raise CryptoError(f"AES-GCM-{key_bits} needs {key_bits // 8 + SALT_LEN} octets of key and salt")
        return AesGcmKey(raw)

    return Cipher(
        keyword=f"aes{key_bits}gcm16",
        transform_id=TRANSFORM_ID,
        key_bits=key_bits,
        salt_len=SALT_LEN,
        iv_len=IV_LEN,
        icv_len=ICV_LEN,
        block_len=1,
        aead=True,
        key=key,
    )


class AesGcmKey:
    """One key; the nonce is salt | IV (RFC 4106 section 4)."""

    __slots__ = ("_aead", "_salt")

    def __init__(self, raw: bytes) -> None:
        self._aead = AESGCM(raw[:-SALT_LEN])
        self._salt = raw[-SALT_LEN:]

    def seal(self, iv: bytes, plain: bytes, aad: bytes) -> bytes:
        if len(iv) != IV_LEN:
            raise CryptoError("AES-GCM: the IV is 8 octets")
        return self._aead.encrypt(self._salt + iv, plain, aad)

    def open(self, iv: bytes, sealed: bytes, aad: bytes) -> bytes:
        if len(iv) != IV_LEN or len(sealed) < ICV_LEN:
            raise CryptoError("AES-GCM: too short")
        try:
            return self._aead.decrypt(self._salt + iv, sealed, aad)
        except InvalidTag:
            raise CryptoError("AES-GCM: the tag does not verify") from None

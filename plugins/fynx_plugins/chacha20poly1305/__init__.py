"""ChaCha20-Poly1305 for IKE and ESP: RFC 7634; RFC 8750."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from fynx.plugin import Cipher, CryptoError, hookimpl, with_implicit_iv
from fynx.plugin.selftest import CIPHER_ANSWERS, check_cipher

FYNX_API = 1

TRANSFORM_ID = 28  # ENCR_CHACHA20_POLY1305
KEY_LEN, SALT_LEN, IV_LEN, ICV_LEN = 32, 4, 8, 16


@hookimpl
def fynx_ciphers() -> list[Cipher]:
    cipher = Cipher(
        keyword="chacha20poly1305",
        transform_id=TRANSFORM_ID,
        key_bits=8 * KEY_LEN,
        salt_len=SALT_LEN,
        iv_len=IV_LEN,
        icv_len=ICV_LEN,
        block_len=1,
        aead=True,
        key=ChaChaKey,
        key_length_attribute=False,  # RFC 7634 section 2: the transform carries none
    )
    return [cipher, with_implicit_iv(cipher)]


def fynx_selftest() -> None:
    """Known answer of RFC 7634 appendix A; raises CryptoError."""
    for cipher in fynx_ciphers():
        check_cipher(cipher, CIPHER_ANSWERS[cipher.keyword.removesuffix("iiv")])


class ChaChaKey:
    """One key; the nonce is salt | IV (RFC 7634 section 2)."""

    __slots__ = ("_aead", "_salt")

    def __init__(self, raw: bytes) -> None:
        if len(raw) != KEY_LEN + SALT_LEN:
            raise CryptoError("ChaCha20-Poly1305 needs 36 octets of key and salt")
        self._aead = ChaCha20Poly1305(raw[:KEY_LEN])
        self._salt = raw[KEY_LEN:]

    def seal(self, iv: bytes, plain: bytes, aad: bytes) -> bytes:
        if len(iv) != IV_LEN:
            raise CryptoError("ChaCha20-Poly1305: the IV is 8 octets")
        return self._aead.encrypt(self._salt + iv, plain, aad)

    def open(self, iv: bytes, sealed: bytes, aad: bytes) -> bytes:
        if len(iv) != IV_LEN or len(sealed) < ICV_LEN:
            raise CryptoError("ChaCha20-Poly1305: too short")
        try:
            return self._aead.decrypt(self._salt + iv, sealed, aad)
        except InvalidTag:
            raise CryptoError("ChaCha20-Poly1305: the tag does not verify") from None

"""One ESP key in plain Python: an AEAD, or a cipher with an integrity algorithm beside it (RFC 4303 section 3.2)."""

from __future__ import annotations

import hmac

from fynx.errors import CryptoError
from fynx.plugin.crypto import Cipher, Integ


class EspKey:
    """``key`` is the encryption key, then the integrity key. ``aad`` is SPI | sequence; with ESN SPI | high | low."""

    __slots__ = ("_cipher_key", "_integ", "_integ_key", "block", "bugs", "icv_len", "implicit_iv", "iv_len", "name")

    def __init__(self, cipher: Cipher, integ: Integ | None, key: bytes, salt: bytes) -> None:
        self.name, self.bugs = cipher.keyword, 0
        length = len(key) - (integ.key_len if integ else 0)
        self._cipher_key = cipher.key(key[:length] + salt)
        self._integ, self._integ_key = integ, key[length:]
        self.iv_len = cipher.iv_len
        self.implicit_iv = cipher.aead and cipher.iv_len == 0
        self.icv_len = integ.icv_len if integ else cipher.icv_len
        self.block = max(4, 1 if cipher.aead else cipher.block_len)

    def __repr__(self) -> str:
        return "EspKey(…)"

    def seal(self, iv: bytes, plain: bytes, aad: bytes) -> bytes:
        """Ciphertext | ICV."""
        if self._integ is None:
            return self._cipher_key.seal(iv, plain, aad)
        text = self._cipher_key.seal(iv, plain, b"")
        return text + self._mac(self._integ, iv, text, aad)

    def open(self, iv: bytes, sealed: bytes, aad: bytes) -> bytes:
        """Raises ``CryptoError`` when the ICV does not hold; a separate cipher runs only after it did."""
        if self._integ is None:
            return self._cipher_key.open(iv, sealed, aad)
        text, icv = sealed[: -self.icv_len], sealed[-self.icv_len :]
        if not hmac.compare_digest(self._mac(self._integ, iv, text, aad), icv):
            raise CryptoError("integrity check failed")
        return self._cipher_key.open(iv, text, b"")

    def _mac(self, integ: Integ, iv: bytes, text: bytes, aad: bytes) -> bytes:
        """Over SPI, low half, IV, text, and with ESN the high half last (RFC 4303 section 2.8)."""
        return integ.mac(self._integ_key, aad[:4] + aad[-4:] + iv + text + aad[4:-4])


__all__ = ["EspKey"]

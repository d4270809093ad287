"""AES-CBC for IKE and ESP, 128, 192 and 256 bits, always with an integrity algorithm beside it: RFC 3602."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher as LibraryCipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from fynx.plugin import Cipher, CryptoError, hookimpl
from fynx.plugin.selftest import CIPHER_ANSWERS, check_cipher

FYNX_API = 1

TRANSFORM_ID = 12  # ENCR_AES_CBC
BLOCK_LEN = 16


@hookimpl
def fynx_ciphers() -> list[Cipher]:
    return [_cipher(key_bits) for key_bits in (128, 192, 256)]


def fynx_selftest() -> None:
    """Known answers of RFC 3602 section 4 and NIST SP 800-38A appendix F.2; raises CryptoError."""
    for cipher in fynx_ciphers():
        check_cipher(cipher, CIPHER_ANSWERS[cipher.keyword])


def _cipher(key_bits: int) -> Cipher:
    def key(raw: bytes) -> AesCbcKey:
        if len(raw) != key_bits // 8:
            raise CryptoError(f"AES-CBC-{key_bits} needs {key_bits // 8} octets of key")
        return AesCbcKey(raw)

    return Cipher(
        keyword=f"aes{key_bits}",
        transform_id=TRANSFORM_ID,
        key_bits=key_bits,
        salt_len=0,
        iv_len=BLOCK_LEN,
        icv_len=0,
        block_len=BLOCK_LEN,
        aead=False,
        key=key,
    )


class AesCbcKey:
    """One key. Padding is the caller's: ESP and IKE each have their own (RFC 4303 2.4, RFC 7296 3.14)."""

    __slots__ = ("_aes",)

    def __init__(self, raw: bytes) -> None:
        self._aes = AES(raw)

    def seal(self, iv: bytes, plain: bytes, aad: bytes) -> bytes:
        _check(iv, plain, aad)
        context = LibraryCipher(self._aes, CBC(iv)).encryptor()
        return context.update(plain) + context.finalize()

    def open(self, iv: bytes, sealed: bytes, aad: bytes) -> bytes:
        _check(iv, sealed, aad)
        context = LibraryCipher(self._aes, CBC(iv)).decryptor()
        return context.update(sealed) + context.finalize()


def _check(iv: bytes, text: bytes, aad: bytes) -> None:
    if len(iv) != BLOCK_LEN:
        raise CryptoError("AES-CBC: the IV is 16 octets")
    if len(text) % BLOCK_LEN:
        raise CryptoError("AES-CBC: not a multiple of the block")
    if aad:
        raise CryptoError("AES-CBC authenticates nothing: additional data go to the integrity algorithm")

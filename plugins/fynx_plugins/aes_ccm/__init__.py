"""AES-CCM with ICVs of 8, 12 and 16 octets for IKE and ESP, 128, 192 and 256 bits: RFC 4309, RFC 5282; RFC 8750."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from fynx.plugin import Cipher, CryptoError, hookimpl, with_implicit_iv
from fynx.plugin.selftest import expect, flip, refuses

FYNX_API = 1

TRANSFORM_IDS = {8: 14, 12: 15, 16: 16}  # ENCR_AES_CCM_8, _12, _16
SALT_LEN, IV_LEN = 3, 8


@hookimpl
def fynx_ciphers() -> list[Cipher]:
    """The implicit IV is registered for the ICV of 8 octets alone (RFC 8750 section 8)."""
    ciphers = [_cipher(key_bits, icv_len) for key_bits in (128, 192, 256) for icv_len in TRANSFORM_IDS]
    return ciphers + [with_implicit_iv(cipher) for cipher in ciphers if cipher.icv_len == 8]


def fynx_selftest() -> None:
    """Answers of Wycheproof with nonces as ESP has them, and forged tags of each length; raises CryptoError."""
    for answer in ANSWERS:
        raw, iv, plain, sealed = (bytes.fromhex(text) for text in answer)
        key = CcmKey(raw, 16)
        expect("AES-CCM", key.seal(iv, plain, b""), sealed)
        expect("AES-CCM", key.open(iv, sealed, b""), plain)
        for icv_len in TRANSFORM_IDS:
            key = CcmKey(raw, icv_len)
            text = key.seal(iv, plain, b"aad")
            expect("AES-CCM", key.open(iv, text, b"aad"), plain)
            refuses("AES-CCM: a forged tag", key.open, iv, flip(text, len(text) - 1), b"aad")


def _cipher(key_bits: int, icv_len: int) -> Cipher:
    def key(raw: bytes) -> CcmKey:
        if len(raw) != key_bits // 8 + SALT_LEN:
            raise CryptoError(f"AES-CCM-{key_bits} needs {key_bits // 8 + SALT_LEN} octets of key and salt")
        return CcmKey(raw, icv_len)

    return Cipher(
        keyword=f"aes{key_bits}ccm{icv_len}",
        transform_id=TRANSFORM_IDS[icv_len],
        key_bits=key_bits,
        salt_len=SALT_LEN,
        iv_len=IV_LEN,
        icv_len=icv_len,
        block_len=1,
        aead=True,
        key=key,
    )


class CcmKey:
    """One key; the nonce is salt | IV, 11 octets (RFC 4309 section 4)."""

    __slots__ = ("_aead", "_icv_len", "_salt")

    def __init__(self, raw: bytes, icv_len: int) -> None:
        self._aead = AESCCM(raw[:-SALT_LEN], tag_length=icv_len)
        self._salt, self._icv_len = raw[-SALT_LEN:], icv_len

    def seal(self, iv: bytes, plain: bytes, aad: bytes) -> bytes:
        if len(iv) != IV_LEN:
            raise CryptoError("AES-CCM: the IV is 8 octets")
        return self._aead.encrypt(self._salt + iv, plain, aad)

    def open(self, iv: bytes, sealed: bytes, aad: bytes) -> bytes:
        if len(iv) != IV_LEN or len(sealed) < self._icv_len:
            raise CryptoError("AES-CCM: too short")
        try:
            return self._aead.decrypt(self._salt + iv, sealed, aad)
        except InvalidTag:
            raise CryptoError("AES-CCM: the tag does not verify") from None


ANSWERS = (  # key and salt, IV, plaintext, ciphertext and tag: aes_ccm_test, numbers 261, 297, 333
    (
        "acab31483d9de4ad77f4e63fe41b57ae5c0939",
        "e71bae1a9de167d4",
        "e4d72b2f7cb69bc54a49f4d5cea4f23a",
        "0c506843ba7bd2dc4578e6bb83fd0c8dc275373037635bae294f99c8e46964b3",
    ),
    (
        "2c2f7e8bb75ba931a711eca4d319e19ad89767248fee536021a104",
        "56470d083ca7bd7c",
        "1e9f467441e487bf68d10be853b24479",
        "186b50f0edf7b523021384f5d8c090498db01236b715a76432fcb02cff2f6ba6",
    ),
    (
        "aacb1336d6ee4d96a9a12e5b8f25f04800d4aaba55f379218d64edb3460fe215994c19",
        "1e7a29c0efc1eb4d",
        "7bead5abccc876efb0109e412f06c751",
        "5aa31aa5eb103655b78c4f7bcf08c91764e41d31eb0df80adcee328f081c4aeb",
    ),
)

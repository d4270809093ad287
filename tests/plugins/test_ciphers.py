"""The contract of ciphers, over every cipher plugin: RFC 5282, RFC 4106, RFC 7634, RFC 3602."""

from __future__ import annotations

import pytest

from fynx.plugin import Cipher, CipherKey, CryptoError
from fynx.plugin.selftest import flip, stream
from tests.plugins import installed

CIPHERS = installed.ciphers()
every_cipher = pytest.mark.parametrize("cipher", CIPHERS.values(), ids=CIPHERS)
every_aead = pytest.mark.parametrize(
    "cipher", [c for c in CIPHERS.values() if c.aead], ids=[c.keyword for c in CIPHERS.values() if c.aead]
)

LENGTHS = (0, 16, 48, 1024, 4096)


def raw_key(cipher: Cipher) -> bytes:
    return stream(cipher.key_bits // 8 + cipher.salt_len, b"key")


def made(cipher: Cipher) -> tuple[CipherKey, bytes, bytes]:
    """An implicit IV is not on the wire, but the cipher takes its 8 octets all the same (RFC 8750 section 3)."""
    return cipher.key(raw_key(cipher)), stream(cipher.iv_len or 8, b"iv"), b"additional data" if cipher.aead else b""


@every_cipher
@pytest.mark.parametrize("length", LENGTHS)
def test_what_is_sealed_opens_again_and_grows_by_the_icv(cipher: Cipher, length: int) -> None:
    key, iv, aad = made(cipher)
    plain = stream(length, b"plain")
    sealed = key.seal(iv, plain, aad)
    assert len(sealed) == length + cipher.icv_len
    assert key.open(iv, sealed, aad) == plain
    assert not length or plain not in sealed


@every_aead
def test_a_forged_bit_anywhere_is_refused(cipher: Cipher) -> None:
    key, iv, aad = made(cipher)
    sealed = key.seal(iv, stream(24, b"plain"), aad)
    for place in range(len(sealed)):
        for bit in range(8):
            with pytest.raises(CryptoError):
                key.open(iv, flip(sealed, place, bit), aad)
    for place in range(len(aad)):
        with pytest.raises(CryptoError):
            key.open(iv, sealed, flip(aad, place))
    for place in range(len(iv)):
        with pytest.raises(CryptoError):
            key.open(flip(iv, place), sealed, aad)


@every_aead
def test_the_salt_is_part_of_the_nonce(cipher: Cipher) -> None:
    key, iv, aad = made(cipher)
    other = cipher.key(flip(raw_key(cipher), len(raw_key(cipher)) - 1))
    with pytest.raises(CryptoError):
        other.open(iv, key.seal(iv, b"text", aad), aad)


@every_aead
def test_a_cut_text_is_refused(cipher: Cipher) -> None:
    key, iv, aad = made(cipher)
    sealed = key.seal(iv, b"some octets of text", aad)
    for length in range(len(sealed)):
        with pytest.raises(CryptoError):
            key.open(iv, sealed[:length], aad)


@every_cipher
@pytest.mark.parametrize("off", [-1, 1, None])
def test_a_key_of_the_wrong_length_is_refused(cipher: Cipher, off: int | None) -> None:
    length = 0 if off is None else len(raw_key(cipher)) + off
    with pytest.raises(CryptoError):
        cipher.key(bytes(length))


@every_cipher
@pytest.mark.parametrize("off", [-1, 1])
def test_an_iv_of_the_wrong_length_is_refused(cipher: Cipher, off: int) -> None:
    key, iv, aad = made(cipher)
    sealed = key.seal(iv, bytes(16), aad)
    wrong = stream(len(iv) + off, b"iv")
    with pytest.raises(CryptoError):
        key.seal(wrong, bytes(16), aad)
    with pytest.raises(CryptoError):
        key.open(wrong, sealed, aad)


@pytest.mark.parametrize("keyword", ["aes128", "aes192", "aes256"])
def test_cbc_refuses_text_that_is_not_padded_and_additional_data(keyword: str) -> None:
    key, iv, _ = made(CIPHERS[keyword])
    for length in (1, 15, 17):
        with pytest.raises(CryptoError):
            key.seal(iv, bytes(length), b"")
        with pytest.raises(CryptoError):
            key.open(iv, bytes(length), b"")
    with pytest.raises(CryptoError):
        key.seal(iv, bytes(16), b"aad")


@every_cipher
def test_a_key_does_not_show(cipher: Cipher) -> None:
    key, _, _ = made(cipher)
    assert raw_key(cipher).hex()[:8] not in repr(key)
    assert repr(raw_key(cipher)) not in repr(key)

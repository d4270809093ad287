"""Algorithms as plugins describe them: frozen specifications, and the protocols of the objects they make.

Sizes are octets unless a name ends in ``_bits``. Transform ids are those of the IANA registry "IKEv2 Parameters".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

Random = Callable[[int], bytes]
"""Source of randomness: takes a number of octets, returns them. Always injected, never global."""


class CipherKey(Protocol):
    """One key of a cipher. For AEAD ``sealed`` is ciphertext | ICV; for CBC it is ciphertext alone, unpadded input
    refused."""

    def seal(self, iv: bytes, plain: bytes, aad: bytes) -> bytes: ...

    def open(self, iv: bytes, sealed: bytes, aad: bytes) -> bytes:
        """Returns the plaintext; raises ``CryptoError`` on any failure, with nothing of the plaintext in it."""
        ...


@dataclass(frozen=True, slots=True)
class Cipher:
    """An encryption algorithm (transform type 1), one entry per key length.

    ``key(raw)`` takes ``key_bits // 8 + salt_len`` octets, the salt last (RFC 5282 section 7.1), and makes a CipherKey.
    ``iv_len`` is the IV on the wire (8 for AEAD, the block for CBC, 0 where it is implicit); the CipherKey joins the
    salt itself.
    ``keyword`` is the word in proposal strings ("aes256gcm16"). ``key_length_attribute`` False:
    the transform carries none.
    """

    keyword: str
    transform_id: int
    key_bits: int
    salt_len: int
    iv_len: int
    icv_len: int
    block_len: int
    aead: bool
    key: Callable[[bytes], CipherKey]
    key_length_attribute: bool = True
    ike: bool = True
    esp: bool = True


IMPLICIT_IV = {29: 14, 30: 20, 31: 28}
"""Ciphers of ESP whose IV is the sequence number (RFC 8750 section 8), and the same cipher with an IV in the packet."""


def with_implicit_iv(cipher: Cipher) -> Cipher:
    """The cipher without an IV on the wire, for ESP alone (RFC 8750); its key is used as before."""
    number = next(one for one, explicit in IMPLICIT_IV.items() if explicit == cipher.transform_id)
    return replace(cipher, keyword=f"{cipher.keyword}iiv", transform_id=number, iv_len=0, ike=False)


@dataclass(frozen=True, slots=True)
class Prf:
    """A pseudo-random function (transform type 2). ``mac(key, data)`` returns ``out_len`` octets."""

    keyword: str
    transform_id: int
    key_len: int
    out_len: int
    mac: Callable[[bytes, bytes], bytes]


@dataclass(frozen=True, slots=True)
class Integ:
    """An integrity algorithm (transform type 3). ``mac(key, data)`` returns the truncated ``icv_len`` octets."""

    keyword: str
    transform_id: int
    key_len: int
    icv_len: int
    mac: Callable[[bytes, bytes], bytes]


class Offer(Protocol):
    """The initiator's half of a key exchange: ``public`` goes out, ``finish`` turns the peer's value into the
    secret."""

    @property
    def public(self) -> bytes: ...

    def finish(self, peer: bytes) -> bytes:
        """Raises ``CryptoError`` when RFC 6989 or RFC 8031 asks to refuse the peer's value."""
        ...


@dataclass(frozen=True, slots=True)
class KeyExchange:
    """A key exchange method (transform type 4): Diffie-Hellman and KEM alike.

    ``start(random)`` makes an Offer; ``answer(peer_public, random)`` returns (our public value, shared secret) and
    raises
    ``CryptoError`` for a bad value. ``initiator_len`` and ``responder_len`` are the KE payload data sizes.
    """

    keyword: str
    transform_id: int
    initiator_len: int
    responder_len: int
    start: Callable[[Random], Offer]
    answer: Callable[[bytes, Random], tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Provider:
    """An implementation of many algorithms for the C loop, by one library.

    ``ops(encr_id, key_bits, integ_id)`` returns the address of a ``struct fynx_aead_ops`` as an integer, or 0 when the
    library lacks it. ``version`` is the library's own. ``keep`` holds the module alive.
    """

    name: str
    version: str
    ops: Callable[[int, int, int], int]
    keep: object = None


@dataclass(frozen=True, slots=True)
class Algorithms:
    """All algorithms of one host, frozen at boot; the protocol core looks them up here and nowhere else."""

    ciphers: Mapping[tuple[int, int], Cipher] = field(default_factory=dict)
    """By (transform id, key bits); key bits as in the transform's attribute, 0 for ciphers without the attribute."""
    prfs: Mapping[int, Prf] = field(default_factory=dict)
    integs: Mapping[int, Integ] = field(default_factory=dict)
    key_exchanges: Mapping[int, KeyExchange] = field(default_factory=dict)

    def cipher(self, transform_id: int, key_bits: int | None) -> Cipher | None:
        return self.ciphers.get((transform_id, key_bits or 0))

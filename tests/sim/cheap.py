"""Algorithms that cost nothing and protect nothing, for searches over many worlds: only their shapes are real."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import blake2b

from fynx.errors import CryptoError
from fynx.plugin import Algorithms, Cipher, KeyExchange, Prf
from fynx.plugin.crypto import Random

TAG = 16
FLIP = bytes(octet ^ 0x5A for octet in range(256))


@dataclass(frozen=True, slots=True)
class Key:
    """Each octet is flipped, so that plain text is recognised where it should not be; the tag is a keyed hash."""

    key: bytes

    def _tag(self, iv: bytes, sealed: bytes, aad: bytes) -> bytes:
        return blake2b(b"%d %d " % (len(iv), len(aad)) + iv + aad + sealed, key=self.key, digest_size=TAG).digest()

    def seal(self, iv: bytes, plain: bytes, aad: bytes) -> bytes:
        sealed = plain.translate(FLIP)
        return sealed + self._tag(iv, sealed, aad)

    def open(self, iv: bytes, sealed: bytes, aad: bytes) -> bytes:
        if not hmac.compare_digest(self._tag(iv, sealed[:-TAG], aad), sealed[-TAG:]):
            raise CryptoError("wrong tag")
        return sealed[:-TAG].translate(FLIP)


@dataclass(frozen=True, slots=True)
class Half:
    public: bytes

    def finish(self, peer: bytes) -> bytes:
        return _shared(self.public, peer)


def _shared(a: bytes, b: bytes) -> bytes:
    return blake2b(min(a, b) + max(a, b), digest_size=32).digest()


def _start(random: Random) -> Half:
    return Half(random(32))


def _answer(peer: bytes, random: Random) -> tuple[bytes, bytes]:
    own = random(32)
    return own, _shared(own, peer)


def _cipher(bits: int) -> Cipher:
    return Cipher(f"cheap{bits}", 20, bits, salt_len=4, iv_len=8, icv_len=TAG, block_len=1, aead=True, key=Key)


def _mac(key: bytes, data: bytes) -> bytes:
    return blake2b(data, key=key[:64], digest_size=32).digest()


CHEAP = Algorithms(
    ciphers={(20, bits): _cipher(bits) for bits in (128, 256)},
    prfs={number: Prf(f"cheapprf{number}", number, 32, 32, _mac) for number in (5, 6)},
    key_exchanges={number: KeyExchange(f"cheapke{number}", number, 32, 32, _start, _answer) for number in (19, 31)},
)

"""MODP groups 14, 15 and 16 (2048, 3072 and 4096 bits): RFC 3526, with the checks of RFC 6989 section 2.1."""

from __future__ import annotations

import hashlib
import re
import warnings
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import dh
from cryptography.utils import CryptographyDeprecationWarning

from fynx.plugin import CryptoError, KeyExchange, Random, hookimpl
from fynx.plugin.selftest import expect, refuses

FYNX_API = 1

GENERATOR = 2


@dataclass(frozen=True, slots=True)
class Group:
    """``exponent_len``: twice the strength that RFC 3526 section 8 gives the group, in whole octets."""

    keyword: str
    method_id: int
    length: int
    exponent_len: int
    prime: int
    digest: str
    """SHA-256 of g to SHORT_EXPONENT."""


@hookimpl
def fynx_key_exchanges() -> list[KeyExchange]:
    return [_key_exchange(group) for group in GROUPS]


def fynx_selftest() -> None:
    """Known answers for fixed exponents, computed once with plain integers; raises CryptoError."""
    for group in GROUPS:
        power = _private_key(group, SHORT_EXPONENT).exchange(_public_key(group, GENERATOR))
        expect(group.keyword, _digest(power), group.digest)
        refuses(f"{group.keyword}: p - 1", _check, group, group.prime - 1)
    a, b = (ModpOffer(GROUPS[0], octet.__mul__) for octet in (b"\1", b"\2"))
    expect("modp2048: public value", _digest(a.public), AGREEMENT[0])
    expect("modp2048: shared secret", _digest(a.finish(b.public)), AGREEMENT[1])


def _digest(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()


def _key_exchange(group: Group) -> KeyExchange:
    def start(random: Random) -> ModpOffer:
        return ModpOffer(group, random)

    def answer(peer: bytes, random: Random) -> tuple[bytes, bytes]:
        value = _value(group, peer)
        offer = ModpOffer(group, random)
        return offer.public, offer.power(value)

    return KeyExchange(group.keyword, group.method_id, group.length, group.length, start, answer)


class ModpOffer:
    __slots__ = ("_group", "_private", "public")

    def __init__(self, group: Group, random: Random) -> None:
        self._group = group
        exponent = int.from_bytes(random(group.exponent_len), "big")
        # The top bit is set so that every exponent has the same length: time tells nothing of it.
        self._private = _private_key(group, exponent | 1 << (8 * group.exponent_len - 1))
        self.public = self.power(GENERATOR)

    def finish(self, peer: bytes) -> bytes:
        return self.power(_value(self._group, peer))

    def power(self, value: int) -> bytes:
        """``value`` to our exponent, at the length of the prime: leading zeros kept (RFC 7296 section 2.14)."""
        return self._private.exchange(_public_key(self._group, value)).rjust(self._group.length, b"\0")


def _value(group: Group, peer: bytes) -> int:
    if len(peer) != group.length:
        raise CryptoError(f"{group.keyword}: the public value is {group.length} octets")
    value = int.from_bytes(peer, "big")
    _check(group, value)
    return value


def _check(group: Group, value: int) -> None:
    """RFC 6989 section 2.1: 1 < y < p - 1; enough where (p - 1) / 2 is prime."""
    if not 1 < value < group.prime - 1:
        raise CryptoError(f"{group.keyword}: the public value is out of range")


def _private_key(group: Group, exponent: int) -> dh.DHPrivateKey:
    """A key of the library from an exponent. It wants a public value beside it and never uses it: any will do."""
    _quiet()
    public = dh.DHPublicNumbers(GENERATOR, dh.DHParameterNumbers(group.prime, GENERATOR))
    return dh.DHPrivateNumbers(exponent, public).private_key()


def _public_key(group: Group, value: int) -> dh.DHPublicKey:
    _quiet()
    return dh.DHPublicNumbers(value, dh.DHParameterNumbers(group.prime, GENERATOR)).public_key()


def _quiet() -> None:
    """``cryptography`` announces at each use that finite-field DH will go. We know: an ADR names the successor.

    Asked before each use, as even a name of the module warns and others reset the process's filters; ``catch_warnings``
    would be unsafe among threads.
    """
    if QUIET not in warnings.filters:
        warnings.filterwarnings("ignore", MESSAGE, CryptographyDeprecationWarning)


MESSAGE = "Diffie-Hellman over finite fields"
QUIET = ("ignore", re.compile(MESSAGE, re.IGNORECASE), CryptographyDeprecationWarning, None, 0)

GROUPS = (
    Group(
        "modp2048",
        14,
        length=256,
        exponent_len=32,
        prime=int(
            "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd"
            "ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed"
            "ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f"
            "83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b"
            "e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa0510"
            "15728e5a8aacaa68ffffffffffffffff",
            16,
        ),
        digest="fa3429bf0bd431ceea8f26aad51a325508eb130d7cfdddde7fb1b2b1e1009603",
    ),
    Group(
        "modp3072",
        15,
        length=384,
        exponent_len=40,
        prime=int(
            "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd"
            "ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed"
            "ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f"
            "83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b"
            "e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa0510"
            "15728e5a8aaac42dad33170d04507a33a85521abdf1cba64ecfb850458dbef0a8aea71575d060c7db3970f85a6e1e4c7"
            "abf5ae8cdb0933d71e8c94e04a25619dcee3d2261ad2ee6bf12ffa06d98a0864d87602733ec86a64521f2b18177b200c"
            "bbe117577a615d6c770988c0bad946e208e24fa074e5ab3143db5bfce0fd108e4b82d120a93ad2caffffffffffffffff",
            16,
        ),
        digest="611583922880b0541134cefe34450dfbf809746fd682c2e4a43547ff9a2511e4",
    ),
    Group(
        "modp4096",
        16,
        length=512,
        exponent_len=48,
        prime=int(
            "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd"
            "ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed"
            "ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f"
            "83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b"
            "e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa0510"
            "15728e5a8aaac42dad33170d04507a33a85521abdf1cba64ecfb850458dbef0a8aea71575d060c7db3970f85a6e1e4c7"
            "abf5ae8cdb0933d71e8c94e04a25619dcee3d2261ad2ee6bf12ffa06d98a0864d87602733ec86a64521f2b18177b200c"
            "bbe117577a615d6c770988c0bad946e208e24fa074e5ab3143db5bfce0fd108e4b82d120a92108011a723c12a787e6d7"
            "88719a10bdba5b2699c327186af4e23c1a946834b6150bda2583e9ca2ad44ce8dbbbc2db04de8ef92e8efc141fbecaa6"
            "287c59474e6bc05d99b2964fa090c3a2233ba186515be7ed1f612970cee2d7afb81bdd762170481cd0069127d5b05aa9"
            "93b4ea988d8fddc186ffb7dc90a6c08f4df435c934063199ffffffffffffffff",
            16,
        ),
        digest="5be4fe47c9022c420af34f8828c936dd4830f68b238b64b3166cc893726fbb76",
    ),
)

SHORT_EXPONENT = 2**89 - 1
AGREEMENT = (
    "98032b09ab8f0c395cc0774ca66de6211449d3e2a9ece529569a228e1bfd042c",
    "ea1e6f30ecd1fafbb7c9984c50c20a76bee84ee635f0ea5010c3175008790cce",
)
"""SHA-256 of g^a and g^ab in group 14, for the exponents of the self-test."""

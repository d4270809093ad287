"""X448 key exchange: RFC 8031, RFC 7748 section 6.2."""

from __future__ import annotations

from hmac import compare_digest

from cryptography.hazmat.primitives.asymmetric.x448 import X448PrivateKey, X448PublicKey

from fynx.plugin import CryptoError, KeyExchange, Random, hookimpl
from fynx.plugin.selftest import KexAnswer, check_key_exchange, refuses

FYNX_API = 1

METHOD_ID = 32
LENGTH = 56


@hookimpl
def fynx_key_exchanges() -> list[KeyExchange]:
    return [
        KeyExchange(
            keyword="x448",
            transform_id=METHOD_ID,
            initiator_len=LENGTH,
            responder_len=LENGTH,
            start=start,
            answer=answer,
        )
    ]


def fynx_selftest() -> None:
    """Known answers of RFC 7748 section 6.2, and the refusal of a point of small order; raises CryptoError."""
    check_key_exchange(fynx_key_exchanges()[0], ANSWER, responder=False)
    refuses("X448: a point of small order", lambda: X448Offer(ANSWER.private_i).finish(bytes(LENGTH)))


def start(random: Random) -> X448Offer:
    return X448Offer(random(LENGTH))


def answer(peer: bytes, random: Random) -> tuple[bytes, bytes]:
    offer = X448Offer(random(LENGTH))
    return offer.public, offer.finish(peer)


class X448Offer:
    __slots__ = ("_private", "public")

    def __init__(self, private: bytes) -> None:
        self._private = X448PrivateKey.from_private_bytes(private)
        self.public = self._private.public_key().public_bytes_raw()

    def finish(self, peer: bytes) -> bytes:
        """RFC 8031 section 3.1: exactly 56 octets; RFC 7748 section 6.2: an all-zero result is refused."""
        if len(peer) != LENGTH:
            raise CryptoError("X448: the public value is 56 octets")
        try:
            shared = self._private.exchange(X448PublicKey.from_public_bytes(peer))
        except ValueError:
            raise CryptoError("X448: a point of small order") from None
        if compare_digest(shared, bytes(LENGTH)):
            raise CryptoError("X448: a point of small order")
        return shared


ANSWER = KexAnswer(
    private_i=bytes.fromhex(
        "9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28dd9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b"
    ),
    public_i=bytes.fromhex(
        "9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c22c5d9bbc836647241d953d40c5b12da88120d53177f80e532c41fa0"
    ),
    private_r=bytes.fromhex(
        "1c306a7ac2a0e2e0990b294470cba339e6453772b075811d8fad0d1d6927c120bb5ee8972b0d3e21374c9c921b09d1b0366f10b65173992d"
    ),
    public_r=bytes.fromhex(
        "3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b43027d8b972fc3e34fb4232a13ca706dcb57aec3dae07bdc1c67bf33609"
    ),
    shared=bytes.fromhex(
        "07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282bb60c0b56fd2464c335543936521c24403085d59a449a5037514a879d"
    ),
)

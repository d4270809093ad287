"""X25519 key exchange: RFC 8031, RFC 7748 section 6.1."""

from __future__ import annotations

from hmac import compare_digest

from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base
from nacl.exceptions import RuntimeError as LibraryError

from fynx.plugin import CryptoError, KeyExchange, Random, hookimpl
from fynx.plugin.selftest import KexAnswer, check_key_exchange, refuses

FYNX_API = 1

METHOD_ID = 31
LENGTH = 32


@hookimpl
def fynx_key_exchanges() -> list[KeyExchange]:
    return [
        KeyExchange(
            keyword="x25519",
            transform_id=METHOD_ID,
            initiator_len=LENGTH,
            responder_len=LENGTH,
            start=start,
            answer=answer,
        )
    ]


def fynx_selftest() -> None:
    """Known answers of RFC 7748 section 6.1, and the refusal of a point of small order; raises CryptoError."""
    check_key_exchange(fynx_key_exchanges()[0], ANSWER)
    refuses("X25519: a point of small order", lambda: X25519Offer(ANSWER.private_i).finish(bytes(LENGTH)))


def start(random: Random) -> X25519Offer:
    return X25519Offer(random(LENGTH))


def answer(peer: bytes, random: Random) -> tuple[bytes, bytes]:
    offer = X25519Offer(random(LENGTH))
    return offer.public, offer.finish(peer)


class X25519Offer:
    __slots__ = ("_private", "public")

    def __init__(self, private: bytes) -> None:
        self._private = private
        self.public = crypto_scalarmult_base(private)

    def finish(self, peer: bytes) -> bytes:
        """RFC 8031 section 3.1: exactly 32 octets; RFC 7748 section 6.1: an all-zero result is refused."""
        if len(peer) != LENGTH:
            raise CryptoError("X25519: the public value is 32 octets")
        try:
            shared = crypto_scalarmult(self._private, peer)
        except LibraryError:
            raise CryptoError("X25519: a point of small order") from None
        if compare_digest(shared, bytes(LENGTH)):
            raise CryptoError("X25519: a point of small order")
        return shared


ANSWER = KexAnswer(
    private_i=bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"),
    public_i=bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"),
    private_r=bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"),
    public_r=bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"),
    shared=bytes.fromhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"),
)

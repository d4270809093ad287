"""The algorithm plugins by keyword, for tests with vectors."""

from __future__ import annotations

from collections.abc import Callable

from fynx.plugin import Cipher, Integ, KeyExchange, Prf
from fynx_plugins import aes_cbc, aes_gcm, chacha20poly1305, ecp, hmac_sha2, modp, x448, x25519

CIPHERS: dict[str, Cipher] = {
    cipher.keyword: cipher for plugin in (aes_cbc, aes_gcm, chacha20poly1305) for cipher in plugin.fynx_ciphers()
}
PRFS: dict[str, Prf] = {prf.keyword: prf for prf in hmac_sha2.fynx_prfs()}
INTEGS: dict[str, Integ] = {integ.keyword: integ for integ in hmac_sha2.fynx_integs()}
METHODS: dict[str, KeyExchange] = {
    method.keyword: method for plugin in (modp, ecp, x25519, x448) for method in plugin.fynx_key_exchanges()
}


def replay(private: bytes) -> Callable[[int], bytes]:
    """Randomness that is a private value of a vector, cut or padded on the left to the length that is asked for."""

    def random(length: int) -> bytes:
        return private[-length:].rjust(length, b"\0")

    return random

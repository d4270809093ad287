"""Stateless cookies against spoofed IKE_SA_INIT floods (RFC 7296 section 2.6)."""

from __future__ import annotations

import hashlib
import hmac

from fynx.plugin.crypto import Random

LIFETIME_S = 60.0
"""A secret makes cookies this long, and is accepted as long again."""

SECRET_LEN = 32


class CookieJar:
    """Two generations of a secret. A cookie is version | HMAC-SHA256(secret, Ni, source, SPIi): 33 octets."""

    __slots__ = ("_born", "_current", "_lifetime_s", "_previous", "_random", "_version")

    def __init__(self, random: Random, lifetime_s: float = LIFETIME_S) -> None:
        self._random, self._lifetime_s = random, lifetime_s
        self._current = self._previous = b""
        self._born: float | None = None
        self._version = 0

    def make(self, now: float, ni: bytes, source: bytes, spi_i: bytes) -> bytes:
        """A cookie for this initiator; ``source`` is its packed address."""
        self._rotate(now)
        return self._cookie(self._current, self._version, ni, source, spi_i)

    def check(self, now: float, cookie: bytes, ni: bytes, source: bytes, spi_i: bytes) -> bool:
        """True when we made ``cookie`` for this very nonce, address and SPI, not more than two lifetimes ago."""
        self._rotate(now)
        fresh = self._cookie(self._current, self._version, ni, source, spi_i)
        older = self._cookie(self._previous, self._version - 1, ni, source, spi_i)
        # Both are always compared, so that the time does not tell which generation matched.
        is_fresh, is_older = hmac.compare_digest(fresh, cookie), hmac.compare_digest(older, cookie)
        return is_fresh or (is_older and bool(self._previous))

    def _rotate(self, now: float) -> None:
        if self._born is not None and now - self._born < self._lifetime_s:
            return
        recent = self._born is not None and now - self._born < 2 * self._lifetime_s
        self._previous = self._current if recent else b""
        self._current = self._random(SECRET_LEN)
        self._version, self._born = self._version + 1, now

    def _cookie(self, secret: bytes, version: int, ni: bytes, source: bytes, spi_i: bytes) -> bytes:
        # Lengths stand in front: no two different inputs give the same octets.
        text = b"".join(len(part).to_bytes(2, "big") + part for part in (ni, source, spi_i))
        return bytes((version & 0xFF,)) + hmac.new(secret, text, hashlib.sha256).digest()

    def __repr__(self) -> str:
        return "CookieJar(…)"

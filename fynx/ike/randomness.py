"""The injected source of randomness, guarded: no octets, or too few, are an error and never a weak value."""

from __future__ import annotations

from fynx.errors import CryptoError
from fynx.plugin.crypto import Random


def guarded(random: Random) -> Random:
    """As ``random``, but raises ``CryptoError`` where the source fails or gives another number of octets."""

    def octets(count: int) -> bytes:
        try:
            found = random(count)
        except OSError as error:
            raise CryptoError(f"the source of randomness fails: {error}") from None
        if len(found) != count:
            raise CryptoError(f"the source of randomness gave {len(found)} octets instead of {count}")
        return found

    return octets

"""Published answers for AEADs: those of Wycheproof that have the sizes of ESP (RFC 4106, RFC 4309, RFC 7634)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

from fynx.plugin.crypto import Cipher

ALGORITHMS = {16: "aes_ccm", 20: "aes_gcm", 28: "chacha20_poly1305"}
"""By transform id."""


@dataclass(frozen=True, slots=True)
class Vector:
    number: int
    key: bytes
    nonce: bytes
    aad: bytes
    plain: bytes
    sealed: bytes
    valid: bool


def vectors(algorithm: str, cipher: Cipher) -> Iterator[Vector]:
    """Those that fit the sizes of ``cipher``. Raises OSError for an algorithm that has none."""
    text = files("fynx.testing").joinpath("vectors", f"{algorithm}.json").read_text(encoding="utf-8")
    for number, *octets, valid in json.loads(text)["tests"]:
        key, nonce, aad, plain, sealed, tag = (bytes.fromhex(one) for one in octets)
        fits = len(key) * 8 == cipher.key_bits and len(nonce) == cipher.salt_len + cipher.iv_len
        if fits and len(tag) == cipher.icv_len:
            yield Vector(number, key, nonce, aad, plain, sealed + tag, valid)


__all__ = ["ALGORITHMS", "Vector", "vectors"]

"""Published answers: those of Wycheproof that have the sizes of ESP and IKE (RFC 3602, RFC 4106, RFC 4868 …)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

from fynx.plugin.crypto import Cipher, Integ, Prf

ALGORITHMS = {12: "aes_cbc", 16: "aes_ccm", 20: "aes_gcm", 23: "camellia_cbc", 28: "chacha20_poly1305"}
"""Of ciphers, by transform id. Those for CBC were made with padding: the valid ones serve, padded."""
PRFS = {2: "hmac_sha1", 5: "hmac_sha256", 6: "hmac_sha384", 7: "hmac_sha512", 8: "aes_cmac"}
INTEGS = {2: "hmac_sha1", 8: "aes_cmac", 12: "hmac_sha256", 13: "hmac_sha384", 14: "hmac_sha512"}


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


@dataclass(frozen=True, slots=True)
class MacVector:
    number: int
    key: bytes
    data: bytes
    tag: bytes


def mac_vectors(algorithm: str, one: Prf | Integ) -> Iterator[MacVector]:
    """Those with keys that fit: of an integrity algorithm and of CMAC one length, of a PRF by HMAC any."""
    text = files("fynx.testing").joinpath("vectors", f"{algorithm}.json").read_text(encoding="utf-8")
    for number, *octets in json.loads(text)["tests"]:
        key, data, tag = (bytes.fromhex(one) for one in octets)
        if len(key) == one.key_len or (isinstance(one, Prf) and algorithm.startswith("hmac_")):
            yield MacVector(number, key, data, tag)


__all__ = ["ALGORITHMS", "INTEGS", "PRFS", "MacVector", "Vector", "mac_vectors", "vectors"]

"""HMAC with SHA-256, SHA-384 and SHA-512, as PRF and as integrity algorithm: RFC 4868, RFC 2104."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from fynx.plugin import Integ, Prf, hookimpl
from fynx.plugin.selftest import expect

FYNX_API = 1

Mac = Callable[[bytes, bytes], bytes]


@dataclass(frozen=True, slots=True)
class Hash:
    name: str
    out_len: int
    block_len: int
    prf_id: int
    integ_id: int


HASHES = (
    Hash("sha256", 32, 64, prf_id=5, integ_id=12),
    Hash("sha384", 48, 128, prf_id=6, integ_id=13),
    Hash("sha512", 64, 128, prf_id=7, integ_id=14),
)


@hookimpl
def fynx_prfs() -> list[Prf]:
    return [Prf(f"prf{h.name}", h.prf_id, key_len=h.out_len, out_len=h.out_len, mac=_mac(h)) for h in HASHES]


@hookimpl
def fynx_integs() -> list[Integ]:
    """The ICV is the first half of the output, the key as long as the output (RFC 4868 section 2.1)."""
    return [
        Integ(h.name, h.integ_id, key_len=h.out_len, icv_len=h.out_len // 2, mac=_cut(_mac(h), h.out_len // 2))
        for h in HASHES
    ]


def fynx_selftest() -> None:
    """Known answers of RFC 4231 section 4, cases 1 and 6 (a key longer than the block); raises CryptoError."""
    prfs = {prf.keyword.removeprefix("prf"): prf for prf in fynx_prfs()}
    integs = {integ.keyword: integ for integ in fynx_integs()}
    for key, data, answers in ANSWERS:
        for name, answer in answers.items():
            expect(f"HMAC {name}", prfs[name].mac(key, data), bytes.fromhex(answer))
            expect(f"HMAC {name}, cut", integs[name].mac(key, data), bytes.fromhex(answer)[: integs[name].icv_len])


def _mac(h: Hash) -> Mac:
    """HMAC in two hash calls: a third less time than ``hmac.digest``, and a handshake makes some thirty."""
    new = getattr(hashlib, h.name)
    block_len = h.block_len

    def mac(key: bytes, data: bytes) -> bytes:
        if len(key) > block_len:
            key = new(key).digest()
        key = bytes(key).ljust(block_len, b"\0")
        digest: bytes = new(key.translate(OUTER) + new(key.translate(INNER) + data).digest()).digest()
        return digest

    return mac


def _cut(mac: Mac, length: int) -> Mac:
    def cut(key: bytes, data: bytes) -> bytes:
        return mac(key, data)[:length]

    return cut


INNER = bytes(octet ^ 0x36 for octet in range(256))
OUTER = bytes(octet ^ 0x5C for octet in range(256))

ANSWERS: tuple[tuple[bytes, bytes, dict[str, str]], ...] = (
    (
        b"\x0b" * 20,
        b"Hi There",
        {
            "sha256": "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            "sha384": (
                "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6"
            ),
            "sha512": (
                "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
                "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"
            ),
        },
    ),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        {
            "sha256": "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            "sha384": (
                "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952"
            ),
            "sha512": (
                "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
                "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"
            ),
        },
    ),
)

"""The algorithm plugins against Wycheproof: forged tags, edge cases of arithmetic, points that must be refused."""

from __future__ import annotations

import pytest

from fynx.plugin import CryptoError
from tests.vectors.algorithms import CIPHERS, INTEGS, METHODS, PRFS, replay
from tests.vectors.vector_files import Row, octets, wycheproof

CURVES = {"ecp256": "secp256r1", "ecp384": "secp384r1", "ecp521": "secp521r1"}


def test_id(row: Row) -> str:
    return f"{row['tcId']}-{row['result']}-{'-'.join(row.get('flags', []))}"


test_id.__test__ = False  # type: ignore[attr-defined]

AEADS = [(f"aes{row['keySize']}gcm16", row) for row in wycheproof("aes_gcm") if row["ivSize"] == 96]
AEADS += [("chacha20poly1305", row) for row in wycheproof("chacha20_poly1305") if row["ivSize"] == 96]
CBCS = [row for row in wycheproof("aes_cbc_pkcs5") if row["result"] == "valid"]
MACS = [(name, row) for name in ("sha256", "sha384", "sha512") for row in wycheproof(f"hmac_{name}")]
POINTS = [(name, row) for name, curve in CURVES.items() for row in wycheproof(f"ecdh_{curve}_ecpoint")]
XDH = [(name, row) for name in ("x25519", "x448") for row in wycheproof(name)]


@pytest.mark.parametrize(("name", "row"), AEADS, ids=lambda value: test_id(value) if isinstance(value, dict) else value)
def test_aead(name: str, row: Row) -> None:
    raw, nonce, aad, plain, text, tag = octets(row, "key", "iv", "aad", "msg", "ct", "tag")
    key = CIPHERS[name].key(raw + nonce[:4])
    if row["result"] == "valid":
        assert key.seal(nonce[4:], plain, aad) == text + tag
        assert key.open(nonce[4:], text + tag, aad) == plain
        return
    with pytest.raises(CryptoError):
        key.open(nonce[4:], text + tag, aad)


@pytest.mark.parametrize("row", CBCS, ids=test_id)
def test_cbc(row: Row) -> None:
    raw, iv, plain, text = octets(row, "key", "iv", "msg", "ct")
    pad = 16 - len(plain) % 16
    key = CIPHERS[f"aes{row['keySize']}"].key(raw)
    assert key.seal(iv, plain + bytes([pad]) * pad, b"") == text
    assert key.open(iv, text, b"") == plain + bytes([pad]) * pad


@pytest.mark.parametrize(("name", "row"), MACS, ids=lambda value: test_id(value) if isinstance(value, dict) else value)
def test_hmac(name: str, row: Row) -> None:
    key, message, tag = octets(row, "key", "msg", "tag")
    right = row["result"] == "valid"
    assert (PRFS[f"prf{name}"].mac(key, message)[: len(tag)] == tag) is right
    if len(tag) == INTEGS[name].icv_len:
        assert (INTEGS[name].mac(key, message) == tag) is right


@pytest.mark.parametrize(
    ("name", "row"), POINTS, ids=lambda value: test_id(value) if isinstance(value, dict) else value
)
def test_ecp(name: str, row: Row) -> None:
    """Their encoding has one leading octet (04: uncompressed) more than a KE payload (RFC 5903 section 7)."""
    private, public, shared = octets(row, "private", "public", "shared")
    offer = METHODS[name].start(replay(private))
    if row["result"] == "valid":
        assert public[0] == 4
        assert offer.finish(public[1:]) == shared
        return
    with pytest.raises(CryptoError):
        offer.finish(public[1:] if public[:1] == b"\4" else public)


@pytest.mark.parametrize(("name", "row"), XDH, ids=lambda value: test_id(value) if isinstance(value, dict) else value)
def test_x25519_and_x448(name: str, row: Row) -> None:
    """K16: where the result is all zero, the value was a point of small order and is refused (RFC 7748 section 6)."""
    private, public, shared = octets(row, "private", "public", "shared")
    offer = METHODS[name].start(replay(private))
    if row["result"] != "invalid" and any(shared):
        assert offer.finish(public) == shared
        return
    with pytest.raises(CryptoError):
        offer.finish(public)

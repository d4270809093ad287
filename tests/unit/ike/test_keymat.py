"""Key schedule against vectors, and its edges (RFC 7296 sections 2.13 to 2.18)."""

from __future__ import annotations

import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fynx.errors import CryptoError
from fynx.ike import keymat
from fynx.ike.protect import IkeSuite
from fynx.plugin import Cipher, Integ, KeyExchange, Prf
from tests.unit.ike.algorithms import ALGORITHMS

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "key_schedule.json").read_text())["tests"]
HASHES = {
    "PRF_HMAC_SHA1": ("sha1", 20),
    "PRF_HMAC_SHA2_256": ("sha256", 32),
    "PRF_HMAC_SHA2_384": ("sha384", 48),
    "PRF_HMAC_SHA2_512": ("sha512", 64),
}


def prf_of(name: str) -> Prf:
    digest, size = HASHES[name]
    built_in = next((prf for prf in ALGORITHMS.prfs.values() if prf.keyword == f"prf{digest}"), None)
    return built_in or Prf(name, 2, size, size, lambda key, data: hmac.digest(key, data, digest))


def suite_of(vector: dict[str, Any]) -> IkeSuite:
    """A suite of the vector's key lengths; nothing of it but the lengths and the prf takes part here."""

    def refuse(*_: object) -> Any:
        raise AssertionError("no key of this suite is used")

    octets = vector["integ_key_octets"]
    integ = Integ("integ", 1, octets, 12, refuse) if octets else None
    cipher = Cipher("encr", 1, 8 * vector["encr_key_octets"], 0, 8, 16, 1, integ is None, refuse)
    return IkeSuite(cipher, prf_of(vector["prf"]), integ, KeyExchange("ke", 1, 1, 1, refuse, refuse))


def octets(vector: dict[str, Any], *names: str) -> list[bytes]:
    return [bytes.fromhex(vector[name]) for name in names]


@pytest.mark.parametrize("vector", VECTORS)
def test_ike_keys_are_those_of_the_vector(vector: dict[str, Any]) -> None:
    suite = suite_of(vector)
    ni, nr, spi_i, spi_r, shared = octets(vector, "ni", "nr", "spi_i", "spi_r", "shared_secret")
    assert keymat.skeyseed(suite.prf, ni, nr, shared).hex() == vector["skeyseed"]
    keys = keymat.derive_ike(suite, ni, nr, spi_i, spi_r, shared)
    for name in keymat.IkeKeys.__slots__:
        assert getattr(keys, name).hex() == vector[name], name


@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize("case", ["first_child_keymat", "child_keymat_with_ke"])
def test_child_keys_are_cut_from_keymat_in_order(vector: dict[str, Any], case: str) -> None:
    wanted = vector[case]
    source = wanted if "ni" in wanted else vector
    ni, nr = octets(source, "ni", "nr")
    shared = bytes.fromhex(wanted.get("shared_secret", ""))
    stream = bytes.fromhex(wanted["keymat"])
    enc_len, salt_len = 16, 4
    integ_len = wanted["octets"] // 2 - enc_len - salt_len
    sk_d = bytes.fromhex(vector["sk_d"])
    pair = keymat.derive_child(prf_of(vector["prf"]), sk_d, ni, nr, enc_len, salt_len, integ_len, shared)
    for keys, half in zip(pair, (stream[: len(stream) // 2], stream[len(stream) // 2 :]), strict=True):
        key = keys.key.reveal()
        assert key[:enc_len] + keys.salt.reveal() + key[enc_len:] == half
        assert len(keys.salt) == salt_len


@pytest.mark.parametrize("vector", VECTORS)
def test_rekeyed_ike_sa_starts_from_the_old_sk_d(vector: dict[str, Any]) -> None:
    ni, nr, shared = octets(vector["ike_rekey"], "ni", "nr", "shared_secret")
    seed = keymat.rekey_skeyseed(prf_of(vector["prf"]), bytes.fromhex(vector["sk_d"]), shared, ni, nr)
    assert seed.hex() == vector["ike_rekey"]["skeyseed"]


@pytest.mark.parametrize("vector", VECTORS)
def test_psk_auth_of_the_initiator_is_that_of_the_vector(vector: dict[str, Any]) -> None:
    case, prf = vector["psk_auth_initiator"], prf_of(vector["prf"])
    psk, message, body = octets(case, "psk", "ike_sa_init_request", "id_payload_body")
    signed = keymat.signed_octets(prf, bytes.fromhex(vector["sk_pi"]), message, bytes.fromhex(vector["nr"]), body)
    assert keymat.psk_auth(prf, psk, signed).hex() == case["auth"]


def test_prf_plus_ends_after_255_blocks() -> None:
    prf = prf_of("PRF_HMAC_SHA2_256")
    assert len(keymat.prf_plus(prf, b"key", b"seed", 255 * 32)) == 255 * 32
    with pytest.raises(CryptoError):
        keymat.prf_plus(prf, b"key", b"seed", 255 * 32 + 1)


@given(length=st.integers(0, 300), more=st.integers(0, 300))
def test_prf_plus_of_fewer_octets_is_a_prefix(length: int, more: int) -> None:
    prf = prf_of("PRF_HMAC_SHA2_384")
    assert keymat.prf_plus(prf, b"k", b"s", length + more)[:length] == keymat.prf_plus(prf, b"k", b"s", length)


@pytest.mark.parametrize("transform_id", [4, 8])
def test_prfs_with_a_fixed_key_take_64_bits_of_each_nonce(transform_id: int) -> None:
    prf = Prf("prfaes", transform_id, 16, 32, lambda key, data: hmac.digest(key, data, "sha256"))
    ni, nr = bytes(range(32)), bytes(range(100, 132))
    assert keymat.skeyseed(prf, ni, nr, b"secret") == hmac.digest(ni[:8] + nr[:8], b"secret", "sha256")


def test_a_leading_zero_of_the_shared_secret_counts_k17() -> None:
    prf = prf_of("PRF_HMAC_SHA2_256")
    assert keymat.skeyseed(prf, b"i" * 16, b"r" * 16, b"\0\1") != keymat.skeyseed(prf, b"i" * 16, b"r" * 16, b"\1")


def test_keys_do_not_show_and_wipe_to_zero() -> None:
    keys = keymat.IkeKeys(*[bytes((index,)) * 4 for index in range(1, 8)])
    assert repr(keys) == "IkeKeys(…)"
    held = keys.sk_d
    keys.wipe()
    assert held == bytes(4)
    assert all(not any(getattr(keys, name)) for name in keymat.IkeKeys.__slots__)

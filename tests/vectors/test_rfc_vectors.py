"""The algorithm plugins against the vectors of RFC 3602, 4106, 4231, 4868, 5903, 7634, 7748 and 8439."""

from __future__ import annotations

import pytest

from fynx_plugins import x448, x25519
from tests.vectors.algorithms import CIPHERS, INTEGS, METHODS, PRFS, replay
from tests.vectors.vector_files import Row, octets, rfc

GCM = rfc("draft-mcgrew-gcm-test-esp")["tests"]
CBC = rfc("rfc3602-aes-cbc")["cbc"]
CHACHA = rfc("rfc7634-chacha20poly1305")
AEAD = rfc("rfc8439-chacha20poly1305")["tests"]
HMAC = rfc("rfc4231-hmac-sha2")["tests"]
AUTH = rfc("rfc4868-auth")["tests"]
ECP = rfc("rfc5903-ecp")["tests"]
CURVES = rfc("rfc7748-x25519-x448")


@pytest.mark.parametrize("row", GCM, ids=lambda row: f"case {row['case']}")
def test_aes_gcm_gives_the_esp_packets_of_the_draft(row: Row) -> None:
    key, salt, iv, aad, plain, text, icv = octets(row, "key", "salt", "iv", "aad", "plaintext", "ciphertext", "icv")
    cipher = CIPHERS[f"aes{8 * len(key)}gcm16"].key(key + salt)
    assert cipher.seal(iv, plain, aad) == text + icv
    assert cipher.open(iv, text + icv, aad) == plain


@pytest.mark.parametrize("row", CBC, ids=lambda row: f"case {row['case']}")
def test_aes_cbc_gives_the_answers_of_rfc_3602(row: Row) -> None:
    key, iv, plain, text = octets(row, "key", "iv", "plaintext", "ciphertext")
    cipher = CIPHERS[f"aes{8 * len(key)}"].key(key)
    assert cipher.seal(iv, plain, b"") == text
    assert cipher.open(iv, text, b"") == plain


def test_chacha20_poly1305_gives_the_esp_packet_of_rfc_7634() -> None:
    keymat, iv, aad, plain, text, tag = octets(CHACHA["esp"], "keymat", "iv", "aad", "plaintext", "ciphertext", "tag")
    cipher = CIPHERS["chacha20poly1305"].key(keymat)
    assert cipher.seal(iv, plain, aad) == text + tag
    assert cipher.open(iv, text + tag, aad) == plain


@pytest.mark.parametrize("row", AEAD)
def test_chacha20_poly1305_gives_the_answer_of_rfc_8439(row: Row) -> None:
    key, nonce, aad, plain, text, tag = octets(row, "key", "nonce", "aad", "plaintext", "ciphertext", "tag")
    assert CIPHERS["chacha20poly1305"].key(key + nonce[:4]).seal(nonce[4:], plain, aad) == text + tag


@pytest.mark.parametrize("name", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("row", HMAC, ids=lambda row: f"case {row['case']}")
def test_hmac_gives_the_answers_of_rfc_4231(row: Row, name: str) -> None:
    key, data, answer = octets(row, "key", "data", f"hmac_{name}")
    assert PRFS[f"prf{name}"].mac(key, data)[: len(answer)] == answer
    assert INTEGS[name].mac(key, data) == PRFS[f"prf{name}"].mac(key, data)[: INTEGS[name].icv_len]


@pytest.mark.parametrize("row", AUTH, ids=lambda row: str(row["case"]))
def test_hmac_gives_the_answers_of_rfc_4868(row: Row) -> None:
    key, data, output, icv = octets(row, "key", "data", "prf", "icv")
    name = f"sha{8 * len(output)}"
    assert PRFS[f"prf{name}"].mac(key, data) == output
    assert INTEGS[name].mac(key, data) == icv


@pytest.mark.parametrize("row", ECP, ids=lambda row: f"group {row['group']}")
def test_ecp_gives_the_payloads_of_rfc_5903(row: Row) -> None:
    method = {method.transform_id: method for method in METHODS.values()}[row["group"]]
    private_i, private_r, kei, ker, shared = octets(row, "i", "r", "kei_payload", "ker_payload", "shared_secret")
    offer = method.start(replay(private_i))
    assert offer.public == kei[8:]
    assert offer.finish(ker[8:]) == shared
    assert method.answer(kei[8:], replay(private_r)) == (ker[8:], shared)


@pytest.mark.parametrize("row", CURVES["diffie_hellman"], ids=lambda row: str(row["algorithm"]))
def test_the_curves_agree_as_in_rfc_7748(row: Row) -> None:
    method = METHODS[row["algorithm"].lower()]
    a, A, b, B, shared = octets(row, "alice_private", "alice_public", "bob_private", "bob_public", "shared_secret")
    assert method.start(replay(a)).public == A
    assert method.start(replay(a)).finish(B) == shared
    assert method.answer(A, replay(b)) == (B, shared)


@pytest.mark.parametrize("row", CURVES["single"], ids=lambda row: f"{row['algorithm']} {row['u'][:8]}")
def test_one_multiplication_gives_the_answer_of_rfc_7748(row: Row) -> None:
    scalar, u, output = octets(row, "scalar", "u", "output")
    assert METHODS[row["algorithm"].lower()].start(replay(scalar)).finish(u) == output


def test_a_thousand_multiplications_of_x25519_give_the_answer_of_rfc_7748() -> None:
    scalar = u = (9).to_bytes(32, "little")
    answers = CURVES["iterated"]["X25519"]
    for count in range(1, 1001):
        scalar, u = x25519.X25519Offer(scalar).finish(u), scalar
        if str(count) in answers:
            assert scalar.hex() == answers[str(count)]


def test_the_private_value_of_a_curve_is_the_injected_randomness() -> None:
    lengths: list[int] = []

    def random(length: int) -> bytes:
        lengths.append(length)
        return bytes(range(length))

    assert x25519.start(random).public == x25519.start(random).public
    assert x448.start(random).public == x448.start(random).public
    assert lengths == [32, 32, 56, 56]

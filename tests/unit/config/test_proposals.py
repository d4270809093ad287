"""Proposal strings both ways, through the algorithms that the loaded plugins offer (RFC 7296 section 3.3)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fynx.config.model import ESP, IKE
from fynx.config.problems import Wrong
from fynx.config.proposal import parse_esp, parse_ike, show
from fynx.plugin.crypto import Algorithms
from fynx.wire.iana import Encr, Esn, Integ, Ke, Prf, Protocol, TransformType
from fynx.wire.proposal import Proposal, transform
from tests.unit.config.support import registry

ALGORITHMS = registry().algorithms
ENCR, PRF, INTEG, KE, ESN = (
    TransformType.ENCR,
    TransformType.PRF,
    TransformType.INTEG,
    TransformType.KE,
    TransformType.ESN,
)


def test_the_first_default_is_aes_256_gcm_with_sha_384_and_x25519() -> None:
    proposal = parse_ike(IKE[0], ALGORITHMS)
    assert proposal.protocol == Protocol.IKE
    assert proposal.transforms == (
        transform(ENCR, Encr.ENCR_AES_GCM_16, 256),
        transform(PRF, Prf.PRF_HMAC_SHA2_384),
        transform(KE, Ke.CURVE25519),
    )


def test_a_cipher_without_integrity_comes_with_a_mac() -> None:
    proposal = parse_ike("aes256-sha512-prfsha512-modp4096", ALGORITHMS)
    assert proposal.of_type(INTEG) == (transform(INTEG, Integ.AUTH_HMAC_SHA2_512_256),)
    assert proposal.of_type(ENCR) == (transform(ENCR, Encr.ENCR_AES_CBC, 256),)


def test_a_cipher_of_one_key_length_carries_no_key_length() -> None:
    proposal = parse_esp("chacha20poly1305", ALGORITHMS)
    assert proposal.of_type(ENCR) == (transform(ENCR, Encr.ENCR_CHACHA20_POLY1305),)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("aes128gcm16", [0]), ("aes128gcm16-noesn", [0]), ("aes128gcm16-esn", [1]), ("aes128gcm16-esn-noesn", [1, 0])],
)
def test_esp_always_names_its_sequence_numbers(text: str, numbers: list[int]) -> None:
    assert [one.id for one in parse_esp(text, ALGORITHMS).of_type(ESN)] == numbers


def test_words_of_one_kind_are_alternatives_in_their_order() -> None:
    proposal = parse_ike("aes256gcm16-aes128gcm16-prfsha384-x25519-ecp256", ALGORITHMS)
    assert [one.key_bits for one in proposal.of_type(ENCR)] == [256, 128]
    assert [one.id for one in proposal.of_type(KE)] == [Ke.CURVE25519, Ke.ECP_256]


@pytest.mark.parametrize("text", [*IKE, "aes128-sha256-prfsha256-ecp256", "aes256gcm16-prfsha512-x448-modp3072"])
def test_an_ike_proposal_is_shown_as_it_was_written(text: str) -> None:
    assert show(parse_ike(text, ALGORITHMS), ALGORITHMS) == text


@pytest.mark.parametrize(
    "text", [*ESP, "aes256-sha256", "aes256gcm16-esn", "aes256gcm16-esn-noesn", "aes192-sha384-esn"]
)
def test_an_esp_proposal_is_shown_as_it_was_written(text: str) -> None:
    assert show(parse_esp(text, ALGORITHMS), ALGORITHMS) == text


def words(table: object) -> st.SearchStrategy[list[str]]:
    known = sorted(one.keyword for one in table)  # type: ignore[attr-defined]
    return st.lists(st.sampled_from(known), min_size=1, unique=True)


AEADS = [one for one in ALGORITHMS.ciphers.values() if one.aead and one.ike]
OTHERS = [one for one in ALGORITHMS.ciphers.values() if not one.aead]


@given(words(AEADS), words(ALGORITHMS.prfs.values()), words(ALGORITHMS.key_exchanges.values()))
def test_every_aead_suite_goes_there_and_back(encr: list[str], prf: list[str], ke: list[str]) -> None:
    text = "-".join(encr + prf + ke)
    assert show(parse_ike(text, ALGORITHMS), ALGORITHMS) == text


@given(words(OTHERS), words(ALGORITHMS.integs.values()), st.permutations(["esn", "noesn"]))
def test_every_mac_suite_goes_there_and_back(encr: list[str], integ: list[str], esn: list[str]) -> None:
    text = "-".join(encr + integ + esn)
    assert show(parse_esp(text, ALGORITHMS), ALGORITHMS) == text


def test_what_no_plugin_offers_is_shown_by_its_numbers() -> None:
    proposal = Proposal(1, 1, b"", (transform(ENCR, 99, 256), transform(KE, 2), transform(ESN, Esn.ESN)))
    assert show(proposal, ALGORITHMS) == "1:99/256-4:2-esn"


WRONG_IKE = {
    "aes256gcm16-prfsha384-x25518": ("unknown word 'x25518'; did you mean 'x25519'", "ecp256"),
    "aes256gcm16-prfsha384-modp1024": ("unknown word 'modp1024'", "modp2048"),
    "AES256GCM16-prfsha384-x25519": ("unknown word 'AES256GCM16'", "aes256gcm16"),
    "": ("unknown word ''", "known: aes128"),
    "aes256gcm16--x25519": ("unknown word ''", "known: "),
    "prfsha384-x25519": ("no encryption", "aes256gcm16"),
    "aes256gcm16-x25519": ("no PRF", "prfsha256, prfsha384"),
    "aes256gcm16-prfsha384": ("no key exchange", "x25519"),
    "aes256gcm16-sha256-prfsha384-x25519": ("brings its own integrity (RFC 5282", "write aes256gcm16-prfsha384-x25519"),
    "aes256-prfsha256-x25519": ("aes256 needs an integrity algorithm", "-sha256"),
    "aes256gcm16-aes256-sha256-prfsha256-x25519": ("cannot share a proposal", "one proposal for each"),
    "aes256gcm16-prfsha384-x25519-x25519": ("x25519 stands twice", "remove one"),
    "aes256gcm16-prfsha384-x25519-esn": ("esn does not belong here", "write aes256gcm16-prfsha384-x25519"),
}
WRONG_ESP = {
    "aes256gcm16-prfsha384": ("prfsha384 does not belong here: ESP has no PRF", "write aes256gcm16"),
    "aes256gcm16-sha256": ("brings its own integrity", "write aes256gcm16"),
    "aes256": ("aes256 needs an integrity algorithm", "write aes256-sha256"),
    "sha256": ("no encryption", "begin with a cipher"),
    "null": ("unknown word 'null'", "aes128gcm16"),
    "aes256gcm16-esn-esn": ("esn stands twice", "remove one"),
}


@pytest.mark.parametrize("text", WRONG_IKE)
def test_an_ike_proposal_that_makes_no_suite_is_refused(text: str) -> None:
    telling, remedy = WRONG_IKE[text]
    with pytest.raises(Wrong) as caught:
        parse_ike(text, ALGORITHMS)
    assert telling in str(caught.value)
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("text", WRONG_ESP)
def test_an_esp_proposal_that_makes_no_suite_is_refused(text: str) -> None:
    telling, remedy = WRONG_ESP[text]
    with pytest.raises(Wrong) as caught:
        parse_esp(text, ALGORITHMS)
    assert telling in str(caught.value)
    assert remedy in caught.value.remedy


def test_a_key_exchange_in_an_esp_proposal_asks_for_pfs() -> None:
    found = parse_esp("aes256gcm16-x25519-ecp256", ALGORITHMS)
    assert [one.id for one in found.of_type(TransformType.KE)] == [31, 19]


def test_the_list_of_known_words_fits_the_protocol() -> None:
    with pytest.raises(Wrong) as esp:
        parse_esp("x", ALGORITHMS)
    assert "prfsha256" not in esp.value.remedy
    assert "x25519" in esp.value.remedy
    with pytest.raises(Wrong) as ike:
        parse_ike("x", ALGORITHMS)
    assert "noesn" not in ike.value.remedy


def test_a_cipher_that_is_not_meant_for_the_protocol_is_refused() -> None:
    ciphers = {key: replace(one, ike=False) for key, one in ALGORITHMS.ciphers.items()}
    algorithms = Algorithms(ciphers, ALGORITHMS.prfs, ALGORITHMS.integs, ALGORITHMS.key_exchanges)
    with pytest.raises(Wrong, match="aes256gcm16 is not for IKE"):
        parse_ike(IKE[0], algorithms)
    assert parse_esp("aes256gcm16", algorithms)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("aes256gcm16iiv", transform(ENCR, Encr.ENCR_AES_GCM_16_IIV, 256)),
        ("chacha20poly1305iiv", transform(ENCR, Encr.ENCR_CHACHA20_POLY1305_IIV)),
    ],
)
def test_an_implicit_iv_is_for_esp_and_refused_for_ike(text: str, wanted: object) -> None:
    assert parse_esp(text, ALGORITHMS).of_type(ENCR) == (wanted,)
    with pytest.raises(Wrong, match=f"{text} is not for IKE"):
        parse_ike(f"{text}-prfsha256-x25519", ALGORITHMS)

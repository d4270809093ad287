"""Choosing and checking proposals (RFC 7296 sections 2.7 and 3.3; rows K1, K2, K5-K8, K11, C7, C9)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fynx.errors import PeerFault
from fynx.ike.negotiate import (
    Choice,
    Refusal,
    check_esp_answer,
    check_ike_answer,
    choose_esp,
    choose_ike,
    describe,
    offer_esp,
    offer_ike,
)
from fynx.wire.iana import NotifyType
from fynx.wire.proposal import Attribute, Proposal, Transform, encode_proposals, parse_proposals, transform
from tests.unit.ike.algorithms import (
    ALGORITHMS,
    CBC_256,
    CHACHA,
    ECP_256,
    GCM_128,
    GCM_256,
    INTEG_NONE,
    MODP_2048,
    NO_ESN,
    PRF_256,
    PRF_384,
    SHA256,
    SHA512,
    WITH_ESN,
    X25519,
    esp,
    ike,
)
from tests.work import calls

POLICY = (ike(GCM_256, GCM_128, PRF_384, PRF_256, X25519, ECP_256), ike(CBC_256, SHA256, PRF_256, MODP_2048))
ESP_POLICY = (esp(GCM_256, GCM_128), esp(CBC_256, SHA256, NO_ESN))


def chosen(*transforms: Transform, policy: tuple[Proposal, ...] = POLICY) -> tuple[Transform, ...]:
    choice = choose_ike((ike(*transforms),), policy, ALGORITHMS)
    assert isinstance(choice, Choice), choice
    return choice.proposal.transforms


def refusal(*transforms: Transform, policy: tuple[Proposal, ...] = POLICY) -> Refusal:
    choice = choose_ike((ike(*transforms),), policy, ALGORITHMS)
    assert isinstance(choice, Refusal), choice
    return choice


def esp_refusal(*transforms: Transform, policy: tuple[Proposal, ...] = ESP_POLICY) -> Refusal:
    choice = choose_esp((esp(*transforms),), policy, ALGORITHMS, initial=True)
    assert isinstance(choice, Refusal), choice
    return choice


def test_our_order_of_preference_decides() -> None:
    assert chosen(GCM_128, GCM_256, PRF_256, PRF_384, ECP_256, X25519) == (GCM_256, PRF_384, X25519)
    assert chosen(GCM_128, PRF_256, ECP_256) == (GCM_128, PRF_256, ECP_256)


def test_our_first_proposal_is_tried_against_all_of_the_peer() -> None:
    offered = (ike(CBC_256, SHA256, PRF_256, MODP_2048), ike(GCM_128, PRF_256, X25519, number=2))
    choice = choose_ike(offered, POLICY, ALGORITHMS)
    assert isinstance(choice, Choice)
    assert (choice.proposal.number, choice.suite.keyword) == (2, "aes128gcm16-prfsha256-x25519")
    assert choice.ke == 31


def test_the_suite_has_the_integrity_algorithm_of_a_cbc_cipher() -> None:
    choice = choose_ike((ike(CBC_256, SHA512, SHA256, PRF_256, MODP_2048),), POLICY, ALGORITHMS)
    assert isinstance(choice, Choice)
    assert choice.suite.keyword == "aes256-sha256-prfsha256-modp2048"


def test_integrity_none_that_was_offered_is_answered() -> None:
    assert chosen(GCM_256, INTEG_NONE, PRF_256, X25519) == (GCM_256, PRF_256, INTEG_NONE, X25519)


@pytest.mark.parametrize("missing", [GCM_256, PRF_256, X25519])
def test_a_proposal_without_a_mandatory_type_is_not_chosen_k5(missing: Transform) -> None:
    rest = [one for one in (GCM_256, PRF_256, X25519) if one is not missing]
    assert refusal(*rest).reason


def test_cbc_without_integrity_is_not_chosen_k5() -> None:
    assert "integrity" in refusal(CBC_256, PRF_256, MODP_2048, policy=POLICY[1:]).reason
    assert "integrity" in refusal(CBC_256, INTEG_NONE, PRF_256, MODP_2048, policy=POLICY[1:]).reason


def test_our_own_policy_without_a_key_exchange_is_never_used_k5() -> None:
    assert refusal(GCM_256, PRF_256, policy=(ike(GCM_256, PRF_256),))
    none = transform(4, 0)
    assert refusal(GCM_256, PRF_256, none, policy=(ike(GCM_256, PRF_256, none),))


def test_aead_with_integrity_is_not_chosen_k6() -> None:
    assert "integrity" in refusal(GCM_256, SHA256, PRF_256, X25519).reason
    assert "integrity" in esp_refusal(GCM_256, SHA256, NO_ESN).reason


@pytest.mark.parametrize("encr", [11, 21])
def test_null_and_gmac_are_not_chosen_k6(encr: int) -> None:
    assert refusal(transform(1, encr), PRF_256, X25519)
    assert refusal(transform(1, encr, 128), PRF_256, X25519, policy=(ike(transform(1, encr, 128), PRF_256, X25519),))


@pytest.mark.parametrize(
    "attributes",
    [
        (),
        *[(Attribute(14, bits),) for bits in (0, 1, 127, 255, 257, 65535)],
        (Attribute(14, 256), Attribute(14, 256)),
        (Attribute(14, 256), Attribute(13, 1)),
        (Attribute(13, 256),),
        (Attribute(14, b"\x01\x00"),),
    ],
)
def test_other_key_lengths_and_attributes_are_not_acceptable_k7(attributes: tuple[Attribute, ...]) -> None:
    assert refusal(Transform(1, 20, attributes), PRF_256, X25519, policy=(ike(GCM_256, PRF_256, X25519),))


def test_a_bad_transform_does_not_hide_a_good_one_k7() -> None:
    bad = Transform(1, 20, (Attribute(14, 256), Attribute(14, 256)))
    assert chosen(bad, GCM_128, PRF_256, X25519) == (GCM_128, PRF_256, X25519)


def test_chacha_with_a_key_length_is_not_acceptable_k7() -> None:
    policy = (ike(CHACHA, PRF_256, X25519),)
    assert chosen(CHACHA, PRF_256, X25519, policy=policy)
    assert refusal(transform(1, 28, 256), PRF_256, X25519, policy=policy)


@given(kind=st.integers(0, 255), number=st.integers(0, 65535), bits=st.none() | st.integers(0, 65535))
@settings(max_examples=300)
def test_unknown_transforms_are_never_chosen_and_never_crash_k8(kind: int, number: int, bits: int | None) -> None:
    odd = transform(kind, number, bits)
    choice = choose_ike((ike(GCM_256, PRF_256, X25519, odd),), POLICY, ALGORITHMS)
    if isinstance(choice, Choice):
        assert set(choice.proposal.transforms) <= {one for proposal in POLICY for one in proposal.transforms} | {
            INTEG_NONE,
            *[transform(kind, 0) for kind in range(6, 13)],
        }
    describe(ike(odd), ALGORITHMS)


def test_all_transform_ids_of_all_types_are_refused_where_unknown_k8() -> None:
    for kind in (1, 2, 3, 4):
        known = {one.id for proposal in POLICY for one in proposal.of_type(kind)}
        for start in range(0, 65536, 1000):
            numbers = range(start, min(start + 1000, 65536))
            flood = [transform(kind, number) for number in numbers if number not in known]
            others = [one for one in (GCM_256, PRF_256, X25519) if one.type != kind]
            if kind == 3 and start == 0:
                continue  # NONE is among them
            assert refusal(*others, *flood), kind


def test_an_spi_in_the_initial_proposal_is_a_syntax_error_k2() -> None:
    with pytest.raises(PeerFault) as caught:
        choose_ike((ike(GCM_256, PRF_256, X25519, spi=b"12345678"),), POLICY, ALGORITHMS)
    assert caught.value.notify == NotifyType.INVALID_SYNTAX


@pytest.mark.parametrize("spi", [b"", b"123", b"12345", b"12345678"])
def test_an_esp_spi_has_four_octets_c7(spi: bytes) -> None:
    with pytest.raises(PeerFault):
        choose_esp((esp(GCM_256, NO_ESN, spi=spi),), ESP_POLICY, ALGORITHMS)


def test_no_proposal_at_all_is_refused_k1() -> None:
    assert isinstance(choose_ike((), POLICY, ALGORITHMS), Refusal)
    assert isinstance(choose_esp((), ESP_POLICY, ALGORITHMS), Refusal)


def test_esp_chooses_32_bit_sequence_numbers_unless_the_policy_says_otherwise() -> None:
    choice = choose_esp((esp(GCM_256, WITH_ESN, NO_ESN),), ESP_POLICY, ALGORITHMS)
    assert isinstance(choice, Choice)
    assert not choice.suite.esn
    choice = choose_esp((esp(GCM_256, WITH_ESN, NO_ESN),), (esp(GCM_256, WITH_ESN),), ALGORITHMS)
    assert isinstance(choice, Choice)
    assert (choice.suite.esn, choice.suite.keyword) == (True, "aes256gcm16-esn")


def test_an_esp_proposal_without_esn_transform_is_not_guessed_at_c9() -> None:
    assert "ESN" in esp_refusal(GCM_256).reason


def test_key_exchanges_stay_out_of_ike_auth() -> None:
    policy = (esp(GCM_256, X25519),)
    choice = choose_esp((esp(GCM_256, NO_ESN),), policy, ALGORITHMS, initial=True)
    assert isinstance(choice, Choice)
    assert choice.ke == 0
    assert isinstance(choose_esp((esp(GCM_256, NO_ESN),), policy, ALGORITHMS), Refusal)
    assert offer_esp(policy, b"spi!", initial=True) == (esp(GCM_256, NO_ESN, spi=b"spi!"),)
    assert offer_esp(policy, b"spi!", initial=False) == (esp(GCM_256, X25519, NO_ESN, spi=b"spi!"),)


def test_esp_with_a_key_exchange_takes_one_in_create_child_sa() -> None:
    choice = choose_esp((esp(GCM_256, ECP_256, X25519, NO_ESN),), (esp(GCM_256, X25519, ECP_256),), ALGORITHMS)
    assert isinstance(choice, Choice)
    assert choice.ke == 31


OFFERED = offer_ike(POLICY)
ESP_OFFERED = offer_esp(ESP_POLICY, b"\0\1\0\1", initial=True)


def answer_refused(*answer: Proposal) -> int:
    with pytest.raises(PeerFault) as caught:
        check_ike_answer(OFFERED, answer, ALGORITHMS)
    return caught.value.notify


def test_an_answer_out_of_our_offer_is_granted() -> None:
    choice = check_ike_answer(OFFERED, (ike(CBC_256, SHA256, PRF_256, MODP_2048, number=2),), ALGORITHMS)
    assert choice.suite.keyword == "aes256-sha256-prfsha256-modp2048"
    assert check_ike_answer(OFFERED, (ike(GCM_128, PRF_256, ECP_256),), ALGORITHMS).ke == 19


@pytest.mark.parametrize(
    "answer",
    [
        (),
        (ike(GCM_256, PRF_256, X25519), ike(CBC_256, SHA256, PRF_256, MODP_2048, number=2)),
        (ike(GCM_256, PRF_256, X25519, number=2),),
        (ike(GCM_256, PRF_256, X25519, number=3),),
        (ike(GCM_256, GCM_128, PRF_256, X25519),),
        (ike(GCM_256, GCM_256, PRF_256, X25519),),
        (ike(transform(1, 20, 192), PRF_256, X25519),),
        (ike(transform(1, 20), PRF_256, X25519),),
        (ike(GCM_256, PRF_256, MODP_2048),),
        (ike(GCM_256, PRF_256),),
        (ike(GCM_256, X25519),),
        (ike(GCM_256, SHA256, PRF_256, X25519),),
        (ike(GCM_256, PRF_256, X25519, NO_ESN),),
        (ike(Transform(1, 20, (Attribute(14, 256), Attribute(13, 1))), PRF_256, X25519),),
        (replace(esp(GCM_256, PRF_256, X25519), spi=b""),),
    ],
)
def test_an_answer_that_is_not_one_of_our_combinations_fails_k11(answer: tuple[Proposal, ...]) -> None:
    assert answer_refused(*answer) == NotifyType.NO_PROPOSAL_CHOSEN


@pytest.mark.parametrize("esn", [(), (NO_ESN, WITH_ESN), (WITH_ESN,), (NO_ESN, NO_ESN)])
def test_an_esp_answer_names_esn_once_and_as_offered_c9(esn: tuple[Transform, ...]) -> None:
    assert not check_esp_answer(ESP_OFFERED, (esp(GCM_256, NO_ESN),), ALGORITHMS).suite.esn
    with pytest.raises(PeerFault):
        check_esp_answer(ESP_OFFERED, (esp(GCM_256, *esn),), ALGORITHMS)


def test_a_refusal_says_which_type_failed_and_what_each_side_has() -> None:
    found = refusal(GCM_256, PRF_256, transform(4, 2), policy=POLICY[:1])
    assert found.reason == "no common key exchange: the peer offers MODP_1024, we accept x25519, ecp256"
    assert "aes256gcm16-aes128gcm16-prfsha384-prfsha256-x25519-ecp256" in found.remedy


def test_description_falls_back_to_registry_names() -> None:
    odd = ike(transform(1, 12, 99), transform(2, 1), transform(3, 2), transform(4, 0x1234), transform(200, 7))
    assert describe(odd, ALGORITHMS).startswith("ENCR_AES_CBC-99-AUTH_HMAC_SHA1_96-PRF_HMAC_MD5-")
    assert describe(esp(CHACHA, NO_ESN), ALGORITHMS) == "chacha20poly1305"


IMPLICIT_256 = transform(1, 30, 256)  # ENCR_AES_GCM_16_IIV


@pytest.mark.parametrize(
    ("theirs", "wanted"),
    [((IMPLICIT_256, GCM_256), IMPLICIT_256), ((GCM_256,), GCM_256), ((GCM_128, GCM_256), GCM_256)],
)
def test_an_implicit_iv_is_taken_where_both_have_it(theirs: tuple[Transform, ...], wanted: Transform) -> None:
    """The initiator offers the explicit cipher beside it for peers without (RFC 8750 section 5)."""
    offered = (esp(IMPLICIT_256, GCM_256, NO_ESN),)
    choice = choose_esp(offered, (esp(*theirs, NO_ESN),), ALGORITHMS, initial=True)
    assert isinstance(choice, Choice), choice
    assert choice.proposal.transforms == (wanted, NO_ESN)


def test_an_implicit_iv_in_an_ike_proposal_is_refused() -> None:
    """RFC 8750 section 7: not for IKE, whatever both sides say."""
    both = (IMPLICIT_256, PRF_256, X25519)
    assert isinstance(choose_ike((ike(*both),), (ike(*both),), ALGORITHMS), Refusal)


TRANSFORMS = st.sampled_from(
    [GCM_256, GCM_128, CBC_256, CHACHA, PRF_256, PRF_384, SHA256, SHA512, INTEG_NONE, X25519, ECP_256, MODP_2048]
)
PROPOSALS = st.lists(st.lists(TRANSFORMS, min_size=1, max_size=9), min_size=1, max_size=3).map(
    lambda found: tuple(ike(*one, number=number) for number, one in enumerate(found, 1))
)


@given(offered=PROPOSALS, policy=PROPOSALS)
@settings(max_examples=300)
def test_a_choice_is_one_transform_per_type_common_to_both_and_the_offerer_grants_it(
    offered: tuple[Proposal, ...], policy: tuple[Proposal, ...]
) -> None:
    choice = choose_ike(offered, policy, ALGORITHMS)
    if isinstance(choice, Refusal):
        assert choice.reason
        assert choice.remedy
        return
    types = [one.type for one in choice.proposal.transforms]
    assert len(set(types)) == len(types)
    assert set(choice.proposal.transforms) <= set(offered[choice.proposal.number - 1].transforms)
    granted = check_ike_answer(offered, (choice.proposal,), ALGORITHMS)
    assert granted.suite == choice.suite
    wire = parse_proposals(encode_proposals((choice.proposal,)))
    assert wire == (choice.proposal,)


def test_the_largest_offer_is_bounded_work_k4() -> None:
    flood = tuple(
        ike(*[transform(1 + index % 4, 1024 + index) for index in range(120)], number=number) for number in range(1, 9)
    )

    def refuse() -> None:
        assert isinstance(choose_ike(flood, POLICY, ALGORITHMS), Refusal)

    assert calls(refuse) < 10_000

"""The contract of key exchanges, rows K12 to K17: RFC 6989, RFC 8031, RFC 5903, RFC 7296 2.14."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable
from itertools import count

import pytest

from fynx.plugin import CryptoError, KeyExchange
from fynx_plugins import ecp, modp, x448, x25519
from tests.plugins import installed
from tests.vectors.algorithms import replay

METHODS = installed.key_exchanges()
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
MODP = {group.keyword: group for group in modp.GROUPS}
ECP = {group.keyword: group for group in ecp.GROUPS}

PRIMES = {
    "ecp256": 2**256 - 2**224 + 2**192 + 2**96 - 1,
    "ecp384": 2**384 - 2**128 - 2**96 + 2**32 - 1,
    "ecp521": 2**521 - 1,
}
X25519_SMALL = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
)
"""The values of small order of Curve25519 and its twist, canonical or not, below 2^255."""
X25519_MASKED = (
    "cdeb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880",
    "4c9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7",
    "d9ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "daffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "dbffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
)
"""The other five of the usual twelve. RFC 7748 section 5 masks the top bit, and then they are ordinary points."""


def seeded(seed: int) -> Callable[[int], bytes]:
    calls = count()
    return lambda length: hashlib.shake_256(b"%d/%d" % (seed, next(calls))).digest(length)


@every_method
def test_both_sides_come_to_the_same_secret(method: KeyExchange) -> None:
    offer = method.start(os.urandom)
    public, shared = method.answer(offer.public, os.urandom)
    assert (len(offer.public), len(public)) == (method.initiator_len, method.responder_len)
    assert offer.finish(public) == shared


@every_method
def test_the_same_randomness_gives_the_same_values(method: KeyExchange) -> None:
    peer = method.start(seeded(1)).public
    assert method.start(seeded(1)).public == peer
    assert method.start(seeded(2)).public != peer
    assert method.answer(peer, seeded(3)) == method.answer(peer, seeded(3))


@every_method
@pytest.mark.parametrize("length", [0, -1, +1, 65535])
def test_k12_a_value_of_another_length_is_refused(method: KeyExchange, length: int) -> None:
    offer = method.start(seeded(1))
    good = method.start(seeded(2)).public
    wrong = good[:length] if length < 0 else good + b"\0" if length == 1 else bytes(length)
    with pytest.raises(CryptoError):
        offer.finish(wrong)
    with pytest.raises(CryptoError):
        method.answer(wrong, seeded(3))


@pytest.mark.parametrize("keyword", MODP)
@pytest.mark.parametrize("value", ["0", "1", "p - 1", "p", "p + 1", "all ones"])
def test_k13_a_modp_value_out_of_range_is_refused(keyword: str, value: str) -> None:
    group, p = MODP[keyword], MODP[keyword].prime
    top = 2 ** (8 * group.length) - 1
    values = {"0": 0, "1": 1, "p - 1": p - 1, "p": p, "p + 1": p + 1, "all ones": top}
    wrong = values[value].to_bytes(group.length, "big")
    with pytest.raises(CryptoError, match="out of range"):
        METHODS[keyword].start(seeded(1)).finish(wrong)
    with pytest.raises(CryptoError, match="out of range"):
        METHODS[keyword].answer(wrong, seeded(1))


@pytest.mark.parametrize("keyword", MODP)
def test_the_smallest_and_largest_modp_values_in_range_are_taken(keyword: str) -> None:
    group = MODP[keyword]
    for value in (2, group.prime - 2):
        _, shared = METHODS[keyword].answer(value.to_bytes(group.length, "big"), seeded(1))
        assert len(shared) == group.length


@pytest.mark.parametrize("keyword", MODP)
def test_modp_is_the_power_of_plain_integers(keyword: str) -> None:
    group = MODP[keyword]
    exponent = int.from_bytes(seeded(1)(group.exponent_len), "big") | 1 << 8 * group.exponent_len - 1
    offer = METHODS[keyword].start(seeded(1))
    assert int.from_bytes(offer.public, "big") == pow(2, exponent, group.prime)
    peer = pow(2, 12345, group.prime)
    shared = offer.finish(peer.to_bytes(group.length, "big"))
    assert int.from_bytes(shared, "big") == pow(peer, exponent, group.prime)


@pytest.mark.parametrize("keyword", MODP)
def test_the_primes_are_those_of_rfc_3526(keyword: str) -> None:
    """p = 2^n - 2^(n - 64) - 1 + 2^64 * (floor(2^(n - 130) * pi) + c)."""
    bits, constant = {"modp2048": (2048, 124476), "modp3072": (3072, 1690314), "modp4096": (4096, 240904)}[keyword]
    prime = 2**bits - 2 ** (bits - 64) - 1 + 2**64 * (_pi(bits - 130) + constant)
    assert MODP[keyword].prime == prime


def _pi(bits: int) -> int:
    """floor(2^bits * pi), by Machin's formula."""
    one = 1 << (bits + 64)

    def arctan_of_inverse(x: int) -> int:
        total = term = one // x
        for n in count(1):
            term //= -x * x
            if not abs(term) > 1:
                return total
            total += term // (2 * n + 1)
        raise AssertionError

    return 4 * (4 * arctan_of_inverse(5) - arctan_of_inverse(239)) >> 64


def test_k14_the_groups_with_small_subgroups_are_not_shipped() -> None:
    assert not {method.transform_id for method in METHODS.values()} & {22, 23, 24}


@pytest.mark.parametrize("keyword", ECP)
def test_k15_what_is_no_point_of_the_curve_is_refused(keyword: str) -> None:
    group, prime = ECP[keyword], PRIMES[keyword]
    good = METHODS[keyword].start(seeded(1)).public
    x, y = good[: group.field_len], good[group.field_len :]
    values = {
        "zero": bytes(2 * group.field_len),
        "y + 1": x + ((int.from_bytes(y, "big") + 1) % prime).to_bytes(group.field_len, "big"),
        "x and y swapped": y + x,
        "x = p": prime.to_bytes(group.field_len, "big") + y,
        "y = p": x + prime.to_bytes(group.field_len, "big"),
        "all ones": b"\xff" * (2 * group.field_len),
        "one, one": (1).to_bytes(group.field_len, "big") * 2,
    }
    if int.from_bytes(y, "big") + prime < 2 ** (8 * group.field_len):
        values["y + p"] = x + (int.from_bytes(y, "big") + prime).to_bytes(group.field_len, "big")
    for why, wrong in values.items():
        with pytest.raises(CryptoError, match="no point"):
            METHODS[keyword].start(seeded(2)).finish(wrong)
        with pytest.raises(CryptoError, match="no point"):
            METHODS[keyword].answer(wrong, seeded(2))
        assert wrong != good, why


def test_k15_a_point_of_the_twist_is_refused() -> None:
    """An x with no y on P-256 belongs to the twist; whatever y comes with it, the point is off the curve."""
    prime, b = PRIMES["ecp256"], int("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b", 16)
    x = next(x for x in range(2, 100) if pow(x**3 - 3 * x + b, (prime - 1) // 2, prime) == prime - 1)
    root = pow(-(x**3 - 3 * x + b) % prime, (prime + 1) // 4, prime)
    with pytest.raises(CryptoError, match="no point"):
        METHODS["ecp256"].start(seeded(1)).finish(x.to_bytes(32, "big") + root.to_bytes(32, "big"))


@pytest.mark.parametrize("value", X25519_SMALL)
@pytest.mark.parametrize("top", [0x00, 0x80])
def test_k16_a_point_of_small_order_is_refused_by_x25519(value: str, top: int) -> None:
    point = bytearray.fromhex(value)
    point[31] |= top
    with pytest.raises(CryptoError, match="small order"):
        METHODS["x25519"].start(seeded(1)).finish(bytes(point))
    with pytest.raises(CryptoError, match="small order"):
        METHODS["x25519"].answer(bytes(point), seeded(1))


@pytest.mark.parametrize("value", X25519_MASKED)
def test_k16_the_top_bit_of_an_x25519_value_is_ignored(value: str) -> None:
    masked = bytearray.fromhex(value)
    masked[31] &= 0x7F
    offer = METHODS["x25519"].start(seeded(1))
    assert offer.finish(bytes.fromhex(value)) == offer.finish(bytes(masked)) != bytes(32)


@pytest.mark.parametrize("value", [0, 1, 2**448 - 2**224 - 2, 2**448 - 2**224 - 1, 2**448 - 2**224])
def test_k16_a_point_of_small_order_is_refused_by_x448(value: int) -> None:
    with pytest.raises(CryptoError, match="small order"):
        METHODS["x448"].start(seeded(1)).finish(value.to_bytes(56, "little"))


@pytest.mark.parametrize("keyword", [*ECP, *MODP])
def test_k17_leading_zeros_of_the_secret_are_kept(keyword: str) -> None:
    """A secret below 2^(8n - 8), found by trying; for the slow groups by choosing the peer's value."""
    method = METHODS[keyword]
    length = MODP[keyword].length if keyword in MODP else ECP[keyword].field_len
    shared = _secret_with_leading_zero(method, keyword)
    assert len(shared) == length
    assert shared[0] == 0


def _secret_with_leading_zero(method: KeyExchange, keyword: str) -> bytes:
    if keyword in MODP:
        group = MODP[keyword]
        exponent = int.from_bytes(seeded(1)(group.exponent_len), "big") | 1 << 8 * group.exponent_len - 1
        order = (group.prime - 1) // 2
        wanted = next(value for value in range(3, 100) if pow(value, order, group.prime) == 1)
        peer = pow(wanted, pow(exponent, -1, order), group.prime)
        return method.start(seeded(1)).finish(peer.to_bytes(group.length, "big"))
    if keyword == "ecp521":  # its top octet holds one bit
        tries = (method.start(seeded(0)).finish(method.start(seeded(seed)).public) for seed in range(1, 50))
        return next(shared for shared in tries if shared[0] == 0)
    base = method.start(seeded(0))
    tries = (base.finish(method.start(seeded(seed)).public) for seed in range(1, 5000))
    return next(shared for shared in tries if shared[0] == 0)


@pytest.mark.parametrize("keyword", ECP)
def test_the_order_times_the_base_point_is_the_point_at_infinity(keyword: str) -> None:
    """(order - 1) G has the x of G and not its y."""
    group = ECP[keyword]
    one, last = (
        METHODS[keyword].start(replay(scalar.to_bytes(group.field_len, "big"))).public
        for scalar in (1, group.order - 1)
    )
    assert one[: group.field_len] == last[: group.field_len]
    assert one[group.field_len :] != last[group.field_len :]


def test_an_ecp_scalar_out_of_range_is_drawn_again() -> None:
    group = ECP["ecp256"]
    draws = iter([b"\0" * 32, group.order.to_bytes(32, "big"), b"\xff" * 32, b"\1" * 32])
    assert METHODS["ecp256"].start(lambda _: next(draws)).public == METHODS["ecp256"].start(lambda _: b"\1" * 32).public


def test_a_source_that_never_gives_a_scalar_is_noticed() -> None:
    with pytest.raises(CryptoError, match="randomness"):
        METHODS["ecp384"].start(bytes)


def test_an_offer_does_not_show_its_private_value() -> None:
    private = b"\x5a" * 32
    offer = x25519.start(lambda _: private)
    assert "5a5a" not in repr(offer)
    assert repr(private)[2:10] not in repr(offer)
    assert "5a5a" not in repr(x448.start(lambda length: b"\x5a" * length))


def test_the_announcement_about_finite_fields_is_silent_for_this_plugin_alone() -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        METHODS["modp2048"].start(seeded(1))
        warnings.warn("something else", DeprecationWarning, stacklevel=1)
    assert [str(warning.message) for warning in heard] == ["something else"]

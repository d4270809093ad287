"""Pools: who gets which address, who gets it again, and what happens when there is none left."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from fynx.errors import FynxError
from fynx.ike import pools as module
from fynx.ike.policy import PoolPolicy
from fynx.ike.pools import Kept, Pools
from fynx.plugin import Identity

POOL = "office"


def packed(*texts: str) -> tuple[bytes, ...]:
    return tuple(ip_address(text).packed for text in texts)


def span(first: str, last: str) -> tuple[bytes, bytes]:
    return ip_address(first).packed, ip_address(last).packed


def who(name: str) -> Identity:
    return Identity(2, name.encode())


SMALL = PoolPolicy(POOL, (span("198.18.0.1", "198.18.0.3"), span("fd00:1::1", "fd00:1::ffff")))


def lease(pools: Pools, name: str, *versions: int, wanted: tuple[bytes, ...] = ()) -> tuple[str, ...]:
    grant = pools.lease(POOL, who(name), versions or (4,), wanted)
    return tuple(str(ip_address(one)) for one in grant.addresses)


def test_each_identity_gets_an_address_of_its_own_in_order() -> None:
    pools = Pools([SMALL])
    assert [lease(pools, name) for name in "abc"] == [("198.18.0.1",), ("198.18.0.2",), ("198.18.0.3",)]


def test_both_families_at_once() -> None:
    assert lease(Pools([SMALL]), "a", 4, 6) == ("198.18.0.1", "fd00:1::1")


def test_a_family_that_the_pool_lacks_is_left_out() -> None:
    pools = Pools([PoolPolicy(POOL, (span("198.18.0.1", "198.18.0.3"),))])
    assert lease(pools, "a", 4, 6) == ("198.18.0.1",)
    assert lease(pools, "b", 6) == ()


def test_one_lease_per_identity_however_often_it_asks() -> None:
    pools = Pools([SMALL])
    assert {lease(pools, "a", 4, 6) for _ in range(1000)} == {("198.18.0.1", "fd00:1::1")}
    assert lease(pools, "b") == ("198.18.0.2",)


def test_a_full_pool_has_nothing_and_gives_again_what_comes_back() -> None:
    pools = Pools([SMALL])
    for name in "abc":
        lease(pools, name)
    assert lease(pools, "d") == ()
    pools.give_back(POOL, who("b"))
    assert lease(pools, "d") == ("198.18.0.2",)
    assert lease(pools, "b") == ()


def test_who_returns_finds_the_same_address_while_others_are_free() -> None:
    pools = Pools([SMALL])
    assert lease(pools, "a") == ("198.18.0.1",)
    pools.give_back(POOL, who("a"))
    assert lease(pools, "b") == ("198.18.0.2",)
    assert lease(pools, "a") == ("198.18.0.1",)


def test_the_lease_that_was_given_back_first_is_taken_first() -> None:
    pools = Pools([SMALL])
    for name in "abc":
        lease(pools, name)
    for name in "cab":
        pools.give_back(POOL, who(name))
    assert [lease(pools, name) for name in "xyz"] == [("198.18.0.3",), ("198.18.0.1",), ("198.18.0.2",)]


def test_a_lease_that_two_sas_share_goes_back_with_the_second() -> None:
    pools = Pools([SMALL])
    lease(pools, "a"), lease(pools, "a"), lease(pools, "b"), lease(pools, "c")
    pools.give_back(POOL, who("a"))
    assert lease(pools, "d") == ()
    pools.give_back(POOL, who("a"))
    assert lease(pools, "d") == ("198.18.0.1",)


def test_a_fixed_address_is_for_its_identity_alone() -> None:
    fixed = {who("boss"): packed("198.18.0.1", "fd00:9::9")}
    pools = Pools([PoolPolicy(POOL, SMALL.ranges, fixed)])
    assert lease(pools, "a", wanted=packed("198.18.0.1")) == ("198.18.0.2",)
    assert lease(pools, "boss", 4, 6) == ("198.18.0.1", "fd00:9::9")
    pools.give_back(POOL, who("boss"))
    assert [lease(pools, name) for name in "bc"] == [("198.18.0.3",), ()]


WISHES = {
    "free in the pool": ("198.18.0.3", "198.18.0.3"),
    "another's": ("198.18.0.1", "198.18.0.2"),
    "outside": ("192.0.2.1", "198.18.0.2"),
    "zero": ("0.0.0.0", "198.18.0.2"),
    "broadcast": ("255.255.255.255", "198.18.0.2"),
    "another family": ("fd00:1::5", "198.18.0.2"),
}


@pytest.mark.parametrize("name", WISHES)
def test_c18_a_wish_is_heard_only_inside_the_pool_and_where_nobody_is(name: str) -> None:
    wish, given = WISHES[name]
    pools = Pools([SMALL])
    lease(pools, "first")
    assert lease(pools, "a", wanted=packed(wish)) == (given,)


def test_a_wish_does_not_move_whoever_has_a_lease() -> None:
    pools = Pools([SMALL])
    assert lease(pools, "a") == ("198.18.0.1",)
    assert lease(pools, "a", wanted=packed("198.18.0.3")) == ("198.18.0.1",)


def test_changes_are_told_so_that_they_can_be_written_down() -> None:
    pools = Pools([PoolPolicy(POOL, (span("198.18.0.1", "198.18.0.1"),))])
    assert pools.lease(POOL, who("a"), (4,)).changed == (Kept(POOL, who("a"), packed("198.18.0.1")),)
    assert pools.lease(POOL, who("a"), (4,)).changed == ()
    assert pools.give_back(POOL, who("a")) == pools.give_back(POOL, who("a")) == ()
    assert set(pools.lease(POOL, who("b"), (4,)).changed) == {
        Kept(POOL, who("a"), ()),
        Kept(POOL, who("b"), packed("198.18.0.1")),
    }


def test_leases_of_an_earlier_run_are_found_again() -> None:
    pools = Pools([SMALL], [Kept(POOL, who("late"), packed("198.18.0.2", "fd00:1::77"))])
    assert [lease(pools, name) for name in "ab"] == [("198.18.0.1",), ("198.18.0.3",)]
    assert lease(pools, "late", 4, 6) == ("198.18.0.2", "fd00:1::77")


def test_leases_of_an_earlier_run_that_do_not_fit_any_longer_are_passed_over() -> None:
    policy = PoolPolicy(POOL, SMALL.ranges, {who("boss"): packed("198.18.0.1")})
    kept = [
        Kept("gone", who("x"), packed("198.18.0.2")),
        Kept(POOL, who("outside"), packed("192.0.2.1")),
        Kept(POOL, who("fixed now"), packed("198.18.0.1")),
        Kept(POOL, who("first"), packed("198.18.0.2")),
        Kept(POOL, who("twice"), packed("198.18.0.2")),
        Kept(POOL, who("boss"), packed("198.18.0.3")),
    ]
    pools = Pools([policy], kept)
    assert pools.status() == {POOL: {"online": 0, "kept": 1}}
    assert lease(pools, "first") == ("198.18.0.2",)
    assert lease(pools, "new") == ("198.18.0.3",)
    assert lease(pools, "boss") == ("198.18.0.1",)


def test_leases_that_nobody_uses_are_not_kept_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_KEPT", 10)
    pools = Pools([PoolPolicy(POOL, (span("fd00:1::1", "fd00:1:ffff::ffff"),))])
    forgotten = []
    for number in range(50):
        lease(pools, f"n{number}", 6)
        forgotten += pools.give_back(POOL, who(f"n{number}"))
    assert pools.status()[POOL] == {"online": 0, "kept": 10}
    assert [(one.identity, one.addresses) for one in forgotten] == [(who(f"n{n}"), ()) for n in range(40)]
    (address,) = lease(pools, "n49", 6)
    assert int(ip_address(address)) - int(ip_address("fd00:1::")) <= 11, "addresses that came free are used again"


def test_a_pool_that_is_not_configured_is_an_error() -> None:
    with pytest.raises(FynxError, match="no pool"):
        Pools([SMALL]).lease("other", who("a"), (4,))

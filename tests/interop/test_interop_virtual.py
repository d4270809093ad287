"""Virtual addresses with strongSwan in both roles: pools, both families, DNS, exhaustion (RFC 7296 section 2.19)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lab import traffic
from lab.charon import Charon, Refused
from lab.fynxd import Fynx
from lab.pair import Pair
from lab.plan import Child, Plan
from lab.topology import inner, inner6
from lab.wait import until

POOL4, POOL6 = "198.18.0.0/24", "fd00:77::/64"
RIGHT, RIGHT6 = f"{inner(1)}/32", f"{inner6(1)}/128"
SINGLE = Plan(children=(Child("lan", ("dynamic",), (RIGHT,)),))
DUAL = Plan(children=(Child("lan", ("dynamic",), (RIGHT, RIGHT6)),))
OFFICE = {"addresses": [POOL4, POOL6], "dns": [inner(1), inner6(1)], "split_dns": ["corp.example.org"]}
EVERYTHING = ["ipv4", "ipv6", "dns"]
ROLES = {"fynx_is_the_gateway": ("strongswan", "fynx"), "fynx_is_the_client": ("fynx", "strongswan")}


def settings(kinds: tuple[str, str], plan: Plan, pool: dict[str, Any] | None = None) -> dict[str, Any]:
    """The left end is the client."""
    dual = plan is DUAL
    found: dict[str, Any] = {"plans": [plan]}
    if kinds[0] == "fynx":
        found["fynx_peer"] = {"request": EVERYTHING if dual else ["ipv4", "dns"]}
        found["strongswan_peer"] = {"pools": ["four", "six"] if dual else ["four"]}
    else:
        found["strongswan_peer"] = {"vips": ["0.0.0.0", "::"] if dual else ["0.0.0.0"]}
        found["fynx_peer"] = {"pool": "office"}
        found["fynx"] = {"pools": {"office": pool or OFFICE}}
    return found


def addresses(both: Pair, device: str = "") -> list[str]:
    """Those of the client that come from the pools."""
    shown = json.loads(both.topology.left.namespace.show("-j", "addr", "show", *(["dev", device] if device else [])))
    all_of_them = [each["local"] for link in shown for each in link["addr_info"]]
    return sorted(one for one in all_of_them if one.startswith(("198.18.0.", "fd00:77:")))


def echoes(both: Pair, near: str, far: str) -> None:
    assert traffic.ping(both.topology.left.namespace, near, far) == 3
    assert traffic.ping(both.topology.right.namespace, far, near) == 3


def started(pair: Callable[..., Pair], role: str, plan: Plan) -> Pair:
    kinds = ROLES[role]
    both = pair(*kinds, **settings(kinds, plan))
    if isinstance(both.right, Charon):
        both.right.load_pool("four", POOL4, dns=[inner(1)])
        both.right.load_pool("six", POOL6, dns=[inner6(1)])
    both.left.up(plan)
    both.both_have(plan)
    return both


@pytest.mark.parametrize("role", ROLES)
def test_a_leased_address_carries_the_traffic_and_goes_with_the_tunnel(pair: Callable[..., Pair], role: str) -> None:
    """CP(CFG_REQUEST), TSi = 0.0.0.0/0 --> <-- CP(CFG_REPLY), TSi = 198.18.0.1/32."""
    both = started(pair, role, SINGLE)
    (left,), (right,) = (end.children(SINGLE).values() for end in (both.left, both.right))
    assert (left.local, left.remote) == (("198.18.0.1/32",), (RIGHT,))
    assert (right.local, right.remote) == ((RIGHT,), ("198.18.0.1/32",))
    assert addresses(both) == ["198.18.0.1"]
    echoes(both, "198.18.0.1", inner(1))
    both.left.down(SINGLE)
    both.both_lost(SINGLE)
    until(lambda: addresses(both) == [], "the address is gone")


@pytest.mark.parametrize("role", ROLES)
def test_both_families_in_one_child(pair: Callable[..., Pair], role: str) -> None:
    both = started(pair, role, DUAL)
    four, six = addresses(both)
    assert (four, six[:7]) == ("198.18.0.1", "fd00:77")
    (left,) = both.left.children(DUAL).values()
    assert sorted(left.local) == [f"{four}/32", f"{six}/128"]
    echoes(both, four, inner(1))
    echoes(both, six, inner6(1))


@pytest.mark.parametrize("role", ROLES)
def test_the_leased_address_outlives_rekeys(pair: Callable[..., Pair], role: str) -> None:
    both = started(pair, role, DUAL)
    four, six = addresses(both)
    for child in ("lan", ""):
        rekeyed = both.fynx.command("rekey", DUAL.name, *([child] if child else []))
        assert rekeyed.returncode == 0, rekeyed.stderr
        both.both_have(DUAL)
        echoes(both, four, inner(1))
        echoes(both, six, inner6(1))
    assert addresses(both) == [four, six]


def test_the_system_prefers_the_leased_address_for_what_goes_through_the_tunnel(pair: Callable[..., Pair]) -> None:
    both = started(pair, "fynx_is_the_client", DUAL)
    left = both.topology.left.namespace
    assert "src 198.18.0.1" in left.show("route", "get", inner(1))
    (six,) = [one for one in addresses(both, "fynx0") if ":" in one]
    assert f"src {six}" in left.show("route", "get", inner6(1))


def test_what_the_gateway_tells_stands_in_the_status(pair: Callable[..., Pair]) -> None:
    both = started(pair, "fynx_is_the_client", DUAL)
    (peer,) = both.fynx.status()["peers"]
    assert peer["virtual"]["ours"] is True
    assert sorted(peer["virtual"]["addresses"]) == addresses(both)
    assert peer["virtual"]["dns"] == [inner(1), inner6(1)]


def test_the_gateway_shows_its_pools_and_strongswan_its_address(pair: Callable[..., Pair]) -> None:
    both = started(pair, "fynx_is_the_gateway", DUAL)
    assert both.fynx.status()["pools"] == {"office": {"online": 1, "kept": 0}}
    (sa,) = [both.charon.sas()[DUAL.name]]
    assert sorted(one.decode() for one in sa["local-vips"]) == addresses(both)  # type: ignore[attr-defined]
    both.left.down(DUAL)
    until(lambda: both.fynx.status()["pools"] == {"office": {"online": 0, "kept": 1}}, "the lease is given back")


def test_an_address_of_its_own_for_one_identity(pair: Callable[..., Pair]) -> None:
    fixed = {"left.test": ["198.18.0.200", "fd00:77::200"]}
    kinds = ROLES["fynx_is_the_gateway"]
    both = pair(*kinds, **settings(kinds, DUAL, {**OFFICE, "fixed": fixed}))
    both.left.up(DUAL)
    both.both_have(DUAL)
    assert addresses(both) == ["198.18.0.200", "fd00:77::200"]


def test_c20_strongswan_hears_of_an_empty_pool_and_keeps_its_ike_sa(pair: Callable[..., Pair]) -> None:
    """The pool's only address is another's: INTERNAL_ADDRESS_FAILURE, no child, IKE SA up."""
    empty = {"addresses": ["198.18.0.7-198.18.0.7"], "fixed": {"someone.else": ["198.18.0.7"]}}
    kinds = ROLES["fynx_is_the_gateway"]
    both = pair(*kinds, **settings(kinds, SINGLE, empty))
    with both.charon.listening() as heard, pytest.raises(Refused):
        both.left.up(SINGLE)
    assert "INTERNAL_ADDRESS_FAILURE" in heard[0]
    assert both.right.established(SINGLE)


def test_c20_fynx_keeps_its_ike_sa_when_strongswan_has_no_address(pair: Callable[..., Pair]) -> None:
    kinds = ROLES["fynx_is_the_client"]
    both = pair(*kinds, **settings(kinds, SINGLE))  # the pool that its connection names is not loaded
    with pytest.raises(Refused, match="no address for us"):
        both.left.up(SINGLE)
    assert both.left.established(SINGLE)
    assert both.right.established(SINGLE)
    assert addresses(both) == []


def test_leases_outlive_the_gateway(pair: Callable[..., Pair], tmp_path: Path) -> None:
    """What stands in the store is what the client gets after a restart."""
    store = tmp_path / "store"
    store.mkdir(mode=0o700)
    kinds = ROLES["fynx_is_the_gateway"]
    made = settings(kinds, SINGLE)
    made["fynx"] |= {"store": {"file": {"path": str(store)}}}
    both = pair(*kinds, **made)
    both.left.up(SINGLE)
    both.both_have(SINGLE)
    until(lambda: list(store.glob("lease/*")), "the lease is written down")
    (note,) = store.glob("lease/*")
    assert json.loads(note.read_text())["addresses"] == ["198.18.0.1"]
    assert isinstance(both.right, Fynx)
    both.left.down(SINGLE)
    both.right.stop()
    note.write_text(note.read_text().replace("198.18.0.1", "198.18.0.99"))
    both.right.launch()
    both.left.up(SINGLE)
    both.both_have(SINGLE)
    assert addresses(both) == ["198.18.0.99"]

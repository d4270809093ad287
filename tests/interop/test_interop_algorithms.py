"""Every ESP cipher, every PRF and every key exchange with strongSwan, both as initiator and as responder.

One pair of daemons per role carries all rows beside each other: identities choose the peer, as on a real gateway.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import traffic
from lab.pair import ROLES, Pair, Settings, running
from lab.plan import Plan, numbered

ROWS = {
    "aes128gcm16-prfsha256-x25519": "aes128gcm16",
    "aes192gcm16-prfsha384-modp2048": "aes192gcm16",
    "aes256gcm16-prfsha512-ecp384": "aes256gcm16",
    "chacha20poly1305-prfsha256-x448": "chacha20poly1305",
    "aes128-sha256-prfsha256-modp3072": "aes128-sha256",
    "aes256-sha256-prfsha256-ecp256": "aes256-sha256",
    "aes256-sha384-prfsha384-modp4096": "aes256-sha384",
    "aes256-sha512-prfsha512-ecp521": "aes256-sha512",
}
AS_STRONGSWAN_SAYS = {
    "aes128gcm16-prfsha256-x25519": "AES_GCM_16/128/PRF_HMAC_SHA2_256/CURVE_25519",
    "aes192gcm16-prfsha384-modp2048": "AES_GCM_16/192/PRF_HMAC_SHA2_384/MODP_2048",
    "aes256gcm16-prfsha512-ecp384": "AES_GCM_16/256/PRF_HMAC_SHA2_512/ECP_384",
    "chacha20poly1305-prfsha256-x448": "CHACHA20_POLY1305/PRF_HMAC_SHA2_256/CURVE_448",
    "aes128-sha256-prfsha256-modp3072": "AES_CBC/128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_3072",
    "aes256-sha256-prfsha256-ecp256": "AES_CBC/256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_256",
    "aes256-sha384-prfsha384-modp4096": "AES_CBC/256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/MODP_4096",
    "aes256-sha512-prfsha512-ecp521": "AES_CBC/256/HMAC_SHA2_512_256/PRF_HMAC_SHA2_512/ECP_521",
}
PLANS = {ike: numbered(number, ike=ike, esp=esp) for number, (ike, esp) in enumerate(ROWS.items(), start=1)}


GATEWAYS = {
    "fynx_initiates": ("fynx_initiates", ["ipsecmb", "libcrypto", "sodium"]),
    "strongswan_initiates": ("strongswan_initiates", ["ipsecmb", "libcrypto", "sodium"]),
    "ipsecmb_alone": ("fynx_initiates", ["ipsecmb"]),
    "libcrypto_alone": ("fynx_initiates", ["libcrypto"]),
    "sodium_alone": ("fynx_initiates", ["sodium"]),
}
"""Role, and Fynx's providers: with one alone the adapter does what that library lacks."""


@pytest.fixture(scope="module", params=GATEWAYS)
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    role, providers = GATEWAYS[request.param]
    settings = Settings(plans=list(PLANS.values()), fynx_site={"providers": providers})
    with running("direct", tmp_path_factory.mktemp("algorithms"), ROLES[role], settings) as both:
        yield both


@pytest.mark.parametrize("ike", ROWS)
def test_traffic_passes_with_each_algorithm(gateway: Pair, ike: str) -> None:
    plan: Plan = PLANS[ike]
    gateway.left.up(plan)
    gateway.both_have(plan)
    assert gateway.ping(plan.children[0]) == 3
    assert gateway.ping(plan.children[0], back=True, size=1200) == 3
    (left, right), size = (plan.children[0].left, plan.children[0].right), 200_000
    ends = [end[0].removesuffix("/32") for end in (left, right)]
    hosts = [gateway.topology.left.namespace, gateway.topology.right.namespace]
    sent, arrived = traffic.transfer(hosts[0], ends[0], hosts[1], ends[1], size=size)
    assert sent == arrived
    assert gateway.charon.suite(plan) == AS_STRONGSWAN_SAYS[ike]
    assert gateway.fynx.esp_suite(plan) == ROWS[ike]
    gateway.left.down(plan)
    gateway.both_lost(plan)


def test_all_tunnels_stand_beside_each_other(gateway: Pair) -> None:
    """Eight IKE SAs with eight suites at the same time: no packet takes another's."""
    for plan in PLANS.values():
        gateway.left.up(plan)
    for plan in PLANS.values():
        gateway.both_have(plan)
        assert gateway.ping(plan.children[0], count=1) == 1
    for plan in PLANS.values():
        gateway.left.down(plan)
        gateway.both_lost(plan)


CCM = {
    "aes128ccm8-prfsha256-x25519": "aes128ccm8",
    "aes192ccm12-prfsha256-x25519": "aes192ccm12",
    "aes256ccm16-prfsha256-x25519": "aes256ccm16",
}


@pytest.mark.parametrize("role", sorted(ROLES))
def test_aes_ccm_of_each_length_carries_ike_and_esp(role: str, tmp_path: Path) -> None:
    plans = [numbered(number, ike=ike, esp=esp) for number, (ike, esp) in enumerate(CCM.items(), start=1)]
    settings = Settings(plans=plans, fynx_site={"plugins": ["default", "+aes_ccm"]})
    with running("direct", tmp_path, ROLES[role], settings) as both:
        for plan, esp in zip(plans, CCM.values(), strict=True):
            both.left.up(plan)
            both.both_have(plan)
            assert both.ping(plan.children[0]) == 3
            assert both.ping(plan.children[0], back=True, size=1200) == 3
            assert both.charon.suite(plan).startswith("AES_CCM_")
            assert both.fynx.esp_suite(plan) == esp

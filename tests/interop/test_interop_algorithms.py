"""Every ESP cipher, every PRF and every key exchange with strongSwan, both as initiator and as responder.

One pair of daemons per role carries all rows beside each other: identities choose the peer, as on a real gateway.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
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


@pytest.fixture(scope="module", params=ROLES)
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    settings = Settings(plans=list(PLANS.values()))
    with running("direct", tmp_path_factory.mktemp("algorithms"), ROLES[request.param], settings) as both:
        yield both


@pytest.mark.parametrize("ike", ROWS)
def test_traffic_passes_with_each_algorithm(gateway: Pair, ike: str) -> None:
    plan: Plan = PLANS[ike]
    gateway.left.up(plan)
    gateway.both_have(plan)
    assert gateway.ping(plan.children[0]) == 3
    assert gateway.ping(plan.children[0], back=True, size=1200) == 3
    assert gateway.charon.suite(plan) == AS_STRONGSWAN_SAYS[ike]
    assert gateway.fynx.esp_suite(plan) == ROWS[ike]
    gateway.left.down(plan)
    gateway.both_lost(plan)

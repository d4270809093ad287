"""The interoperability scenarios of the mission's checklist under their own names, on the checklist's own terms.

Common to all: the same secret, client@example.com and server@example.com, and the suite of the guide. Numbers 8 and 9
(rekeying) stand in ``test_interop_rekey.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lab import traffic
from lab.pair import Pair
from lab.plan import Plan
from lab.topology import inner
from lab.wait import until

SECRET = "fynx-interop-test-key-32-bytes"
GUIDE = replace(
    Plan(),
    left_id="client@example.com",
    right_id="server@example.com",
    secret=SECRET,
    ike=("aes128gcm16-prfsha256-modp2048",),
)


def _up(both: Pair) -> Pair:
    both.left.up(both.plan)
    both.both_have()
    return both


def _carries(both: Pair) -> None:
    hosts = both.topology
    assert both.ping() == 3
    assert both.ping(back=True) == 3
    sent, got = traffic.transfer(hosts.left.namespace, inner(0), hosts.right.namespace, inner(1), size=100_000)
    assert sent == got


def test_fynx_client_to_strongswan_server(pair: Callable[..., Pair]) -> None:
    both = _up(pair("fynx", "strongswan", plans=[GUIDE]))
    _carries(both)
    both.left.down(both.plan)
    both.both_lost()


def test_strongswan_client_to_fynx_server(pair: Callable[..., Pair]) -> None:
    both = _up(pair("strongswan", "fynx", plans=[GUIDE]))
    _carries(both)
    both.left.down(both.plan)
    both.both_lost()


def test_cipher_suite_aes128gcm(pair: Callable[..., Pair]) -> None:
    """The defaults of Fynx's side: no ``ike`` and no ``esp`` in its configuration."""
    both = _up(pair("fynx", "strongswan", plans=[GUIDE], left_plans=[replace(GUIDE, ike=()).with_esp()]))
    assert both.charon.suite(both.plan) == "AES_GCM_16/128/PRF_HMAC_SHA2_256/MODP_2048"
    assert both.fynx.esp_suite(both.plan) == "aes128gcm16"
    _carries(both)


def test_cipher_suite_aes256gcm(pair: Callable[..., Pair]) -> None:
    plan = replace(GUIDE, ike=("aes256gcm16-prfsha384-modp2048",)).with_esp("aes256gcm16")
    both = _up(pair("fynx", "strongswan", plans=[plan]))
    assert both.charon.suite(plan) == "AES_GCM_16/256/PRF_HMAC_SHA2_384/MODP_2048"
    _carries(both)


def test_cipher_suite_chacha20poly1305(pair: Callable[..., Pair]) -> None:
    plan = replace(GUIDE, ike=("chacha20poly1305-prfsha256-modp2048",)).with_esp("chacha20poly1305")
    both = _up(pair("fynx", "strongswan", plans=[plan]))
    assert both.charon.suite(plan) == "CHACHA20_POLY1305/PRF_HMAC_SHA2_256/MODP_2048"
    _carries(both)


def test_nat_traversal(pair: Callable[..., Pair]) -> None:
    """Behind NAT: IKE moves to UDP 4500 and ESP goes in UDP."""
    both = pair("fynx", "strongswan", topology="left_behind_nat", plans=[GUIDE])
    with both.capture() as capture:
        _up(both)
        _carries(both)
    seen = capture.datagrams()
    assert {datagram.source for datagram in seen} == {"192.0.2.1", "192.0.2.2"}
    assert all(4500 in (one.source_port, one.destination_port) for one in seen if one.esp)
    assert len([one for one in seen if one.esp]) >= 12
    assert not [one for one in seen if one.protocol == 50]


def test_dead_peer_detection(pair: Callable[..., Pair]) -> None:
    """strongSwan is killed without a DELETE: detection fires and the tunnel is torn down."""
    quick = {"liveness_s": 0.5, "retransmission": {"base_s": 0.2, "tries": 5}}
    both = _up(pair("fynx", "strongswan", plans=[GUIDE], fynx_peer=quick))
    both.charon.kill()
    until(lambda: not both.fynx.established(both.plan), "the dead peer is noticed")
    assert both.fynx.children(both.plan) == {}


def test_bidirectional_data_transfer(pair: Callable[..., Pair]) -> None:
    """Three packets and their echoes from each side, counted alike at both ends."""
    both = _up(pair("fynx", "strongswan", plans=[GUIDE]))
    assert both.ping(count=3) == 3
    assert both.ping(count=3, back=True) == 3

    def counted() -> bool:
        left, right = both.left.children(both.plan)["lan"], both.right.children(both.plan)["lan"]
        return (left.packets_in, left.packets_out, right.packets_in, right.packets_out) == (6, 6, 6, 6)

    until(counted, "both ends count six packets in and six out")

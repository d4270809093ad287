"""IKE messages in fragments (RFC 7383) with strongSwan: both roles, AEAD and CBC, IPv6, and a path that drops long
ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from lab.pair import ROLES, Pair
from lab.plan import Child, Plan
from lab.topology import inner

SUITES = {"aead": "aes256gcm16-prfsha384-x25519", "cbc": "aes128-sha256-prfsha256-x25519"}
FRAGMENT, ENCRYPTED = 53, 46
NEXT_PAYLOAD_AT, EXCHANGE_AT, FLAGS_AT = 16, 18, 19
IKE_AUTH, CREATE_CHILD_SA, RESPONSE = 35, 36, 0x20
MANY = tuple(f"aes{bits}-sha{digest}" for bits in (256, 192, 128) for digest in (512, 384, 256))
LONG_DATAGRAMS_ARE_LOST = """
table inet narrow {
  chain input {
    type filter hook input priority 0;
    udp dport { 500, 4500 } meta length > 576 drop
  }
}
"""
QUICK = {"retransmission": {"base_s": 0.3, "factor": 1.2, "tries": 12}}


def long(plan: Plan) -> Plan:
    """The same with identities of 200 octets and many proposals: IKE_AUTH has some 950 octets one way and 400 back."""
    ids = [".".join([side, *["a" * 60] * 3, "test"]) for side in ("left", "right")]
    return replace(plan, left_id=ids[0], right_id=ids[1]).with_esp(*MANY)


def kinds(messages: list[bytes], *, response: bool) -> list[int]:
    """First payloads of the messages of IKE_AUTH in that direction."""
    return [
        message[NEXT_PAYLOAD_AT]
        for message in messages
        if message[EXCHANGE_AT] == IKE_AUTH and bool(message[FLAGS_AT] & RESPONSE) is response
    ]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("ipv6", [False, True], ids=["ipv4", "ipv6"])
def test_a_tunnel_comes_up_with_fragments_both_ways(
    pair: Callable[..., Pair], role: str, suite: str, ipv6: bool
) -> None:
    plan = long(replace(Plan(), ike=(SUITES[suite],), ipv6=ipv6))
    both = pair(*ROLES[role], plans=[plan], strongswan={"fragment_size": "300"}, fynx_peer={"fragment_size": 300})
    with both.capture() as capture:
        both.left.up(both.plan)
        both.both_have()
        assert both.ping() == 3
        both.left.down(both.plan)
        both.both_lost()
    messages = capture.ike()
    for response in (False, True):
        found = kinds(messages, response=response)
        assert len(found) > 1
        assert set(found) == {FRAGMENT}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("who", ["fynx", "strongswan"])
def test_nothing_is_fragmented_when_one_side_does_not_want_it(pair: Callable[..., Pair], role: str, who: str) -> None:
    both = pair(
        *ROLES[role],
        plans=[long(Plan())],
        strongswan={"fragment_size": "300"},
        fynx_peer={"fragment_size": 300, "fragmentation": who != "fynx"},
        strongswan_peer={"fragmentation": "no"} if who == "strongswan" else {},
    )
    with both.capture() as capture:
        both.left.up(both.plan)
        both.both_have()
    messages = capture.ike()
    assert kinds(messages, response=False) == [ENCRYPTED]
    assert kinds(messages, response=True) == [ENCRYPTED]


@pytest.mark.parametrize("role", ROLES)
def test_a_path_that_drops_long_datagrams_is_passed(pair: Callable[..., Pair], role: str) -> None:
    """Fynx begins with 1280 octets and finds out, as initiator; as responder it follows strongSwan's 576."""
    both = pair(*ROLES[role], plans=[long(Plan())], strongswan={"fragment_size": "576"}, fynx_peer=QUICK)
    for host in (both.topology.left, both.topology.right):
        host.namespace.nft(LONG_DATAGRAMS_ARE_LOST)
    with both.capture() as capture:
        both.left.up(both.plan)
        both.both_have()
    assert both.ping() == 3
    assert both.charon.ike_sa_count() == 1
    found = kinds(capture.ike(), response=False)
    assert found[-1] == FRAGMENT
    assert (ENCRYPTED in found) is (both.left is both.fynx)


@pytest.mark.parametrize("role", ROLES)
def test_a_second_child_in_fragments_on_the_same_ike_sa(pair: Callable[..., Pair], role: str) -> None:
    """CREATE_CHILD_SA, which is no part of the handshake, is as good."""
    second = Child("second", (f"{inner(0, 2)}/32",), (f"{inner(1, 2)}/32",), MANY)
    plan = replace(Plan(), children=(*Plan().children, second))
    both = pair(*ROLES[role], plans=[plan], strongswan={"fragment_size": "300"}, fynx_peer={"fragment_size": 300})
    with both.capture() as capture:
        both.left.up(both.plan)
        both.left.up(both.plan, "second")
        assert both.ping(second) == 3
    requests = [one for one in capture.ike() if one[EXCHANGE_AT] == CREATE_CHILD_SA and not one[FLAGS_AT] & RESPONSE]
    assert len(requests) > 1
    assert {one[NEXT_PAYLOAD_AT] for one in requests} == {FRAGMENT}

"""Bad inputs D1 to D11: floods and amplification (RFC 8019, RFC 7296 section 2.6), and N1 to N3, N12 of NAT traversal.

D7 and D8 are of the data plane and of the log: ``tests/unit/esp`` and ``tests/unit/run``.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from fynx.events import ChildUp, HandshakeStarted, PathChanged
from fynx.ike.admission import Bucket
from fynx.ike.effects import Initiate, Terminate
from fynx.ike.natd import NatStatus
from fynx.plugin.transport import Path
from fynx.sim.trace import NoTrace
from fynx.sim.world import World
from fynx.wire.header import parse_header
from fynx.wire.iana import NotifyType
from fynx.wire.payload import NotifyPayload
from tests.sim.cheap import CHEAP
from tests.sim.forge import AUTH, INFO, INIT, Bench, Script, clear_payloads, notifies
from tests.sim.rig import ALICE, BOB, Pair, host, peer_of_alice, peer_of_bob, policy
from tests.unit.ike.algorithms import ECP_256, GCM_128, PRF_256, X25519, ike


def flood(world: World, script: Script, count: int, *, network: str = "198.18.0.0/16", every_s: float = 0.0) -> None:
    """First messages of strangers, each with a source and an SPI of its own."""
    first = int(ip_address(ip_network(network).network_address))
    payloads = script.init_payloads()
    for number in range(count):
        script.spi_i = number.to_bytes(8, "big", signed=False) if number else b"\xff" * 8
        script.send(script.clear(INIT, payloads), source=str(ip_address(first + number + 1)), wait=False)
        if every_s:
            world.run(every_s)


def open_gate(**changes: object) -> Bench:
    """A responder that anybody may call."""
    return Bench("responder", policy(peer_of_bob(remote=()), **changes), algorithms=CHEAP)


def test_d1_a_flood_of_first_messages_gets_cookies_and_a_peer_still_comes_up() -> None:
    bench = Bench("responder", policy(peer_of_bob(remote=())))
    caller = bench.world.add(host("caller", "192.0.2.77", policy(peer_of_alice())))
    flood(bench.world, bench.script, 3000)
    assert bench.node.endpoint.counters()["half_open"] <= bench.node.host.policy.cookie_threshold
    assert bench.node.endpoint.counters()["cookies_asked"] > 100
    caller.command(Initiate("bob", Path("192.0.2.77", 500, BOB, 500)))
    assert bench.world.run(3.0, lambda: bool(caller.events_of(ChildUp)))


def test_d1_each_of_a_flood_is_asked_for_its_cookie_and_who_means_it_waits_for_no_second_try() -> None:
    bench = Bench("responder", policy(peer_of_bob(remote=()), cookie_threshold=0))
    caller = bench.world.add(host("caller", "192.0.2.77", policy(peer_of_alice())))
    flood(bench.world, bench.script, 3000)
    assert bench.node.endpoint.counters()["cookies_asked"] == len(bench.node.sent) == 3000
    caller.command(Initiate("bob", Path("192.0.2.77", 500, BOB, 500)))
    assert bench.world.run(1.0, lambda: bool(caller.events_of(ChildUp)))
    assert not caller.endpoint.counters().get("retransmissions")


def test_what_strangers_use_up_of_answers_nobody_lacks_who_offers_another_group() -> None:
    caller = policy(peer_of_alice(ike=(ike(GCM_128, PRF_256, X25519), ike(GCM_128, PRF_256, ECP_256))))
    pair = Pair(alice=caller, bob=policy(peer_of_bob(ike=(ike(GCM_128, PRF_256, ECP_256),))))
    pair.bob.endpoint.admission.replies = Bucket(rate=0.0, size=1.0, level=0.0)
    pair.up(within_s=1.0)


def test_d2_a_prefix_has_its_share_of_half_open_sas_and_others_pass() -> None:
    """With valid cookies, that is: here none are asked."""
    bench = open_gate(cookie_threshold=10**6, half_open_per_source=10)
    flood(bench.world, bench.script, 200, network="198.18.7.0/24")
    assert len(bench.events(HandshakeStarted)) == 40
    assert bench.node.endpoint.counters()["drop_half_open_limit"] == 160
    flood(bench.world, bench.script, 1, network="198.18.9.0/24")
    assert len(bench.events(HandshakeStarted)) == 41
    bench.world.run(60.0)
    assert not bench.node.endpoint.admission._by_source


def test_d2_an_ipv6_prefix_of_64_bits_is_one_source() -> None:
    bench = Bench("responder", policy(peer_of_bob(remote=()), cookie_threshold=10**6, half_open_per_source=10))
    limits = bench.node.endpoint.admission
    for number in range(10):
        limits.opened(f"2001:db8:1:2::{number:x}")
    with pytest.raises(Exception, match="2001:0db8:0001:0002::/64"):
        limits.check(0.0, Path("2001:db8::1", 500, "2001:db8:1:2:ffff::1", 500))
    limits.check(0.0, Path("2001:db8::1", 500, "2001:db8:1:3::1", 500))
    for number in range(10):
        limits.closed(f"2001:db8:1:2::{number:x}")
    assert not limits._by_source


def test_d3_who_does_not_come_back_is_forgotten_after_thirty_seconds() -> None:
    bench = Bench("responder")
    bench.started()
    bench.world.run(29.0)
    assert bench.state() == "init_done"
    bench.world.run(1.0)
    assert bench.state() == ""
    assert bench.node.endpoint.counters()["half_open"] == 0


def test_d3_who_came_back_and_is_being_deleted_is_no_half_open_sa() -> None:
    pair = Pair(bob=policy(peer_of_bob(), half_open_s=5.0))
    pair.up()
    pair.world.intercept = lambda sent: ()
    pair.bob.command(Terminate("alice"))
    pair.world.run(10.0)
    assert [one.state for one in pair.bob.endpoint.snapshot()] == ["deleting"]
    pair.world.intercept = None
    pair.world.run(20.0)
    assert pair.alice.endpoint.snapshot() == pair.bob.endpoint.snapshot() == ()


def test_d3_under_attack_who_does_not_come_back_is_forgotten_after_five_seconds() -> None:
    """Cookies do not help against strangers that have the addresses which they show."""
    bench = open_gate(half_open_per_source=10**4)
    script, limit = bench.script, bench.node.host.policy.cookie_threshold
    for number in range(limit + 40):
        script.spi_i = b"strange" + bytes((number,))
        script.begin()
        asked = [one for one in clear_payloads(script.one()) if isinstance(one, NotifyPayload)]
        if NotifyType.COOKIE in notifies(tuple(asked)):
            script.send(script.clear(INIT, [asked[0], *script.init_payloads()]))
            script.received()
    assert bench.node.endpoint.counters()["half_open"] > limit
    bench.world.run(5.0)
    assert bench.node.endpoint.counters()["half_open"] == limit
    bench.world.run(30.0)
    assert bench.node.endpoint.counters()["half_open"] == 0


def test_d4_garbage_for_a_half_open_sa_costs_one_key_exchange_and_five_looks_in_a_minute() -> None:
    bench = Bench("responder", policy(peer_of_bob(), half_open_s=300.0))
    script = bench.started()
    script.received()
    good = script.sealed(AUTH, script.auth_payloads(), 1)
    for number in range(50):
        script.send(good[:-1] + bytes((good[-1] ^ (1 + number % 255),)), wait=False)
    counted = bench.node.endpoint.counters()
    assert (counted["drop_integrity"], counted["drop_rate_limited"]) == (5, 45)
    assert sum(entry.text.endswith("KexAnswer") for entry in bench.world.trace.of_kind("Ask")) == 1
    assert not script.received()
    bench.world.run(30.0)
    script.send(good)
    assert bench.state() == "established"


def test_d5_a_cookie_of_the_secret_before_is_accepted_and_an_older_one_is_not() -> None:
    bench = Bench("responder", policy(peer_of_bob(), cookie_threshold=0))
    script = bench.script
    script.begin()
    (cookie,) = [one for one in clear_payloads(script.one()) if isinstance(one, NotifyPayload)]
    with_cookie = script.clear(INIT, [cookie, *script.init_payloads()])
    bench.world.run(70.0)
    script.send(with_cookie)
    assert NotifyType.COOKIE not in notifies(clear_payloads(script.one()))
    bench.world.run(130.0)
    script.send(with_cookie)
    assert notifies(clear_payloads(script.one())) == [NotifyType.COOKIE]


def test_d6_one_first_message_with_its_cookie_again_and_again_is_one_half_open_sa() -> None:
    bench = Bench("responder", policy(peer_of_bob(), cookie_threshold=0))
    script = bench.script
    script.begin()
    (cookie,) = [one for one in clear_payloads(script.one()) if isinstance(one, NotifyPayload)]
    message = script.clear(INIT, [cookie, *script.init_payloads()])
    for _ in range(500):
        script.send(message, wait=False)
    bench.world.run(0.1)
    assert len(set(script.received())) == 1
    assert len(bench.node.endpoint.sas) == 1


def test_d9_no_stranger_gets_more_octets_than_it_sent_and_nothing_twice() -> None:
    """But the answer to a first message that passes for one: a cookie is asked as soon as there are many."""
    bench = Bench("responder", policy(peer_of_bob(), cookie_threshold=0))
    script = bench.script
    probes = [
        script.clear(INIT, script.init_payloads()),
        script.clear(INFO, [], 7),
        script.clear(AUTH, [NotifyPayload(40000, bytes(40))], 1, response=True),
        bytes(28),
        b"\0" * 4,
        b"\xff",
    ]
    for data in probes:
        script.send(data, wait=False)
        bench.world.run(120.0)
        assert sum(map(len, script.received())) <= len(data)


def test_d10_a_peer_that_asks_without_end_is_served_at_a_rate_and_stays_up() -> None:
    bench = Bench("responder", policy(peer_of_bob(liveness_s=None)))
    script = bench.established()
    for _ in range(6000):
        script.send(script.sealed(INFO, (), script.next_id), wait=False)
        if bench.node.endpoint.counters().get("drop_rate_limited"):
            break
        script.next_id += 1
    assert script.next_id > 4000
    bench.world.run(1.0)
    script.received()
    assert script.request(INFO, ()) == ()
    assert bench.state() == "established"


def test_d11_a_thousand_handshakes_that_wait_for_a_slow_method_leave_others_alone() -> None:
    """Each piece of work takes ten seconds: the responder goes on answering, and what takes too long is let go."""
    slow = policy(peer_of_bob(remote=()), cookie_threshold=10**6, half_open_per_source=10**4)
    world = World("slow", trace=NoTrace())
    node = world.add(host("bob", BOB, slow, algorithms=CHEAP, work_s=10.0))
    script = Script(world, ALICE, BOB, initiator=True)
    flood(world, script, 1000)
    assert len(node.endpoint.sas) == 1000
    script.send(script.clear(INFO, [], 3)[:20], wait=False)  # and other messages are looked at at once
    assert node.endpoint.counters()["drop_short"] == 1
    world.run(60.0)
    assert not node.endpoint.sas
    assert not node.endpoint._turns._parked
    assert node.endpoint.counters()["half_open"] == 0


# NAT traversal.


def beside_nothing() -> tuple[Bench, Script]:
    bench = Bench("responder", policy(peer_of_bob(remote=(), liveness_s=None)))
    return bench, bench.established()


def beside_a_nat() -> tuple[Bench, Script]:
    """The peer's hash of its own address tells of it (RFC 7296 section 2.23)."""
    bench = Bench("responder", policy(peer_of_bob(remote=(), liveness_s=None)))
    bench.script.inside = "10.9.0.5"
    return bench, bench.established()


@pytest.mark.parametrize("nat", [True, False])
def test_n1_a_peer_is_followed_to_a_new_address_only_behind_a_nat(nat: bool) -> None:
    bench, script = beside_a_nat() if nat else beside_nothing()
    (sa,) = bench.node.endpoint.sas.values()
    assert sa.nat == NatStatus(local=False, remote=nat)
    script.send(script.sealed(INFO, (), script.next_id), source="203.0.113.50", port=script.port)
    assert bool(bench.events(PathChanged)) is nat
    assert sa.path.remote == ("203.0.113.50" if nat else ALICE)


def test_n2_what_does_not_verify_or_came_before_moves_nobody() -> None:
    bench, script = beside_a_nat()
    (sa,) = bench.node.endpoint.sas.values()
    assert sa.nat == NatStatus(local=False, remote=True)
    old = script.sealed(INFO, (), script.next_id)
    script.send(old)
    script.next_id += 1
    forged = script.sealed(INFO, (), script.next_id)
    for data in (old, forged[:-1] + bytes((forged[-1] ^ 1,))):
        script.send(data, source="203.0.113.50")
    assert not bench.events(PathChanged)
    assert sa.path.remote == ALICE


def test_n3_hashes_without_end_or_of_a_wrong_length_cost_encapsulation_at_most() -> None:
    bench = Bench("responder")
    script = bench.script
    kinds = (NotifyType.NAT_DETECTION_SOURCE_IP, NotifyType.NAT_DETECTION_DESTINATION_IP)
    script.extra = tuple(NotifyPayload(kinds[n % 2], bytes(n % 40)) for n in range(40))
    before = script.init_payloads()
    script.send(script.clear(INIT, before))
    script.own_init = script.clear(INIT, before)
    script.learn(script.one())
    (sa,) = bench.node.endpoint.sas.values()
    assert (sa.nat, sa.state.value) == (NatStatus(local=False, remote=False), "init_done")


def test_n12_keepalives_and_single_octets_without_end_are_passed_over() -> None:
    pair = Pair()
    pair.up()
    before = len(pair.bob.sent)
    for octet in (b"\xff", b"\0", b"\x01", b"\xff\xff", b"\0\0\0"):
        for _ in range(1000):
            pair.world.inject(("203.0.113.99", 4500), (BOB, 4500), octet)
    assert pair.bob.ports.keepalives == 1000
    assert len(pair.bob.sent) == before


def test_c23_an_authentication_that_is_said_to_hold_for_no_time_makes_no_storm() -> None:
    bench = Bench("initiator", policy(peer_of_alice(liveness_s=None)))
    script = bench.authenticating()
    script.one()
    payloads = [*script.auth_payloads(), NotifyPayload(NotifyType.AUTH_LIFETIME, bytes(4))]
    script.send(script.sealed(AUTH, payloads, 1, response=True))
    bench.world.run(50.0)
    assert not script.received()
    bench.world.run(5.0)
    assert [parse_header(data).exchange for data in script.received()] == [INIT]

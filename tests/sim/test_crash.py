"""Quick crash detection (RFC 6290): a peer that lost its state is known by its token, at once; row S14."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fynx.events import CrashDetected, IkeDown, NotifyReceived, PeerDead
from fynx.ike import crash
from fynx.ike.effects import CheckLiveness, Rekey
from fynx.ike.policy import HostPolicy
from fynx.sim.node import Node
from fynx.sim.world import Sent
from fynx.wire.header import HEADER_LEN, Header, parse_header
from fynx.wire.iana import NotifyType
from fynx.wire.message import encode_message, parse_payloads
from fynx.wire.payload import NotifyPayload
from tests.sim.rig import ALICE, BOB, Pair, host, peer_of_alice, peer_of_bob, policy

SECRET_A, SECRET_B = b"a" * 32, b"b" * 32


def pair(alice: bytes = SECRET_A, bob: bytes = SECRET_B) -> Pair:
    made = Pair(
        alice=policy(peer_of_alice(), crash_secret=alice),
        bob=policy(peer_of_bob(), crash_secret=bob),
    )
    made.up()
    return made


def restarted(pair: Pair, node: Node, host_policy: HostPolicy) -> Node:
    """The node loses everything but its policy, and with it its secret."""
    pair.world.remove(node)
    return pair.world.add(replace(host(node.name, node.host.addresses[0], host_policy), seed="after the crash"))


def clear_answers(pair: Pair, since: int) -> list[tuple[Header, list[NotifyPayload]]]:
    """Unprotected answers on the wire, with their notifications."""
    found = []
    for sent in pair.world.captured[since:]:
        data = sent.data.removeprefix(bytes(4))
        header = parse_header(data)
        payloads = parse_payloads(header.next_payload, data[HEADER_LEN:])
        notifies = [one for one in payloads if isinstance(one, NotifyPayload)]
        if header.response and notifies:
            found.append((header, notifies))
    return found


def kinds(notifies: list[NotifyPayload]) -> list[int]:
    return [one.type for one in notifies]


@pytest.mark.parametrize("crashed", ["alice", "bob"])
def test_a_peer_that_crashed_is_known_by_its_token_in_one_round_trip(crashed: str) -> None:
    # SK {}  -->  <--  N(INVALID_IKE_SPI), N(QCD_TOKEN)
    both = pair()
    node, other = (both.alice, both.bob) if crashed == "alice" else (both.bob, both.alice)
    restarted(both, node, node.host.policy)
    before, began = len(both.world.captured), both.world.now
    other.command(CheckLiveness(crashed))
    both.settle(0.5)
    assert [type(event) for event in other.events if isinstance(event, CrashDetected | PeerDead)] == [CrashDetected]
    (down,) = other.events_of(IkeDown)
    assert isinstance(down, IkeDown)
    assert down.cause == "dead"
    assert other.endpoint.snapshot() == ()
    assert not other.plane.children
    ((header, notifies),) = clear_answers(both, before)
    assert kinds(notifies) == [NotifyType.INVALID_IKE_SPI, NotifyType.QUICK_CRASH_DETECTION]
    request = parse_header(both.world.captured[before].data.removeprefix(bytes(4)))
    assert header.length <= request.length + crash.SLACK
    assert both.world.now - began <= 0.5
    assert len(both.world.captured) - before == 2, "the SA goes without a word"


def test_without_the_secret_of_before_the_restart_the_token_is_refused_and_liveness_decides() -> None:
    both = pair()
    restarted(both, both.bob, replace(both.bob.host.policy, crash_secret=b"c" * 32))
    both.alice.command(CheckLiveness("bob"))
    both.settle(0.5)
    assert both.alice.endpoint.counters()["crash_tokens_refused"] == 1
    assert [one.state for one in both.alice.endpoint.snapshot()] == ["established"]
    both.world.run(600)
    assert both.alice.events_of(PeerDead)


@pytest.mark.parametrize("flags", [0, 0x08])
def test_s14_no_token_is_given_away_while_the_sa_lives_whatever_the_flags_say(flags: int) -> None:
    both = pair()
    (live,) = both.alice.endpoint.snapshot()
    before = len(both.world.captured)
    probe = bytes.fromhex(live.spi_i + live.spi_r) + bytes((46, 0x20, 37, flags)) + bytes(4)
    probe += (28 + 64).to_bytes(4, "big") + bytes((0, 0)) + (64).to_bytes(2, "big") + bytes(60)
    for address in (ALICE, BOB):
        for source in (ALICE, BOB, "203.0.113.99"):
            both.world.inject((source, 500), (address, 500), probe)
    both.settle()
    answers = clear_answers(both, before)
    assert all(NotifyType.QUICK_CRASH_DETECTION not in kinds(found) for _, found in answers)
    tokens = [crash.token(secret, *map(bytes.fromhex, (live.spi_i, live.spi_r))) for secret in (SECRET_A, SECRET_B)]
    assert not any(token in sent.data for token in tokens for sent in both.world.captured)


def test_s14_what_is_not_protected_asks_for_no_token() -> None:
    both = pair()
    before = len(both.world.captured)
    header = Header(b"i" * 8, b"r" * 8, 0, 37, initiator=True, response=False, message_id=2, length=0)
    both.world.inject(("203.0.113.99", 500), (BOB, 500), encode_message(header, (NotifyPayload(40000, bytes(64)),)))
    ((_, notifies),) = clear_answers(both, before)
    assert kinds(notifies) == [NotifyType.INVALID_IKE_SPI]


@pytest.mark.parametrize("length", [0, 15, 16, 129])
def test_s14_forged_tokens_change_nothing(length: int) -> None:
    both = pair()
    (live,) = both.alice.endpoint.snapshot()

    def forge(sent: Sent) -> list[Sent]:
        if sent.source[0] == ALICE:
            asked = parse_header(sent.data.removeprefix(bytes(4)))
            answer = replace(asked, initiator=not asked.initiator, response=True)
            tokens = [NotifyPayload(NotifyType.QUICK_CRASH_DETECTION, bytes((n,)) * length, 1) for n in range(5)]
            data = encode_message(answer, (NotifyPayload(NotifyType.INVALID_IKE_SPI), *tokens))
            marker = bytes(4) if sent.data.startswith(bytes(4)) else b""
            both.world.inject(sent.destination, sent.source, marker + data)
        return [sent]

    both.world.intercept = forge
    both.alice.command(CheckLiveness("bob"))
    both.settle()
    assert both.alice.endpoint.counters()["crash_tokens_refused"] >= 1
    (after,) = both.alice.endpoint.snapshot()
    assert (after.spi_i, after.state) == (live.spi_i, "established")
    assert not both.alice.events_of(CrashDetected)


def test_one_right_token_among_four_is_enough_and_a_fifth_is_not_looked_at() -> None:
    for position, found in ((3, True), (4, False)):
        both = pair()
        (sa,) = both.alice.endpoint.sas.values()
        tokens = [bytes(16)] * 5
        tokens[position] = sa.crash_token
        shown = [NotifyPayload(NotifyType.QUICK_CRASH_DETECTION, token, 1) for token in tokens]
        assert crash.detected(both.alice.endpoint, sa, shown) is found


@pytest.mark.parametrize("rekeyer", ["alice", "bob"])
@pytest.mark.parametrize("crashed", ["alice", "bob"])
def test_the_new_ike_sa_after_a_rekey_has_tokens_of_its_own(rekeyer: str, crashed: str) -> None:
    both = pair()
    names = {"alice": "bob", "bob": "alice"}
    (before,) = both.alice.endpoint.snapshot()
    both.world.nodes[rekeyer].command(Rekey(names[rekeyer]))
    both.settle()
    (after,) = both.alice.endpoint.snapshot()
    assert after.spi_i not in (before.spi_i, before.spi_r)
    node, other = both.world.nodes[crashed], both.world.nodes[names[crashed]]
    restarted(both, node, node.host.policy)
    other.command(CheckLiveness(crashed))
    both.settle(0.5)
    assert other.events_of(CrashDetected)


def test_the_token_shows_in_no_event_and_no_repr() -> None:
    both = pair()
    both.alice.command(Rekey("bob"))
    both.settle()
    for node in (both.alice, both.bob):
        (sa,) = node.endpoint.sas.values()
        assert sa.crash_token
        assert sa.crash_token.hex() not in repr(node.events) + repr(sa.policies)
        assert repr(node.host.policy.crash_secret) not in repr(node.host.policy)
        assert not [one for one in node.events_of(NotifyReceived) if "CRASH" in str(one)]


def test_who_makes_no_tokens_still_takes_them() -> None:
    both = pair(alice=b"")
    restarted(both, both.bob, both.bob.host.policy)
    both.alice.command(CheckLiveness("bob"))
    both.settle(0.5)
    assert both.alice.events_of(CrashDetected)

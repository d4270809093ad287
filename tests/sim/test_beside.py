"""Two Child SAs of one name beside each other, step by step: which one sends, and when the other may go (RFC 7296
sections 2.8, 2.8.1). What ``test_interleavings`` meets by chance stands here by itself."""

from __future__ import annotations

from fynx.ike.child import ChildSa
from fynx.ike.effects import Rekey, Terminate
from fynx.ike.states import ChildState
from fynx.sim.node import Node
from fynx.sim.world import Sent
from fynx.wire.iana import ExchangeType
from tests.sim.crossings import initiate, newest, two
from tests.sim.rig import BOB, Pair

RESPONSE = 0x20


def children(node: Node) -> list[ChildSa]:
    """Those called "one", the oldest first."""
    found = [child for sa in node.endpoint.sas.values() for child in sa.children.named("one")]
    return sorted(found, key=lambda child: child.handle)


def without_answers_of(pair: Pair, address: str) -> None:
    """No answer to CREATE_CHILD_SA of this host arrives any more."""

    def lost(sent: Sent) -> bool:
        exchange, flags = sent.data[18:20]
        return sent.source[0] == address and exchange == ExchangeType.CREATE_CHILD_SA and bool(flags & RESPONSE)

    pair.world.intercept = lambda sent: () if sent.source[1] == 500 and lost(sent) else (sent,)


def test_what_the_peer_is_rekeying_sends_when_the_newer_ike_sa_beside_it_goes() -> None:
    """Its replacement may not yet: the peer has not got the answer that brings it."""
    pair = two(1, unique="never")
    for node, peer in ((pair.alice, "bob"), (pair.bob, "alice")):
        initiate(node, peer, "")
    pair.world.run(10.0)
    old, new = children(pair.bob)
    assert newest(pair.bob, "one") == new.handle
    without_answers_of(pair, BOB)
    of_old = pair.bob.endpoint.handles[old.handle]
    pair.alice.command(Rekey("bob", "one", of_old.spi_i.hex()))
    pair.world.run(1.0)
    assert old.state is ChildState.REKEYED
    pair.bob.command(Terminate("alice", pair.bob.endpoint.handles[new.handle].spi_i.hex()))
    assert newest(pair.bob, "one") == old.handle

"""Two gateways in the simulator, as most tests of the protocol core want them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

from fynx.events import ChildUp
from fynx.ike.effects import Initiate
from fynx.ike.policy import AuthPolicy, ChildPolicy, HostPolicy, PeerPolicy
from fynx.ike.tasks import CORE
from fynx.plugin import Identity, Path, Secret, Selector
from fynx.sim.link import PERFECT, Link
from fynx.sim.node import Host, Node
from fynx.sim.trace import Trace
from fynx.sim.world import World
from fynx.wire.identity import parse_identity
from fynx_plugins.psk import Psk, PskConfig
from tests.unit.ike.algorithms import ALGORITHMS, ECP_256, GCM_128, GCM_256, PRF_256, PRF_384, X25519, esp, ike

ALICE, BOB = "192.0.2.1", "198.51.100.2"
SECRET = b"a pre-shared key of the tests"
IKE = (ike(GCM_256, PRF_384, X25519), ike(GCM_128, PRF_256, X25519, ECP_256))
ESP = (esp(GCM_128), esp(GCM_256))


def network(text: str, protocol: int = 0, ports: tuple[int, int] = (0, 65535)) -> Selector:
    found = ip_network(text)
    return Selector(found.network_address.packed, found.broadcast_address.packed, protocol, *ports)


LAN_A, LAN_B = network("10.1.0.0/16"), network("10.2.0.0/16")


def identity(text: str) -> Identity:
    return Identity(*parse_identity(text))


def psk(secret: bytes = SECRET) -> AuthPolicy:
    return AuthPolicy("psk", PskConfig(Secret(secret)))


def lan(**changes: Any) -> ChildPolicy:
    """From the initiator's (Alice's) side."""
    return replace(ChildPolicy("lan", (LAN_A,), (LAN_B,), ESP), **changes)


def mirrored(child: ChildPolicy) -> ChildPolicy:
    return replace(child, local=child.remote, remote=child.local)


def peer_of_alice(**changes: Any) -> PeerPolicy:
    """What Alice has configured for Bob."""
    base = PeerPolicy(
        name="bob",
        remote=(ip_network(BOB),),
        local_id=identity("alice.example.org"),
        remote_id=identity("bob.example.org"),
        local_auth=psk(),
        remote_auth=psk(),
        ike=IKE,
        children=(lan(),),
        encap="auto",
    )
    return replace(base, **changes)


def peer_of_bob(**changes: Any) -> PeerPolicy:
    """What Bob has configured for Alice."""
    base = PeerPolicy(
        name="alice",
        remote=(ip_network(ALICE),),
        local_id=identity("bob.example.org"),
        remote_id=identity("alice.example.org"),
        local_auth=psk(),
        remote_auth=psk(),
        ike=IKE,
        children=(mirrored(lan()),),
        encap="auto",
    )
    return replace(base, **changes)


def policy(*peers: PeerPolicy, **changes: Any) -> HostPolicy:
    return replace(HostPolicy(tuple(peers)), **changes)


def host(name: str, address: str, host_policy: HostPolicy, **changes: Any) -> Host:
    return replace(
        Host(name, (address,), host_policy, ALGORITHMS, {"psk": Psk()}, (CORE,)),
        **changes,
    )


class Pair:
    """Alice, who initiates, and Bob, each with a policy for the other."""

    def __init__(
        self,
        seed: int | str = 1,
        link: Link = PERFECT,
        alice: HostPolicy | None = None,
        bob: HostPolicy | None = None,
        addresses: tuple[str, str] = (ALICE, BOB),
        trace: Trace | None = None,
        **changes: Any,
    ) -> None:
        self.world = World(seed, link, trace)
        self.alice = self.world.add(host("alice", addresses[0], alice or policy(peer_of_alice()), **changes))
        self.bob = self.world.add(host("bob", addresses[1], bob or policy(peer_of_bob()), **changes))
        self.target = BOB

    def initiate(self, port: int = 500) -> None:
        path = Path(self.alice.host.addresses[0], port, self.target, port)
        self.alice.command(Initiate("bob", path))

    def up(self, within_s: float = 120.0) -> None:
        """Brings the tunnel up, or fails the test."""
        self.initiate()
        assert self.world.run(within_s, self.is_up), f"no tunnel:\n{self.world.trace}"
        self.settle()

    def is_up(self) -> bool:
        return all(node.events_of(ChildUp) for node in (self.alice, self.bob))

    def settle(self, for_s: float = 1.0) -> None:
        """Lets what is on its way arrive."""
        self.world.run(for_s)


def same_children(one: Node, other: Node) -> None:
    """Both planes hold the same Child SAs: same keys, SPIs and selectors mirrored."""
    ours = sorted(one.plane.children.values(), key=lambda child: child.spec.spi_in)
    theirs = sorted(other.plane.children.values(), key=lambda child: child.spec.spi_out)
    assert len(ours) == len(theirs) > 0
    for left, right in zip((child.spec for child in ours), (child.spec for child in theirs), strict=True):
        assert (left.spi_in, left.spi_out) == (right.spi_out, right.spi_in)
        assert left.suite == right.suite
        assert (left.local_ts, left.remote_ts) == (right.remote_ts, right.local_ts)
        assert _revealed(left.keys_in) == _revealed(right.keys_out)
        assert _revealed(left.keys_out) == _revealed(right.keys_in)
        assert _revealed(left.keys_in) != _revealed(left.keys_out)
        assert left.encap == right.encap


def _revealed(keys: Any) -> tuple[bytes, bytes]:
    return keys.key.reveal(), keys.salt.reveal()

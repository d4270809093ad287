"""What ``fynx plan`` foretells is what happens: 1,000 random edits of a configuration under living tunnels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import fields, replace
from ipaddress import ip_network
from random import Random
from typing import Any

import pytest

from fynx.config import Child, Choice, Config, Local, Peer, Remote, Retransmission
from fynx.config.model import Dummies, IkeLifetime, Iptfs, Lifetime, StaticPolicy
from fynx.events import ChildDown, ChildRekeyed, Event, IkeDown, IkeRekeyed, PluginFailed
from fynx.ike.changes import Outcome
from fynx.ike.effects import Initiate
from fynx.ike.policy import ChildPolicy, PeerPolicy
from fynx.ike.selectors import subset
from fynx.kernel.registry import Registry
from fynx.plugin import AuthContext, AuthValue, Path, Secret
from fynx.run.plan import PeerPlan
from fynx.run.policy import host_policy
from fynx.run.reload import compared
from fynx.run.resolve import Resolver
from fynx.sim.node import Node
from fynx.sim.world import World
from fynx_plugins.psk import PskConfig
from tests.sim.rig import ALICE, ESP, IKE, host, identity, network, policy, psk
from tests.unit.run.pair import registry

EDITS = 1000
SETTLED_S = 0.5
"""Long enough on this wire, and short enough that no lifetime ends in a thousand edits."""
ADDRESSES = {name: f"198.51.100.{number}" for number, name in enumerate(("north", "east", "south", "west"), 10)}
CHILDREN = ("lan", "dmz", "voice")
NETWORKS = ("10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/24", "10.4.0.0/16")
IKE_TEXTS = ("aes256gcm16-prfsha384-x25519", "aes128gcm16-prfsha256-x25519")
ESP_TEXTS = ("aes128gcm16", "aes256gcm16")
Before = dict[str, tuple[str, dict[str, str]]]


class Anybody:
    """Signs and verifies without a secret, so that an edit of ours needs none of the peer's."""

    name = "psk"

    def sign(self, context: AuthContext) -> AuthValue:
        return AuthValue(2, bytes(32))

    def verify(self, context: AuthContext) -> None:
        return None


def some(random: Random, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(random.sample(values, random.randint(1, len(values))))


def secret(number: int) -> Choice:
    return Choice("psk", PskConfig(Secret(b"secret %032d" % number)))


def new_child(random: Random) -> Child:
    return Child(local=(random.choice(NETWORKS),), remote=(random.choice(NETWORKS),), esp=some(random, ESP_TEXTS))


def new_peer(random: Random, name: str) -> Peer:
    return Peer(
        remote=Remote(address=(ADDRESSES[name],), id=f"{name}.example.org", auth=secret(1)),
        local=Local(id="hub.example.org", auth=secret(1)),
        children={child: new_child(random) for child in some(random, CHILDREN)},
        ike=some(random, IKE_TEXTS),
    )


# Edits: of a child, of a peer, of the file.

CHILD_EDITS: tuple[Callable[[Random, Child], Child], ...] = (
    lambda random, child: replace(child, esp=some(random, ESP_TEXTS)),
    lambda random, child: replace(child, local=some(random, NETWORKS)),
    lambda random, child: replace(child, remote=some(random, NETWORKS)),
    lambda random, child: replace(child, window=random.choice((64, 1024))),
    lambda random, child: replace(child, start=random.choice(("none", "initiate", "trap"))),
    lambda random, child: replace(child, inactivity_s=random.choice((0.0, 3600.0))),
    lambda random, child: replace(child, lifetime=Lifetime(soft_s=random.choice((2000.0, 2700.0)))),
    lambda random, child: replace(child, tfc_pad=random.choice((0, 512, "mtu"))),
    lambda random, child: replace(child, iptfs=random.choice((None, Iptfs(), Iptfs(pad=True)))),
    lambda random, child: replace(child, dummies=random.choice((None, Dummies(), Dummies(size=100)))),
    lambda random, child: replace(child, per_worker=random.random() < 0.5),
    lambda random, child: replace(child, single_pair=random.random() < 0.5),
)
PEER_EDITS: tuple[Callable[[Random, Peer], Peer], ...] = (
    lambda random, peer: replace(peer, ike=some(random, IKE_TEXTS)),
    lambda random, peer: replace(peer, liveness_s=random.choice((None, 30.0, 60.0))),
    lambda random, peer: replace(peer, keepalive_s=random.choice((20.0, 25.0))),
    lambda random, peer: replace(peer, retransmission=Retransmission(tries=random.choice((5, 6)))),
    lambda random, peer: replace(peer, unique=random.choice(("replace", "keep", "never"))),
    lambda random, peer: replace(peer, on_dead=random.choice((None, "clear", "restart", "trap"))),
    lambda random, peer: replace(peer, lifetime=IkeLifetime(soft_s=random.choice((10000.0, 14400.0)))),
    lambda random, peer: replace(peer, send_idr=random.random() < 0.5),
    lambda random, peer: replace(peer, local=replace(peer.local, id=random.choice(("hub", "spoke")) + ".example.org")),
    lambda random, peer: replace(peer, local=replace(peer.local, auth=secret(random.randint(1, 2)))),
    lambda random, peer: replace(peer, remote=replace(peer.remote, auth=secret(random.randint(1, 2)))),
    lambda random, peer: replace(peer, remote=replace(peer.remote, address=addresses(random, peer))),
    lambda random, peer: replace(peer, remote=replace(peer.remote, port=random.choice((None, 4500)))),
    lambda random, peer: replace(peer, encap=random.choice((None, "always", "auto"))),
    lambda random, peer: replace(peer, start=random.choice((None, "none", "initiate", "trap"))),
    lambda random, peer: replace(peer, on_close=random.choice((None, "none", "restart", "trap"))),
    lambda random, peer: replace(peer, childless=random.random() < 0.5),
    lambda random, peer: replace(peer, fragmentation=random.random() < 0.5),
    lambda random, peer: replace(peer, fragment_size=random.choice((576, 1280))),
    lambda random, peer: replace(peer, ike_window=random.choice((1, 4))),
    lambda random, peer: replace(peer, reauth_s=random.choice((None, 1e5, 2e5))),
    lambda random, peer: replace(peer, request=random.choice(((), ("dns",), ("dns", "version")))),
    lambda random, peer: replace(peer, allow_weak_psk=random.random() < 0.5),
)
NOT_EDITED: dict[type, set[str]] = {Child: {"mode"}, Peer: {"children", "pool"}}
"""Transport mode is between two addresses, ``edit_children`` has the children, and pools are the host's."""


def addresses(random: Random, peer: Peer) -> tuple[str, ...]:
    more = ("203.0.113.0/24", "203.0.113.7")
    return tuple(dict.fromkeys((*peer.remote.address[:1], *some(random, more)))) if random.random() < 0.7 else more[:1]


def a_peer(random: Random) -> Peer:
    return new_peer(random, "north")


def touched(edits: tuple[Callable[[Random, Any], Any], ...], one: Any) -> set[str]:
    """Names of the fields that some edit changes."""
    random = Random(1)
    made = [edit(random, one) for edit in edits for _ in range(40)]
    return {each.name for each in fields(one) for other in made if getattr(other, each.name) != getattr(one, each.name)}


@pytest.mark.parametrize(("kind", "edits", "make"), [(Child, CHILD_EDITS, new_child), (Peer, PEER_EDITS, a_peer)])
def test_every_key_of_a_child_and_of_a_peer_is_edited(kind: type, edits: Any, make: Callable[[Random], Any]) -> None:
    assert touched(edits, make(Random(1))) | NOT_EDITED[kind] == {each.name for each in fields(kind)}


def edit_children(random: Random, peer: Peer) -> Peer:
    children = dict(peer.children)
    name = random.choice(CHILDREN)
    if name not in children:
        children[name] = new_child(random)
    elif random.random() < 0.25 and len(children) > 1:
        del children[name]
    else:
        children[name] = random.choice(CHILD_EDITS)(random, children[name])
    return replace(peer, children=children)


def edit(random: Random, config: Config) -> Config:
    peers = dict(config.peers)
    name = random.choice(tuple(ADDRESSES))
    dice = random.random()
    if name not in peers:
        peers[name] = new_peer(random, name)
    elif dice < 0.06 and len(peers) > 1:
        del peers[name]
    elif dice < 0.5:
        peers[name] = random.choice(PEER_EDITS)(random, peers[name])
    elif dice < 0.92:
        peers[name] = edit_children(random, peers[name])
    elif dice < 0.95:
        return replace(config, policies=(StaticPolicy("bypass", priority=random.randint(1, 9)),))
    elif dice < 0.98:
        return replace(config, host=replace(config.host, cookie_threshold=random.randint(50, 60)))
    else:
        return replace(config, host=replace(config.host, keylog=random.choice((None, "keys.log"))))
    items = list(peers.items())
    random.shuffle(items)  # the order of the file means nothing
    return replace(config, peers=dict(items))


# The world.


def spoke(name: str) -> PeerPolicy:
    """The other side: takes every proposal and every selector that an edit may bring."""
    wide = ChildPolicy("wide", (network("10.0.0.0/8"),), (network("10.0.0.0/8"),), ESP)
    own = identity(f"{name}.example.org")
    return PeerPolicy(
        "hub", (ip_network(ALICE),), own, None, psk(), psk(), IKE, (wide,), unique="never", liveness_s=None
    )


class Hub:
    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        names = tuple(ADDRESSES)[:3]
        self.config = Config(peers={name: new_peer(self.random, name) for name in names}, registry=registry())
        self.world = World(seed)
        methods: Any = {"psk": Anybody()}
        made = host_policy(self.config, self.registry, resolve={})
        self.node = self.world.add(host("hub", ALICE, made, auth_methods=methods))
        for name, address in ADDRESSES.items():
            self.world.add(host(name, address, policy(spoke(name)), auth_methods=methods))
        self.resolver = Resolver()

    @property
    def registry(self) -> Registry:
        return self.config.registry

    def bring_up(self) -> None:
        for name, peer in self.config.peers.items():
            path = Path(ALICE, 500, ADDRESSES[name], 500)
            self.node.command(Initiate(name, path, tuple(peer.children)))
        self.world.run(SETTLED_S)

    def before(self) -> Before:
        """SPI of the IKE SA and of each child, by name."""
        return {
            sa.peer: (sa.spi_i.hex(), {one.name: f"{one.spi_in:08x}" for one in sa.children.values() if one.current})
            for sa in self.node.endpoint.sas.values()
            if sa.established
        }

    def forget(self) -> None:
        for node in self.world.nodes.values():
            node.events.clear()
            node.sent.clear()
        self.world.captured.clear()


def what_happened(events: list[Event], before: Before, after: Before) -> dict[tuple[str, str], str]:
    """By peer and child (none for the IKE SA), told from events and from SPIs alone."""
    found: dict[tuple[str, str], str] = {}
    for peer, (spi, children) in before.items():
        found[peer, ""] = _ike(events, spi, after.get(peer))
        for child, child_spi in children.items():
            found[peer, child] = _child(events, child, child_spi, after.get(peer, ("", {}))[1])
    return found


def _ike(events: list[Event], spi: str, now: tuple[str, dict[str, str]] | None) -> str:
    if any(isinstance(one, IkeDown) and one.spi_i == spi for one in events):
        return "gone"
    if now is not None and now[0] == spi:
        return "stay"
    assert any(isinstance(one, IkeRekeyed) and one.old_spi_i == spi and one.by_us for one in events)
    return "rekey"


def _child(events: list[Event], name: str, spi: str, now: dict[str, str]) -> str:
    if any(isinstance(one, ChildDown) and one.spi_in == spi for one in events):
        return "remade" if name in now else "gone"
    if now.get(name) == spi:
        return "stay"
    assert any(isinstance(one, ChildRekeyed) and one.old_spi_in == spi and one.by_us for one in events)
    return "rekey"


def foretold(peer: PeerPlan | None, child: str) -> str:
    assert peer is not None
    if not child:
        return {Outcome.STAY: "stay", Outcome.REKEY: "rekey"}.get(peer.outcome, "gone")
    outcome = next(one.outcome for one in peer.children if one.name == child)
    if outcome is Outcome.REMAKE:
        return "gone" if peer.outcome is Outcome.REMAKE else "remade"
    return "gone" if outcome is Outcome.DROP else outcome.value


def one_edit(hub: Hub) -> set[str]:
    """Applies some edits at once and compares; returns the kinds of outcome that were seen."""
    hub.forget()
    written = hub.config
    for _ in range(hub.random.choice((1, 1, 2, 3))):
        written = edit(hub.random, written)
    prepared = asyncio.run(compared(hub.config, hub.node.endpoint.policy, written, hub.registry, hub.resolver))
    before, asked = hub.before(), hub.node.endpoint.counters().get("liveness_checks", 0)
    hub.node.reconfigure(prepared.policy)
    hub.world.run(SETTLED_S)
    hub.config = prepared.config
    after = hub.before()
    actual = what_happened(hub.node.events, before, after)
    expected = {key: foretold(prepared.plan.of(key[0]), key[1]) for key in actual}
    assert actual == expected, prepared.plan
    assert set(after) <= set(before), "nothing comes up that nobody called"
    untouched = [key for key, value in actual.items() if value == "stay"]
    if len(untouched) == len(actual) and hub.node.endpoint.counters().get("liveness_checks", 0) == asked:
        assert not any(node.sent for node in hub.world.nodes.values()), "not a message for what stays"
    in_line(hub.node)
    hub.bring_up()
    return set(actual.values())


def in_line(node: Node) -> None:
    for sa in node.endpoint.sas.values():
        assert sa.policy is node.endpoint.peers.by_name[sa.peer]


def test_the_plan_foretells_what_1000_random_edits_do() -> None:
    hub = Hub(6)
    hub.bring_up()
    seen: set[str] = set()
    for _ in range(EDITS):
        seen |= one_edit(hub)
    assert seen == {"stay", "rekey", "remade", "gone"}
    assert hub.before().keys() == hub.config.peers.keys(), "every peer that is configured can still be brought up"


def test_edits_in_the_middle_of_exchanges_end_where_the_last_one_says() -> None:
    """Nothing is foretold here: the SAs that stand at the end are those of the last configuration, and no others."""
    for seed in range(30):
        hub = Hub(seed)
        hub.bring_up()
        for _ in range(8):
            written = edit(hub.random, hub.config)
            prepared = asyncio.run(compared(hub.config, hub.node.endpoint.policy, written, hub.registry, hub.resolver))
            hub.config = prepared.config
            hub.node.reconfigure(prepared.policy)
            if hub.random.random() < 0.5:
                name = hub.random.choice(tuple(hub.config.peers))
                hub.node.command(Initiate(name, Path(ALICE, 500, ADDRESSES[name], 500)))
            hub.world.run(hub.random.uniform(0.0, 0.04))
        hub.world.run(20.0)
        in_line(hub.node)
        for sa in hub.node.endpoint.sas.values():
            assert sa.established
            for child in sa.children.values():
                (made_by,) = [one for one in sa.policy.children if one.name == child.name]
                assert subset(child.local_ts, made_by.local), made_by
                assert subset(child.remote_ts, made_by.remote), made_by
        assert not [one for node in hub.world.nodes.values() for one in node.events_of(PluginFailed)]
        hub.bring_up()
        assert hub.before().keys() == hub.config.peers.keys()

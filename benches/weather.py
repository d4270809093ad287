"""Two simulated hosts on a bad path, and all that they may be told to do there; ``benches.loss`` times it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial

from fynx.config import load
from fynx.events import (
    ChildDown,
    ChildRekeyed,
    ChildUp,
    CrashDetected,
    HandshakeFailed,
    IkeDown,
    IkeRekeyed,
    IkeUp,
    PathChanged,
    PeerAlive,
    PeerDead,
)
from fynx.ike import reauth
from fynx.ike.effects import CheckLiveness, Initiate, InitiateChild, Packet, Rekey, Terminate, TerminateChild
from fynx.ike.policy import HostPolicy
from fynx.ike.tasks import CORE
from fynx.kernel.registry import Registry
from fynx.plugin.dataplane import Expire, Selector
from fynx.plugin.transport import Path
from fynx.run.policy import host_policy
from fynx.sim.link import Link
from fynx.sim.nat import Nat
from fynx.sim.node import Host, Node
from fynx.sim.trace import NoTrace
from fynx.sim.world import World

BAD = Link(latency_s=0.1, loss=0.3, duplicate=0.1, reorder=0.2)
LEFT, RIGHT, BEHIND = "192.0.2.1", "198.51.100.2", "198.18.9.5"
"""``BEHIND`` is the left end's own address where a NAT has ``LEFT``."""
WITHIN_S = 600.0
POUR_S = 0.2
PEER: Mapping[str, object] = {
    "ike": ["aes256gcm16-prfsha384-x25519"],
    "start": "none",
    "liveness_s": None,
    "ike_window": 4,
    # Each exchange needs a request and a response to get through: about every second try does.
    "retransmission": {"base_s": 0.5, "factor": 1.5, "tries": 14},
}
SECRET = {"BENCH_PSK": "a pre-shared key of more than thirty-two octets"}
CRASH_SECRET = b"what survives a crash".ljust(32)
SUITES = ["aes128gcm16-x25519"]
PACKET: Packet = (
    Selector(bytes((10, 1, 0, 7)), bytes((10, 1, 0, 7))),
    Selector(bytes((10, 2, 0, 9)), bytes((10, 2, 0, 9))),
)


@dataclass(slots=True)
class Two:
    """Two hosts, the left one initiates, and their network."""

    name: str
    world: World
    nat: Nat | None = None
    left: Node = field(init=False)
    right: Node = field(init=False)
    given_up: int = 0

    def __post_init__(self) -> None:
        self.left, self.right = self.node(left=True), self.node(left=False)

    def node(self, *, left: bool, seed: str = "") -> Node:
        policy, registry = configured(self.name, left=left)
        address = (BEHIND if self.nat else LEFT) if left else RIGHT
        extensions = (CORE, *registry.extensions)
        side = "left" if left else "right"
        made = Host(side, (address,), policy, registry.algorithms, registry.auth_methods, extensions, seed=seed)
        return self.world.add(made)

    @property
    def both(self) -> tuple[Node, Node]:
        return self.left, self.right

    def initiate(self, *children: str, packet: Packet | None = None) -> None:
        packets = {children[0]: packet} if packet is not None else {}
        path = Path(self.left.host.addresses[0], 500, RIGHT, 500)
        self.left.command(Initiate("right", path, children, packets))

    def said(self, *kinds: type) -> bool:
        """Both ends have said each of these since the operation began."""
        return all(any(type(event) is kind for event in node.events) for node in self.both for kind in kinds)

    def alike(self) -> bool:
        """One IKE SA and its children, the same at both ends, and nothing on its way out."""
        ours, theirs = (node.endpoint.snapshot() for node in self.both)
        if len(ours) != 1 or [(one.spi_i, one.spi_r) for one in ours] != [(one.spi_i, one.spi_r) for one in theirs]:
            return False
        here = {(child.spi_in, child.spi_out, child.state) for child in ours[0].children}
        return here == {(child.spi_out, child.spi_in, child.state) for child in theirs[0].children} and all(
            state == "active" for _, _, state in here
        )


@dataclass(frozen=True, slots=True)
class Operation:
    """``start`` begins it, ``done`` tells whether both ends are through. The tunnel is up before, unless ``cold``."""

    start: Callable[[Two], None]
    done: Callable[[Two], bool]
    cold: bool = False
    left: Mapping[str, object] = field(default_factory=dict)
    right: Mapping[str, object] = field(default_factory=dict)
    host: Mapping[str, object] = field(default_factory=dict)
    """Further keys: of the peer in either file, of ``host`` at the right end."""
    children: int = 2
    form: Callable[[int, bool], Mapping[str, object]] | None = None
    """Keys of a child, by its number, at the left end or not; networks when there is none."""
    changed: Mapping[str, object] = field(default_factory=dict)
    """Keys of a child in the left end's next configuration."""
    stands_s: float = 5.0
    """How long the tunnel stands before the weather turns bad."""
    nat: bool = False


# What is done.


def connect(two: Two) -> None:
    two.initiate("c0")


def connect_six(two: Two) -> None:
    two.initiate(*(f"c{number}" for number in range(6)))


def again(two: Two) -> None:
    anew(two.left)


def anew(node: Node) -> None:
    for sa in tuple(node.endpoint.sas.values()):
        reauth.start(node.endpoint, sa)
    node.pump()


def both_again(two: Two) -> None:
    for node in two.both:
        anew(node)


def both_rekey(child: str, two: Two) -> None:
    two.left.command(Rekey("right", child))
    two.right.command(Rekey("left", child))


def die(two: Two) -> None:
    two.right.alive = False
    two.left.command(CheckLiveness("right"))


def crash(two: Two) -> None:
    """The right end begins anew and knows nothing but its configuration and the secret of its tokens."""
    two.world.remove(two.right)
    two.right = two.node(left=False, seed=f"{two.world.seed}/after the crash")
    two.left.command(CheckLiveness("right"))


def forget(two: Two) -> None:
    """The right end loses a Child SA without knowing; packets for it go on coming."""
    (sa,) = two.right.endpoint.sas.values()
    (handle,) = sa.children
    del two.right.plane.children[handle], two.right.endpoint.handles[handle], sa.children[handle]
    pour(two)


def pour(two: Two) -> None:
    for handle in list(two.left.plane.children)[-1:]:
        two.left.send_packet(handle, b"a packet")
    two.world.clock.after(POUR_S, partial(pour, two))


def hard_limit(two: Two) -> None:
    (handle,) = two.left.plane.children
    two.left.endpoint.expired(two.world.now, Expire(handle, hard=True, reason="bytes"))
    two.left.pump()


def rebind(two: Two) -> None:
    assert two.nat is not None
    two.nat.rebind()
    two.left.command(CheckLiveness("right"))


def reload(two: Two) -> None:
    two.left.reconfigure(configured(two.name, left=True, changed=True)[0])


def nothing(two: Two) -> None:
    """It begins by itself."""


# What it comes to.


def up(two: Two) -> bool:
    return two.said(IkeUp, ChildUp)


def all_up(two: Two) -> bool:
    return all(len(node.events_of(ChildUp)) == 6 for node in two.both)


def renewed(two: Two) -> bool:
    return two.said(IkeUp, ChildUp, IkeDown)


def settled(*kinds: type) -> Callable[[Two], bool]:
    return lambda two: two.said(*kinds) and two.alike()


def said(*kinds: type) -> Callable[[Two], bool]:
    return lambda two: two.said(*kinds)


def at_left(kind: type) -> Callable[[Two], bool]:
    return lambda two: bool(two.left.events_of(kind))


# How children look.


def networks(number: int, left: bool) -> Mapping[str, object]:
    ends = [f"10.1.{number}.0/24", f"10.2.{number}.0/24"]
    return {"local": [ends[not left]], "remote": [ends[left]], "esp": SUITES}


def leased(number: int, left: bool) -> Mapping[str, object]:
    ends = ["dynamic", f"10.2.{number}.0/24"]
    return {"local": [ends[not left]], "remote": [ends[left]], "esp": SUITES}


def services(number: int, left: bool) -> Mapping[str, object]:
    ends = ["10.1.0.0/24[tcp]", f"10.2.0.0/24[tcp/{5000 + number}]"]
    return {"local": [ends[not left]], "remote": [ends[left]], "esp": SUITES}


def hosts(number: int, left: bool) -> Mapping[str, object]:
    own, other = (LEFT, RIGHT) if left else (RIGHT, LEFT)
    return {"local": [f"{own}[udp/{number}]"], "remote": [f"{other}[udp/{number}]"], "mode": "transport", "esp": SUITES}


def extended(number: int, left: bool) -> Mapping[str, object]:
    return {**networks(number, left), "esp": ["aes128gcm16-x25519-esn"]}


def pairs(number: int, left: bool) -> Mapping[str, object]:
    return {**networks(number, left), "single_pair": not left}


def either(number: int, left: bool) -> Mapping[str, object]:
    return {**networks(number, left), "esp": [*SUITES, "aes256gcm16-x25519"]}


def idle(number: int, left: bool) -> Mapping[str, object]:
    return {**networks(number, left), **({"inactivity_s": 10} if left else {})}


POOL = {"addresses": ["198.18.5.0/24"], "dns": ["198.18.5.1"], "subnets": ["10.2.0.0/16"], "split_dns": ["example.org"]}
TWO_GROUPS = ["aes256gcm16-prfsha384-x25519", "aes256gcm16-prfsha384-ecp256"]
OPERATIONS = {
    "handshake": Operation(connect, up, cold=True),
    "handshake-cookie": Operation(connect, up, cold=True, host={"cookie_threshold": 0}),
    "handshake-group": Operation(connect, up, cold=True, left={"ike": TWO_GROUPS}, right={"ike": TWO_GROUPS[1:]}),
    "handshake-fragments": Operation(connect, up, cold=True, left={"fragment_size": 256}, right={"fragment_size": 256}),
    "handshake-childless": Operation(
        lambda two: two.initiate(), said(IkeUp), cold=True, left={"childless": True}, right={"childless": True}
    ),
    "handshake-address": Operation(
        connect,
        up,
        cold=True,
        left={"request": ["ipv4", "dns", "subnets", "split_dns"]},
        right={"pool": "road"},
        host={"pools": {"road": POOL}},
        form=leased,
    ),
    "handshake-transport": Operation(connect, up, cold=True, form=hosts),
    "handshake-esn": Operation(connect, up, cold=True, form=extended),
    "handshake-nat": Operation(connect, up, cold=True, nat=True),
    "handshake-packet": Operation(lambda two: two.initiate("c0", packet=PACKET), up, cold=True, form=pairs),
    "children-six": Operation(connect_six, all_up, cold=True, children=6),
    "children-ports": Operation(connect_six, all_up, cold=True, children=6, form=services),
    "child": Operation(lambda two: two.left.command(InitiateChild("right", "c1")), said(ChildUp)),
    "child-rekey": Operation(lambda two: two.left.command(Rekey("right", "c0")), said(ChildRekeyed)),
    "child-rekey-both": Operation(partial(both_rekey, "c0"), settled(ChildRekeyed)),
    "child-lost": Operation(forget, settled(ChildUp)),
    "child-hard-limit": Operation(hard_limit, settled(ChildDown, ChildUp)),
    "child-idle": Operation(nothing, said(ChildDown), form=idle, stands_s=10.0),
    "child-delete": Operation(lambda two: two.left.command(TerminateChild("right", "c0")), said(ChildDown)),
    "ike-rekey": Operation(lambda two: two.left.command(Rekey("right")), said(IkeRekeyed)),
    "ike-rekey-both": Operation(partial(both_rekey, ""), settled(IkeRekeyed)),
    "ike-delete": Operation(lambda two: two.left.command(Terminate("right")), said(IkeDown)),
    "authenticate-again": Operation(again, renewed),
    "authenticate-again-both": Operation(both_again, settled(IkeUp, ChildUp, IkeDown)),
    "authenticate-again-asked": Operation(nothing, renewed, right={"reauth_s": 60}, stands_s=53.9),
    "liveness": Operation(lambda two: two.left.command(CheckLiveness("right")), at_left(PeerAlive)),
    "dead-peer": Operation(die, at_left(PeerDead)),
    "crashed-peer": Operation(crash, at_left(CrashDetected)),
    "nat-rebinding": Operation(
        rebind, lambda two: bool(two.right.events_of(PathChanged) and two.left.events_of(PeerAlive)), nat=True
    ),
    "reload-esp": Operation(reload, said(ChildRekeyed), form=either, changed={"esp": ["aes256gcm16-x25519"]}),
    "reload-networks": Operation(reload, settled(ChildUp, ChildDown), changed={"local": ["10.1.0.0/25"]}),
    "stop": Operation(lambda two: two.right.command(Terminate("")), said(IkeDown)),
}


@cache
def configured(name: str, *, left: bool, changed: bool = False) -> tuple[HostPolicy, Registry]:
    """What the end of that operation is told."""
    operation = OPERATIONS[name]
    form = operation.form or networks
    own, other = ("left", "right") if left else ("right", "left")
    auth = {"psk": {"secret": "@env:BENCH_PSK"}}
    more = operation.changed if changed else {}
    peer = {
        "remote": {"address": RIGHT if left else LEFT, "id": f"{other}.example", "auth": auth},
        "local": {"id": f"{own}.example", "auth": auth},
        "children": {f"c{n}": {**form(n, left), **more} for n in range(operation.children)},
        **PEER,
        **(operation.left if left else operation.right),
    }
    host = {"plane": {"inproc": {}}, **({} if left else operation.host)}
    config = load(json.dumps({"name": own, "host": host, "peers": {other: peer}}, indent=1), environment=SECRET)
    return host_policy(config, config.registry, resolve={}, crash_secret=CRASH_SECRET), config.registry


def once(name: str, number: int) -> float | None:
    """Seconds, or None when it did not complete; the number makes the weather."""
    operation, world = OPERATIONS[name], World(f"{name}/{number}", trace=NoTrace())
    two = Two(name, world, world.add_nat(Nat(LEFT, (BEHIND,))) if operation.nat else None)
    if not operation.cold:
        two.initiate("c0")
        world.run(operation.stands_s)
        assert two.said(ChildUp)
        for one in two.both:
            one.events.clear()
    world.link = BAD
    began = world.now
    while world.now < began + WITHIN_S:
        two.given_up = len(two.left.events_of(HandshakeFailed))
        operation.start(two)
        world.run(began + WITHIN_S - world.now, partial(over, two, operation))
        if operation.done(two):
            return world.now - began
    return None


def over(two: Two, operation: Operation) -> bool:
    """Done; or a handshake was given up, and begins anew, as the program does it."""
    return operation.done(two) or len(two.left.events_of(HandshakeFailed)) > two.given_up

"""How long each operation takes on a bad path: 30 % lost, 10 % twice, 20 % late, 200 ms there and back.

Both hosts stand in the simulator, so the seconds are those of its clock: what the protocol waits, not what this machine
computes. Whatever fails to complete is an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import version
from statistics import quantiles

from benches.lab import BenchError
from benches.result import Result
from fynx.config import load
from fynx.events import (
    ChildDown,
    ChildRekeyed,
    ChildUp,
    HandshakeFailed,
    IkeDown,
    IkeRekeyed,
    IkeUp,
    PeerAlive,
    PeerDead,
)
from fynx.ike import reauth
from fynx.ike.effects import CheckLiveness, Initiate, InitiateChild, Rekey, Terminate, TerminateChild
from fynx.ike.policy import HostPolicy
from fynx.ike.tasks import CORE
from fynx.kernel.registry import Registry
from fynx.plugin.transport import Path
from fynx.run.policy import host_policy
from fynx.sim.link import Link
from fynx.sim.node import Host, Node
from fynx.sim.trace import NoTrace
from fynx.sim.world import World

BAD = Link(latency_s=0.1, loss=0.3, duplicate=0.1, reorder=0.2)
LEFT, RIGHT = "192.0.2.1", "198.51.100.2"
TIMES = 200
WITHIN_S = 600.0
PEER: Mapping[str, object] = {
    "ike": ["aes256gcm16-prfsha384-x25519"],
    "start": "none",
    "liveness_s": None,
    "ike_window": 4,
    # Each exchange needs a request and a response to get through: about every second try does.
    "retransmission": {"base_s": 0.5, "factor": 1.5, "tries": 14},
}
SECRET = {"BENCH_PSK": "a pre-shared key of more than thirty-two octets"}


@dataclass(slots=True)
class Two:
    """Two hosts, the left one initiates, and their network."""

    world: World
    left: Node
    right: Node
    given_up: int = 0

    def initiate(self, *children: str) -> None:
        self.left.command(Initiate("right", Path(LEFT, 500, RIGHT, 500), children))

    def said(self, *kinds: type) -> bool:
        """Both ends have said each of these since the operation began."""
        return all(
            any(type(event) is kind for event in node.events) for node in (self.left, self.right) for kind in kinds
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


def again(two: Two) -> None:
    for sa in tuple(two.left.endpoint.sas.values()):
        reauth.start(two.left.endpoint, sa)
    two.left.pump()


def both_rekey(two: Two) -> None:
    two.left.command(Rekey("right", "c0"))
    two.right.command(Rekey("left", "c0"))


def die(two: Two) -> None:
    two.right.alive = False
    two.left.command(CheckLiveness("right"))


def all_up(two: Two) -> bool:
    return all(len(node.events_of(ChildUp)) == 6 for node in (two.left, two.right))


def renewed(two: Two) -> bool:
    return two.said(IkeUp, ChildUp, IkeDown)


def at_left(kind: type) -> Callable[[Two], bool]:
    return lambda two: bool(two.left.events_of(kind))


OPERATIONS = {
    "handshake": Operation(lambda two: two.initiate("c0"), lambda two: two.said(IkeUp, ChildUp), cold=True),
    "handshake-cookie": Operation(
        lambda two: two.initiate("c0"), lambda two: two.said(IkeUp, ChildUp), cold=True, host={"cookie_threshold": 0}
    ),
    "handshake-group": Operation(
        lambda two: two.initiate("c0"),
        lambda two: two.said(IkeUp, ChildUp),
        cold=True,
        left={"ike": ["aes256gcm16-prfsha384-x25519", "aes256gcm16-prfsha384-ecp256"]},
        right={"ike": ["aes256gcm16-prfsha384-ecp256"]},
    ),
    "handshake-fragments": Operation(
        lambda two: two.initiate("c0"),
        lambda two: two.said(IkeUp, ChildUp),
        cold=True,
        left={"fragment_size": 256},
        right={"fragment_size": 256},
    ),
    "handshake-childless": Operation(
        lambda two: two.initiate(),
        lambda two: two.said(IkeUp),
        cold=True,
        left={"childless": True},
        right={"childless": True},
    ),
    "handshake-address": Operation(
        lambda two: two.initiate("c0"),
        lambda two: two.said(IkeUp, ChildUp),
        cold=True,
        left={"request": ["ipv4", "dns"]},
        right={"pool": "road"},
        host={"pools": {"road": {"addresses": ["198.18.5.0/24"], "dns": ["198.18.5.1"]}}},
    ),
    "children-six": Operation(lambda two: two.initiate(*(f"c{n}" for n in range(6))), all_up, cold=True, children=6),
    "child": Operation(lambda two: two.left.command(InitiateChild("right", "c1")), lambda two: two.said(ChildUp)),
    "child-rekey": Operation(lambda two: two.left.command(Rekey("right", "c0")), lambda two: two.said(ChildRekeyed)),
    "child-rekey-both": Operation(both_rekey, lambda two: two.said(ChildRekeyed)),
    "ike-rekey": Operation(lambda two: two.left.command(Rekey("right")), lambda two: two.said(IkeRekeyed)),
    "authenticate-again": Operation(again, renewed),
    "liveness": Operation(lambda two: two.left.command(CheckLiveness("right")), at_left(PeerAlive)),
    "dead-peer": Operation(die, at_left(PeerDead)),
    "child-delete": Operation(
        lambda two: two.left.command(TerminateChild("right", "c0")), lambda two: two.said(ChildDown)
    ),
    "ike-delete": Operation(lambda two: two.left.command(Terminate("right")), lambda two: two.said(IkeDown)),
}


@cache
def configured(name: str, *, left: bool) -> tuple[HostPolicy, Registry]:
    """What the end of that operation is told."""
    operation = OPERATIONS[name]
    own, other = ("left", "right") if left else ("right", "left")
    auth = {"psk": {"secret": "@env:BENCH_PSK"}}
    peer = {
        "remote": {"address": RIGHT if left else LEFT, "id": f"{other}.example", "auth": auth},
        "local": {"id": f"{own}.example", "auth": auth},
        "children": {f"c{n}": child(n, left, leased="pool" in operation.right) for n in range(operation.children)},
        **PEER,
        **(operation.left if left else operation.right),
    }
    host = {"plane": {"inproc": {}}, **({} if left else operation.host)}
    config = load(json.dumps({"name": own, "host": host, "peers": {other: peer}}, indent=1), environment=SECRET)
    return host_policy(config, config.registry, resolve={}), config.registry


def child(number: int, left: bool, leased: bool) -> dict[str, object]:
    ends = ["dynamic" if leased else f"10.1.{number}.0/24", f"10.2.{number}.0/24"]
    return {"local": [ends[not left]], "remote": [ends[left]], "esp": ["aes128gcm16-x25519"]}


def node(world: World, name: str, *, left: bool) -> Node:
    policy, registry = configured(name, left=left)
    address = LEFT if left else RIGHT
    side = "left" if left else "right"
    return world.add(
        Host(side, (address,), policy, registry.algorithms, registry.auth_methods, (CORE, *registry.extensions))
    )


def once(name: str, number: int) -> float | None:
    """Seconds, or None when it did not complete; the number makes the weather."""
    operation, world = OPERATIONS[name], World(f"{name}/{number}", trace=NoTrace())
    two = Two(world, node(world, name, left=True), node(world, name, left=False))
    if not operation.cold:
        two.initiate("c0")
        world.run(5.0)
        assert two.said(ChildUp)
        for one in (two.left, two.right):
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


def run(options: Sequence[str] = ()) -> Result:
    """``--times N`` of each; ``--case NAME`` for one alone."""
    given = dict(zip(options[::2], options[1::2], strict=False))
    times = int(given.get("--times", TIMES))
    names = [given["--case"]] if "--case" in given else list(OPERATIONS)
    result, ours = Result("loss"), version("fynx-ipsec")
    for name in names:
        if name not in OPERATIONS:
            raise BenchError(f"no operation {name!r}; there are: {', '.join(OPERATIONS)}")
        took = [once(name, number) for number in range(times)]
        found = [one for one in took if one is not None]
        if len(found) < times:
            raise BenchError(f"{name}: {times - len(found)} of {times} did not complete within {WITHIN_S:g} s")
        result.add(name, "fynx", ours, found, "s")
        tenths = quantiles(found, n=100, method="inclusive") if times > 1 else found * 99
        for share in (90, 99):
            result.add(f"{name}-p{share}", "fynx", ours, [tenths[share - 1]], "s")
    return result

"""What must hold between two hosts whenever nothing is under way: nothing lost, nothing left, nothing twice."""

from __future__ import annotations

from fynx.events import PluginFailed
from fynx.ike.states import ChildState, IkeState
from fynx.ike.timers import Timer
from fynx.sim.node import Node
from tests.sim.rig import Pair

STANDING = (
    *(Timer.HALF_OPEN, Timer.LIVENESS, Timer.KEEPALIVE, Timer.IKE_SOFT, Timer.IKE_HARD, Timer.REAUTH),
    *(Timer.CHILD_SOFT, Timer.CHILD_HARD),
)
"""Timers of SAs that are at rest."""


def violations(pair: Pair) -> list[str]:
    """Plain words for everything that is not as it should be; empty when all is well."""
    return [*_agreed(pair), *_own(pair.alice), *_own(pair.bob)]


def quiet(pair: Pair) -> bool:
    """No request waits, nothing lingers: the next thing to happen is a liveness check or a soft limit."""
    for node in (pair.alice, pair.bob):
        endpoint = node.endpoint
        if any(sa.exchange is not None or sa.queue or sa.working or sa.successor for sa in endpoint.sas.values()):
            return False
        if any(sa.state is not IkeState.ESTABLISHED for sa in endpoint.sas.values()):
            return False
        if any(key[0] not in STANDING for key in endpoint.timers.keys()):  # noqa: SIM118  it is no mapping
            return False
        for sa in endpoint.sas.values():
            if any(child.state is not ChildState.ACTIVE or child.refused for child in sa.children.values()):
                return False
    return True


def _agreed(pair: Pair) -> list[str]:
    """Same IKE SAs, same children with the same keys, and each sends."""
    found = []
    ours, theirs = ({(one.spi_i, one.spi_r) for one in node.endpoint.snapshot()} for node in (pair.alice, pair.bob))
    if ours != theirs:
        found.append(f"IKE SAs differ: {sorted(ours)} and {sorted(theirs)}")
    here = {(one.spec.spi_in, one.spec.spi_out): one for one in pair.alice.plane.children.values()}
    there = {(one.spec.spi_out, one.spec.spi_in): one for one in pair.bob.plane.children.values()}
    for spis in here.keys() ^ there.keys():
        found.append(f"child {spis[0]:08x}/{spis[1]:08x} is only with {'alice' if spis in here else 'bob'}")
    for spis in here.keys() & there.keys():
        left, right = here[spis], there[spis]
        if left.spec.child != right.spec.child:
            found.append(f"child {spis[0]:08x} is {left.spec.child} and {right.spec.child}")
        if (left.spec.keys_in.key.reveal(), left.spec.keys_out.key.reveal()) != (
            right.spec.keys_out.key.reveal(),
            right.spec.keys_in.key.reveal(),
        ):
            found.append(f"keys of child {spis[0]:08x} differ")
        found += [f"child {spis[0]:08x} does not send" for one in (left, right) if not one.outbound]
    return found


def _own(node: Node) -> list[str]:
    """Endpoint tables, plane and timers name the same SAs and nothing else."""
    endpoint = node.endpoint
    sas = endpoint.sas
    children = {child.handle: child for sa in sas.values() for child in sa.children.values()}
    checks = {
        "not all established": all(sa.state is IkeState.ESTABLISHED for sa in sas.values()),
        "SPI tables": sorted(map(id, (*endpoint.spis._initiators.values(), *endpoint.spis._responders.values())))
        == sorted(map(id, sas.values())),
        "peers' table": sorted(map(id, (sa for listed in endpoint.by_peer.values() for sa in listed)))
        == sorted(map(id, sas.values())),
        "handles": endpoint.handles.keys() == children.keys(),
        "plane": node.plane.children.keys() == children.keys(),
        "SPIs reserved": not node.plane.reserved and not any(sa.reserved for sa in sas.values()),
        "parked work": not endpoint._turns._parked,
        "twins": len(sas) <= 1 and len(children) == len({(child.name, child.resource) for child in children.values()}),
        "waiting": not any(sa.working or sa.deferred or sa.queue or sa.exchange for sa in sas.values()),
        "undecided": not any(sa.successor or sa.heir_of for sa in sas.values()),
        "child states": all(child.state is ChildState.ACTIVE for child in children.values()),
        "untold": all(child.announced for child in children.values()),
        "half open": not endpoint.admission.half_open,
        "bug": not node.events_of(PluginFailed),
    }
    found = [f"{node.name}: {name}" for name, holds in checks.items() if not holds]
    for timer, number in endpoint.timers.keys():  # noqa: SIM118
        if timer not in STANDING or number not in (children if timer >= Timer.CHILD_SOFT else sas):
            found.append(f"{node.name}: timer {timer.name} of {number} is left")
    return found


def keys_reused(node: Node) -> list[str]:
    """No SPI was ever used with two keys, no key with two SPIs."""
    by_spi: dict[tuple[str, int], bytes] = {}
    by_key: dict[bytes, tuple[str, int]] = {}
    found = []
    for spec in node.plane.history:
        for spi, keys in ((("in", spec.spi_in), spec.keys_in), (("out", spec.spi_out), spec.keys_out)):
            key = keys.key.reveal() + keys.salt.reveal()
            if by_spi.setdefault(spi, key) != key or by_key.setdefault(key, spi) != spi:
                found.append(f"{node.name}: SPI {spi[1]:08x} and its key are not one to one")
    return found

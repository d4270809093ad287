"""Two daemons at the ends of a topology with the same plans loaded, whichever kinds they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lab import traffic
from lab.capture import Capture
from lab.charon import Charon, ChildView
from lab.fynxd import Fynx
from lab.plan import Child, Plan, networks
from lab.topology import KINDS, Host, Topology
from lab.wait import until

End = Charon | Fynx

ROLES = {
    "fynx_initiates": ("fynx", "strongswan"),
    "strongswan_initiates": ("strongswan", "fynx"),
}
"""Kinds of the left and the right end; the left one initiates."""


@dataclass(frozen=True, slots=True)
class Settings:
    plans: Sequence[Plan] = (Plan(),)
    left_plans: Sequence[Plan] | None = None
    right_plans: Sequence[Plan] | None = None
    strongswan: Mapping[str, object] = field(default_factory=dict)
    fynx: Mapping[str, object] = field(default_factory=dict)
    fynx_site: Mapping[str, object] = field(default_factory=dict)
    strongswan_peer: Mapping[str, object] = field(default_factory=dict)
    strongswan_child: Mapping[str, object] = field(default_factory=dict)
    fynx_peer: Mapping[str, object] = field(default_factory=dict)
    fynx_child: Mapping[str, object] = field(default_factory=dict)


class Pair:
    """``kinds`` are "fynx" or "strongswan", left first. The left one is the initiator unless a test says otherwise.

    ``plans`` are loaded on both sides, unless ``left_plans`` or ``right_plans`` say otherwise for one. ``strongswan``
    and ``fynx`` are options of the daemon (lines of strongswan.conf, keys of ``host:``), ``fynx_site``
    further keys of Fynx's file, ``strongswan_peer`` and ``fynx_peer`` further keys of each connection,
    ``strongswan_child`` and ``fynx_child`` of each child.
    """

    def __init__(self, topology: Topology, directory: Path, kinds: tuple[str, str], settings: Settings) -> None:
        self.topology = topology
        self.settings = settings
        self.plan = settings.plans[0]
        self.left = self._end(topology.left, kinds[0], directory / "left")
        self.right = self._end(topology.right, kinds[1], directory / "right")

    def _end(self, host: Host, kind: str, directory: Path) -> End:
        directory.mkdir(mode=0o700)
        if kind == "fynx":
            return Fynx(host, directory, self.settings.fynx, self.settings.fynx_site)
        return Charon(host, directory, self.settings.strongswan)

    def start(self) -> None:
        # The initiator may stand behind a NAT: only it needs the other's address.
        reachable = self.topology.left.seen == self.topology.left.address
        self._start(self.right, self.left, self.settings.right_plans, dials=reachable)
        self._start(self.left, self.right, self.settings.left_plans, dials=True)

    def _start(self, end: End, other: End, plans: Sequence[Plan] | None, *, dials: bool) -> None:
        """charon is configured while it runs, Fynx before it starts."""
        of_fynx = isinstance(end, Fynx)
        options = self.settings.fynx_peer if of_fynx else self.settings.strongswan_peer
        child_options = self.settings.fynx_child if of_fynx else self.settings.strongswan_child
        if not of_fynx:
            end.start()
        for plan in plans or self.settings.plans:
            end.load(plan, other.host, dials=dials, children=child_options, **options)
        if of_fynx:
            end.start()

    def stop(self) -> None:
        # The side that asked for the tunnel first: its DELETE finds the other alive.
        try:
            self.left.stop()
        finally:
            self.right.stop()

    @property
    def fynx(self) -> Fynx:
        return next(end for end in (self.left, self.right) if isinstance(end, Fynx))

    @property
    def charon(self) -> Charon:
        return next(end for end in (self.left, self.right) if isinstance(end, Charon))

    def capture(self) -> Capture:
        return Capture(self.topology.outside, self.topology.outside_link)

    # What tests say again and again.

    def silent(self) -> bool:
        """No echo comes back within a moment."""
        ends = [networks(self.plan.children[0], side)[0].split("/")[0] for side in (0, 1)]
        return traffic.ping(self.topology.left.namespace, ends[0], ends[1], count=1, wait_s=0.3) == 0

    def ping(
        self, child: Child | None = None, *, back: bool = False, count: int = 3, size: int = 56, wait_s: float = 20.0
    ) -> int:
        """Echoes answered between the first inner addresses of the child, left to right (``back``: right to left)."""
        child = child or self.plan.children[0]
        ends = [networks(child, side)[0].split("/")[0] for side in (0, 1)]
        hosts = [self.topology.left, self.topology.right]
        if back:
            ends.reverse()
            hosts.reverse()
        return traffic.ping(hosts[0].namespace, ends[0], ends[1], count=count, size=size, wait_s=wait_s)

    def both_have(self, plan: Plan | None = None, count: int = 1) -> tuple[dict[str, ChildView], dict[str, ChildView]]:
        """Wait until both ends show ``count`` children of the plan, with SPIs that mirror each other."""
        plan = plan or self.plan

        def mirrored() -> tuple[dict[str, ChildView], dict[str, ChildView]] | None:
            left, right = self.left.children(plan), self.right.children(plan)
            if len(left) != count or len(right) != count:
                return None
            same = {(one.spi_in, one.spi_out) for one in left.values()} == {
                (one.spi_out, one.spi_in) for one in right.values()
            }
            return (left, right) if same else None

        return until(mirrored, f"both ends have {count} matching child SAs of {plan.name}")

    def both_lost(self, plan: Plan | None = None) -> None:
        plan = plan or self.plan
        until(
            lambda: not self.left.established(plan) and not self.right.established(plan),
            f"both ends have forgotten {plan.name}",
        )


@contextmanager
def running(topology: str, directory: Path, kinds: tuple[str, str], settings: Settings) -> Iterator[Pair]:
    """Both ends running inside the block; stopped after it, also when only one came up, and their world deleted."""
    with KINDS[topology]() as world:
        both = Pair(world, directory, kinds, settings)
        try:
            both.start()
            yield both
        finally:
            both.stop()

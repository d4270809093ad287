"""What is kept closed for children whose addresses are leased."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from fynx.config import Child, Choice
from fynx.plugin import Plane, Policy, Selector
from fynx.run.guards import Guards
from fynx.run.policy import host_policy
from fynx_plugins.memory import MemoryConfig
from tests.unit.run.pair import config, registry


@dataclass
class Told:
    """A plane that only listens."""

    protected: list[Policy] = field(default_factory=list)
    closed: dict[tuple[str, str], Sequence[Selector]] = field(default_factory=dict)

    def policies(self, policies: Sequence[Policy]) -> None:
        self.protected = list(policies)

    def keep_closed(self, peer: str, child: str, remote: Sequence[Selector], *, closed: bool) -> None:
        assert closed
        self.closed[peer, child] = remote


def begun(child: Child, **peer: Any) -> Told:
    made = config("left", Choice("memory", MemoryConfig(address="192.0.2.1")), children={"net": child}, **peer)
    plane = Told()
    policy = host_policy(made, registry(), resolve={})
    Guards(made, policy, cast("Plane", plane), lambda _peer, _handle: False).begin(())
    return plane


def test_before_a_lease_what_would_leave_is_stopped_and_nothing_that_comes() -> None:
    plane = begun(Child(local=("dynamic",), remote=("10.2.0.0/16",)), request=("ipv4",))
    assert [one.start for one in plane.closed["right", "net"]] == [bytes((10, 2, 0, 0))]
    assert plane.protected == []


def test_a_trap_sees_packets_of_any_source() -> None:
    plane = begun(Child(local=("dynamic",), remote=("10.2.0.0/16",), start="trap"), request=("ipv4",))
    ((local,),) = [one.local for one in plane.protected]
    assert (local.start, local.end) == (bytes(4), b"\xff" * 4)


@pytest.mark.parametrize("local", ["10.1.0.0/16", "0.0.0.0/0"])
def test_a_gateway_closes_nothing_for_addresses_that_it_has_not_leased(local: str) -> None:
    plane = begun(Child(local=(local,), remote=("dynamic",)), pool="office")
    assert (plane.closed, plane.protected) == ({}, [])

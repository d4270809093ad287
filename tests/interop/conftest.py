"""Fixtures of the interoperability laboratory; see ``lab`` for its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import need, netns
from lab.pair import Pair, Settings
from lab.topology import KINDS, Topology


@pytest.fixture(scope="session", autouse=True)
def laboratory() -> Iterator[None]:
    """Fails, never skips, when something is missing; and fails when anything of ours is left at the end."""
    faults = need.missing()
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)
    netns.sweep()
    yield
    assert netns.ours() == [], "namespaces were left behind"


@pytest.fixture(scope="session")
def topologies() -> Iterator[Callable[[str], Topology]]:
    """Topologies by kind, each made once and shared by the tests that name it; daemons come and go in them."""
    made: dict[str, Topology] = {}

    def give(kind: str) -> Topology:
        if kind not in made:
            for other in [name for name in made if name != kind]:
                made.pop(other).close()
            made[kind] = KINDS[kind]()
        return made[kind]

    yield give
    for topology in made.values():
        topology.close()


@pytest.fixture
def pair(topologies: Callable[[str], Topology], tmp_path: Path) -> Iterator[Callable[..., Pair]]:
    """``pair("fynx", "strongswan", topology="direct", plans=[...])``: both ends running, stopped after the test."""
    started: list[Pair] = []

    def start(left: str, right: str, *, topology: str = "direct", **settings: Any) -> Pair:
        new = Pair(topologies(topology), tmp_path, (left, right), Settings(**settings))
        started.append(new)
        new.start()
        return new

    yield start
    for one in started:
        one.stop()

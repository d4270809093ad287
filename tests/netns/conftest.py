"""Fixtures of the tests in network namespaces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.netns.world import Gateway, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Namespaces of this test's own, gone after it whatever happens."""
    made = World(tmp_path)
    try:
        yield made
    finally:
        made.delete()


@pytest.fixture
def left(world: World) -> Gateway:
    return world.gateways["left"]


@pytest.fixture
def right(world: World) -> Gateway:
    return world.gateways["right"]

"""Fixtures of the tests in network namespaces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.netns.world import Gateway, World
from tests.sanitizers import MEMORY, THREAD, Sanitized, sanitized


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """With ``--long`` what is marked so runs over the plane as users have it and over each instrumented one."""
    marked = metafunc.definition.get_closest_marker("sanitized")
    if marked and "sanitizer" in metafunc.fixturenames and metafunc.config.getoption("--long"):
        kinds = ("", MEMORY, THREAD)
        metafunc.parametrize(
            "sanitizer", kinds, ids=[kind or "plain" for kind in kinds], indirect=True, scope="session"
        )


@pytest.fixture(scope="session")
def sanitizer(request: pytest.FixtureRequest) -> Sanitized | None:
    kind = getattr(request, "param", "")
    return sanitized(kind) if kind else None


@pytest.fixture
def world(tmp_path: Path, sanitizer: Sanitized | None) -> Iterator[World]:
    """Namespaces of this test's own, gone after it whatever happens; a sanitizer's report fails it."""
    made = World(tmp_path, sanitizer)
    try:
        yield made
    finally:
        made.delete()
    made.check()


@pytest.fixture
def left(world: World) -> Gateway:
    return world.gateways["left"]


@pytest.fixture
def right(world: World) -> Gateway:
    return world.gateways["right"]

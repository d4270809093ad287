"""Fixtures of the interoperability laboratory; see ``lab`` for its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from lab import need, netns
from lab.pair import Pair, Settings, running


@pytest.fixture(scope="session", autouse=True)
def laboratory() -> Iterator[None]:
    """Fails, never skips, when something is missing; and fails when anything of ours is left at the end."""
    faults = need.missing()
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)
    netns.sweep()
    yield
    assert netns.ours() == [], "namespaces were left behind"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Callable[..., Pair]]:
    """``pair("fynx", "strongswan", topology="direct", plans=[...])``: both ends running, gone after the test.

    Each pair has namespaces of its own: guard routes that Fynx leaves on purpose do not meet the next test.
    """
    with ExitStack() as stack:

        def start(left: str, right: str, *, topology: str = "direct", **settings: Any) -> Pair:
            return stack.enter_context(running(topology, tmp_path, (left, right), Settings(**settings)))

        yield start

"""The pytest plugin: the fixture ``fynx_pair``."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import pytest

from fynx.testing.pair import Pair, pair

MakePair = Callable[..., AbstractAsyncContextManager[Pair]]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("fynx_plugins", "Plugins of this repository that the conformance kit examines.", "linelist", [])


@pytest.fixture
def fynx_pair(request: pytest.FixtureRequest) -> MakePair:
    """``async with fynx_pair(loss=0.3) as both: await both.echo(b"hello")``: see ``fynx.testing.pair``.

    The seed is the test's own name, so that a run repeats itself; give ``seed=`` for another.
    """
    return partial(pair, seed=zlib.crc32(request.node.nodeid.encode()))

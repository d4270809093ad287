"""The pytest plugin: the fixture ``fynx_pair``, and the conformance kit for the plugins that ``fynx_plugins`` names.

``fynx_plugins`` stands in an author's configuration of pytest; each check of each plugin is a test of its own.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import pytest

from fynx.errors import FynxError
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


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Behind the author's own tests."""
    for name in config.getini("fynx_plugins"):
        parent = KitOf.from_parent(session, name=f"fynx plugin {name}", nodeid=f"fynx::{name}")
        items.extend(parent.collect())


class KitOf(pytest.Collector):
    """The checks of one plugin; one that does not boot has a single check, which says why."""

    def collect(self) -> list[pytest.Item]:
        from fynx.testing.kit import Check, checks, subject

        plugin = self.name.rpartition(" ")[2]
        try:
            found = list(checks(subject(plugin)))
        except FynxError as error:
            found = [Check("boot", partial(_refuse, str(error)))]
        return [KitItem.from_parent(self, name=check.name, check=check) for check in found]


class KitItem(pytest.Item):
    def __init__(self, *, check: Callable[[], None], **given: Any) -> None:
        super().__init__(**given)
        self._check = check

    def runtest(self) -> None:
        self._check()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:  # noqa: ARG002
        return f"{self.name}: {excinfo.value}"

    def reportinfo(self) -> tuple[str, None, str]:
        return self.nodeid, None, self.name


def _refuse(why: str) -> None:
    from fynx.testing.kit import Refused

    raise Refused(why)

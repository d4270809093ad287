"""The fixture ``site``: third-party distributions for one test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.kernel.site import Site, make_site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    yield from make_site(tmp_path, monkeypatch)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever tells waits until it is heard, however busy the machine is: no listener here hangs."""
    monkeypatch.setattr("fynx.kernel.mailbox.WAIT_S", 60.0)

"""Fixtures: ``fynx`` run in this process in an empty folder, and third-party distributions for one test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.program import Fynx
from tests.unit.kernel.site import Site, make_site


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    yield from make_site(tmp_path_factory.mktemp("site"), monkeypatch)


@pytest.fixture
def fynx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Fynx:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FYNX_CONFIG", str(tmp_path / "default.yaml"))
    return Fynx(tmp_path, capfd)

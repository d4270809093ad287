"""Third-party distributions made for a test: a folder on sys.path with modules and dist-info, gone afterwards."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_NUMBERS = itertools.count()

HEAD = """\
from fynx.plugin import *
from fynx.plugin import hookimpl
FYNX_API = 1
"""


class Site:
    """A folder in which distributions are installed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._modules: list[str] = []

    def install(self, distribution: str, version: str = "1.2", **plugins: str) -> dict[str, str]:
        """Installs a distribution with these plugins: entry-point name to source. Returns their module names."""
        info = self._folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        modules = {}
        for name, source in plugins.items():
            modules[name] = f"site_{next(_NUMBERS)}_{name}"
            (self._folder / f"{modules[name]}.py").write_text(source)
        lines = [f"{name} = {module}" for name, module in modules.items()]
        (info / "entry_points.txt").write_text("\n".join(["[fynx]", *lines, ""]))
        self._modules += modules.values()
        return modules

    def forget(self) -> None:
        for module in self._modules:
            sys.modules.pop(module, None)


def make_site(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    site = Site(folder)
    yield site
    site.forget()

"""Runs ``fynx`` in this process and keeps what it printed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fynx.cli.main import run


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Fynx:
    """``folder`` is the working directory; $FYNX_CONFIG names ``default.yaml`` in it, which does not exist at first."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Done:
        self.capture.readouterr()
        code = run(arguments)
        printed = self.capture.readouterr()
        return Done(code, printed.out, printed.err)

    def write(self, text: str, name: str = "fynx.yaml", mode: int = 0o600) -> str:
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)
        return str(path)

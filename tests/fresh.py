"""A virtual environment of its own, with Fynx as a user installs it: from wheels in a folder, without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WHEELS = ROOT / "build" / "wheelhouse"
EXAMPLES = ROOT / "docs" / "examples"
LIMIT_S = 380


@dataclass(frozen=True, slots=True)
class Fresh:
    """``folder`` holds the environment and copies of what is installed."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "venv" / "bin" / "python"

    def pip(self, *arguments: str) -> None:
        line = ["-m", "pip", "--disable-pip-version-check", "--no-input", "--python", str(self.python)]
        done = run(sys.executable, *line, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr

    def install(self, *projects: Path) -> None:
        """Builds and installs distributions, from copies: nothing is left where they came from."""
        copies = []
        for project in projects:
            copy = self.folder / project.name
            shutil.copytree(project, copy, dirs_exist_ok=True)
            copies.append(str(copy))
        self.pip("install", "--no-index", "--no-deps", "--no-build-isolation", *copies)

    def __call__(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return run(str(self.python), *arguments, cwd=cwd or self.folder)


def run(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"PYTHONNOUSERSITE": "1", "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    """Fynx and both example distributions, installed."""
    assert WHEELS.is_dir(), "the wheels are missing: ./run test fetches them"
    made = Fresh(tmp_path_factory.mktemp("fresh"))
    wheels = made.folder / "wheels"
    line = ["-m", "pip", "wheel", "-q", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(wheels)]
    built = run(sys.executable, *line, str(ROOT))
    assert built.returncode == 0, built.stdout + built.stderr
    assert run(sys.executable, "-m", "venv", "--without-pip", str(made.folder / "venv")).returncode == 0
    folders = ["--find-links", str(WHEELS), "--find-links", str(wheels)]
    made.pip("install", "-q", "--no-compile", "--no-index", *folders, "fynx-ipsec", "pytest", "setuptools")
    made.install(EXAMPLES / "fynx-tcp", EXAMPLES / "fynx-private-gcm")
    return made

"""``fynx plugins new``: what it writes is a distribution whose tests, and the conformance kit's, pass as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from fynx.cli.main import run
from fynx.cli.new import KINDS
from tests.fresh import Fresh


@pytest.fixture(scope="module")
def written(fresh: Fresh, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One package of each kind, installed."""
    folder = tmp_path_factory.mktemp("new")
    for kind in KINDS:
        assert run(["plugins", "new", kind, f"my_{kind}", "--into", str(folder)]) == 0
    fresh.install(*sorted(folder.iterdir()))
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_of_a_new_package_pass_as_they_are(fresh: Fresh, written: Path, kind: str) -> None:
    done = fresh("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=written / f"fynx-my-{kind}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout


def test_a_new_package_is_listed_with_what_it_brings(fresh: Fresh, written: Path) -> None:
    done = fresh("-m", "fynx", "plugins", "list")
    assert all(f"my_{kind}" in done.stdout for kind in KINDS)


@pytest.mark.parametrize(("name", "said"), [("My-Cipher", "lower-case letters"), ("1st", "beginning with a letter")])
def test_a_name_that_python_could_not_import_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    assert run(["plugins", "new", "cipher", name, "--into", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fynx-acme").mkdir()
    assert run(["plugins", "new", "auth", "acme", "--into", str(tmp_path)]) == 2
    assert "exists" in capsys.readouterr().err

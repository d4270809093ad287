"""The conformance kit refuses each of the bad plugins, and for the reason for which it is bad."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from fynx.cli.main import run
from fynx.kernel.check import SHAPES
from fynx.kernel.watch import Watch
from fynx.testing.kit import checks, examine, subject
from tests.unit.kit.bad import CIPHER, GIVE, HEAD, PLUGINS

LIMIT_S = 60.0
NOT_EXAMINED = {"fynx_sections", "fynx_commands"}
"""What they give is checked at boot alone: tests/unit/kernel/test_refusals.py."""


def written(folder: Path, source: str) -> Path:
    path = folder / "bad.py"
    path.write_text(source)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("name", PLUGINS)
def test_a_bad_plugin_is_refused_for_the_right_reason(tmp_path: Path, name: str) -> None:
    bad = PLUGINS[name]
    limit_s = 4.0 if name == "hangs at import" else LIMIT_S
    found = []
    for outcome in examine("bad", written(tmp_path, bad.source), limit_s=limit_s):
        found.append(outcome)
        if not outcome.ok:
            break
    assert found, "the kit said nothing"
    assert found[-1].check == bad.check, found[-1]
    assert bad.reason in found[-1].why


def test_the_good_cipher_that_the_bad_ones_are_made_of_passes(tmp_path: Path) -> None:
    outcomes = list(examine("bad", written(tmp_path, CIPHER + GIVE.format("")), limit_s=60))
    assert len(outcomes) > 8
    assert not [one for one in outcomes if not one.ok]


def test_threads_of_the_hosts_that_end_late_are_not_held_against_a_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_on = Watch._look_on

    def slowly(watch: Watch) -> None:
        look_on(watch)
        time.sleep(0.3)

    monkeypatch.setattr(Watch, "_look_on", slowly)
    listener = subject("bad", written(tmp_path, HEAD + "@hookimpl\ndef fynx_event(event): pass\n"))
    (last,) = [check for check in checks(listener) if check.name == "echo tunnel with the plugin on both sides"]
    last()


SLOW_AT_FIRST = (
    "seen = []\n@hookimpl\ndef fynx_event(event):\n    seen.append(event)\n    if len(seen) == 1: time.sleep(0.2)\n"
)


def test_a_listener_that_is_slow_once_is_not_called_slow(tmp_path: Path) -> None:
    """The machine may be busy; one that takes long each time is among the bad ones."""
    listener = subject("bad", written(tmp_path, HEAD + SLOW_AT_FIRST))
    (look,) = [check for check in checks(listener) if check.name == "fynx_event: returns at once"]
    look()


@pytest.mark.parametrize("kind", sorted(set(SHAPES) - NOT_EXAMINED))
def test_each_kind_of_plugin_has_a_bad_one_that_is_refused(kind: str) -> None:
    assert any(f"def {kind}(" in bad.source and bad.check != "boot" for bad in PLUGINS.values())


def test_the_command_says_what_is_refused_and_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, PLUGINS["ends the program"].source)
    assert run(["plugins", "test", "-p", str(file), "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)
    assert facts["schema"] == "fynx.plugin-test/1"
    assert facts["checks"] == [{"check": "boot", "ok": False, "why": "ends the program with exit code 7"}]

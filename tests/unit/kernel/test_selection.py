"""The ``plugins`` list: presets, additions, removals, and what is refused before any import (row L13)."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from fynx.kernel.entrypoints import Candidate, installed
from fynx.kernel.loader import PRESETS
from fynx.kernel.selection import select

ROOT = Path(__file__).resolve().parents[3]


def candidates(*names: str) -> dict[str, tuple[Candidate, ...]]:
    return {name: (Candidate(name, f"acme_{name}", "acme", "1.0"),) for name in names}


DEFAULTS = candidates(*PRESETS["default"], "camellia")


def chosen(*words: str) -> list[str]:
    selected, errors = select(words, DEFAULTS)
    assert errors == ()
    return [one.name for one in selected]


def test_a_preset_expands_in_its_order() -> None:
    assert chosen("default") == list(PRESETS["default"])


def test_additions_and_removals_apply_in_order() -> None:
    names = chosen("default", "+camellia", "-aes_cbc")
    assert names[-1] == "camellia"
    assert "aes_cbc" not in names


def test_a_bare_name_is_an_addition() -> None:
    assert chosen("psk", "camellia") == ["psk", "camellia"]


def test_a_plugin_of_a_preset_remembers_the_place_of_the_preset() -> None:
    selected, _ = select(["camellia", "default"], DEFAULTS)
    assert {(one.path, one.preset) for one in selected} == {("plugins[0]", ""), ("plugins[1]", "default")}


@pytest.mark.parametrize(
    ("words", "path", "telling"),
    [
        (["camelia"], "plugins[0]", "did you mean 'camellia'"),
        (["psk", "nothing_like_it"], "plugins[1]", "installed plugins: aes_gcm, "),
        (["defualt"], "plugins[0]", "did you mean 'default'"),
        (["psk", "psk"], "plugins[1]", "already asked for by plugins[0]"),
        (["default", "+psk"], "plugins[1]", "plugins[0] (preset 'default')"),
        (["psk", "-pks"], "plugins[1]", "did you mean 'psk'"),
        (["-psk", "psk"], "plugins[0]", "nothing before this entry adds it"),
        (["core"], "plugins[0]", "always on and never listed"),
        (["+"], "plugins[0]", "name is missing"),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused_with_its_place(words: list[str], path: str, telling: str) -> None:
    _, (error,) = select(words, DEFAULTS)
    assert error.path == path
    assert str(error).startswith(f"{path}: plugin ")
    assert telling in str(error)


def test_all_errors_of_the_list_are_found_at_once() -> None:
    _, errors = select(["one", "psk", "psk", "-two", "three"], DEFAULTS)
    assert sorted(error.path for error in errors) == ["plugins[0]", "plugins[2]", "plugins[3]", "plugins[4]"]


def test_a_name_that_two_distributions_claim_is_refused_naming_both() -> None:
    twice = {"psk": (*candidates("psk")["psk"], Candidate("psk", "evil", "shadow", "6.6"))}
    _, (error,) = select(["psk"], twice)
    assert "acme 1.0 (acme_psk) and shadow 6.6 (evil)" in str(error)
    assert error.path == "plugins[0]"


def test_a_name_that_two_distributions_claim_does_not_matter_while_nobody_asks_for_it() -> None:
    twice = {**DEFAULTS, "camellia": (*DEFAULTS["camellia"], Candidate("camellia", "evil", "shadow", "6.6"))}
    _, errors = select(["default"], twice)
    assert errors == ()


def test_every_plugin_of_the_preset_is_one_of_ours() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(PRESETS["default"]) <= set(project["entry-points"]["fynx"])


def test_a_checkout_that_was_never_installed_finds_its_own_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: ())
    found = installed()
    assert found["psk"] == (Candidate("psk", "fynx_plugins.psk", "fynx-ipsec", found["psk"][0].version),)
    assert set(PRESETS["default"]) <= set(found)

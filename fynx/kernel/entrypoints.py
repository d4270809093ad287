"""Which plugins are installed: the entry points of group ``fynx``, read without importing any of them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

GROUP = "fynx"
DISTRIBUTION = "fynx-ipsec"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry point that was found: nothing of it is imported yet."""

    name: str
    value: str
    distribution: str
    version: str

    @property
    def origin(self) -> str:
        return f"{self.distribution} {self.version}"

    def load(self) -> object:
        """Imports the plugin; raises whatever its import raises."""
        entry: object = metadata.EntryPoint(self.name, self.value, GROUP).load()
        return entry


def installed() -> Mapping[str, tuple[Candidate, ...]]:
    """All candidates by plugin name, sorted; more than one for a name when several distributions claim it."""
    found: dict[str, list[Candidate]] = {}
    for candidate in _candidates():
        same = found.setdefault(candidate.name, [])
        if candidate not in same:
            same.append(candidate)
    return {name: tuple(found[name]) for name in sorted(found)}


def _candidates() -> Iterator[Candidate]:
    own = False
    for entry in metadata.entry_points(group=GROUP):
        distribution = entry.dist.name if entry.dist else "unknown"
        version = entry.dist.version if entry.dist else "0"
        own = own or distribution == DISTRIBUTION
        yield Candidate(entry.name, entry.value, distribution, version)
    if not own:
        yield from _checkout()


def _checkout() -> Iterator[Candidate]:
    """Our own entry points when Fynx runs from a checkout that was never installed: they are data in pyproject.toml."""
    file = Path(__file__).resolve().parents[2] / "pyproject.toml"
    if not file.is_file():
        return
    project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
    if project.get("name") != DISTRIBUTION:
        return
    for name, value in project.get("entry-points", {}).get(GROUP, {}).items():
        yield Candidate(name, value, DISTRIBUTION, str(project.get("version", "0")))

"""Which plugin sections may stand where in the configuration, and with which model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from fynx.config.model import Config, Host
from fynx.config.problems import Wrong
from fynx.kernel.registry import Registry
from fynx.kernel.words import did_you_mean

_PREFIXES = {
    "transport": ("host.transport.",),
    "plane": ("host.plane.",),
    "store": ("host.store.", "store."),
    "auth": ("auth.",),
}
_NOUNS = {"transport": "transport", "plane": "data plane", "store": "store", "auth": "authentication method"}


class Sections:
    """The sections that the loaded plugins contribute, sorted by where they stand."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.extras: dict[str, dict[str, tuple[str, type]]] = {"": {}, "host": {}}
        """By path of the record: key to (section path, model)."""
        self.clashes: list[str] = []
        """Sections that stand where they cannot."""
        for path, model in registry.sections.items():
            if not any(path.startswith(prefix) for prefixes in _PREFIXES.values() for prefix in prefixes):
                self._extra(path, model)

    def choose(self, kind: str, name: str) -> tuple[str, type | None]:
        """Section path and model for a choice; raises ``Wrong`` when no loaded plugin offers it."""
        table = self._table(kind)
        if name not in table:
            known = ", ".join(table) or "none"
            remedy = f"loaded: {known}; a plugin that offers it must stand in the list of plugins"
            raise Wrong(f"no loaded plugin offers the {_NOUNS[kind]} {name[:64]!r}{did_you_mean(name, table)}", remedy)
        for prefix in _PREFIXES[kind]:
            model = self._registry.sections.get(f"{prefix}{name}")
            if model is not None:
                return f"{prefix}{name}", model
        return "", None

    def names(self, kind: str) -> tuple[str, ...]:
        """What may be chosen for ``kind``."""
        return tuple(self._table(kind))

    def defaults(self) -> Mapping[str, object]:
        """The sections beside the core's keys that need no setting, as they are when the file does not name them."""
        made: dict[str, object] = {}
        for keys in self.extras.values():
            for path, model in keys.values():
                try:
                    made[path] = model()
                except (TypeError, ValueError):
                    continue  # it has a key without default, or refuses its defaults: absent until written
        return made

    def _table(self, kind: str) -> Mapping[str, object]:
        registry = self._registry
        tables: Mapping[str, Mapping[str, object]] = {
            "transport": registry.transports,
            "plane": registry.dataplanes,
            "store": registry.stores,
            "auth": registry.auth_methods,
        }
        return tables[kind]

    def _extra(self, path: str, model: type) -> None:
        parent, _, key = path.rpartition(".")
        own = {"": Config, "host": Host}.get(parent)
        if own is None:
            self.clashes.append(
                f"a plugin's section {path!r} has no place: a single word, host.WORD, or a choice's name"
            )
        elif key in {one.name for one in fields(own)}:
            self.clashes.append(f"a plugin's section {path!r} takes a key of Fynx itself")
        else:
            self.extras[parent][key] = (path, model)

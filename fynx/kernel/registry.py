"""What a boot found, frozen: tables by transform id and by name, for look-ups during the life of a host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from fynx.errors import PluginError
from fynx.kernel.notify import Notify
from fynx.plugin.auth import AuthMethod
from fynx.plugin.command import Command
from fynx.plugin.crypto import Algorithms, Provider
from fynx.plugin.dataplane import Dataplane
from fynx.plugin.extension import Extension
from fynx.plugin.service import Service
from fynx.plugin.store import Store
from fynx.plugin.transport import Transport


def _nothing() -> Mapping[Any, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """Where a loaded plugin came from. ``hooks`` are the names of the hooks it implements."""

    name: str
    distribution: str
    version: str
    module: str
    hooks: tuple[str, ...] = ()
    api: int = 1


@dataclass(frozen=True, slots=True)
class Registry:
    """Everything the loaded plugins registered. All mappings are read-only and keep the order of the plugins list."""

    algorithms: Algorithms
    notify: Notify = field(repr=False)
    providers: tuple[Provider, ...] = ()
    auth_methods: Mapping[str, AuthMethod] = field(default_factory=_nothing)
    transports: Mapping[str, Transport] = field(default_factory=_nothing)
    dataplanes: Mapping[str, Dataplane] = field(default_factory=_nothing)
    stores: Mapping[str, Store] = field(default_factory=_nothing)
    extensions: tuple[Extension, ...] = ()
    sections: Mapping[str, type] = field(default_factory=_nothing)
    commands: Mapping[str, Command] = field(default_factory=_nothing)
    services: tuple[Service, ...] = ()
    plugins: Mapping[str, PluginInfo] = field(default_factory=_nothing)
    owners: Mapping[tuple[str, str], str] = field(default_factory=_nothing)
    """(kind, key) to plugin name: who registered what, for ``fynx plugins`` and ``fynx algorithms``."""

    def ordered(self, names: Sequence[str]) -> tuple[Provider, ...]:
        """The providers in order of preference; names that no loaded library answers to are passed over."""
        by_name = {provider.name: provider for provider in self.providers}
        return tuple(by_name[name] for name in names if name in by_name)

    def require(self, kind: str, name: str) -> object:
        """One transport, data plane, store or auth method by name; raises ``PluginError`` that lists the known ones."""
        table: Mapping[str, object] = {
            "transport": self.transports,
            "plane": self.dataplanes,
            "store": self.stores,
            "auth": self.auth_methods,
        }[kind]
        if name in table:
            return table[name]
        raise PluginError(name, f"no loaded plugin offers this {kind}; loaded: {', '.join(table) or 'none'}")

"""Calls each plugin's registration hooks once, checks what they return, refuses conflicts, freezes the result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar, get_type_hints

import pluggy

from fynx.kernel.abi import wrong_abi
from fynx.kernel.check import SHAPES, fault
from fynx.kernel.fence import Loaded
from fynx.kernel.notify import Listener, Notify
from fynx.kernel.registry import PluginInfo, Registry
from fynx.plugin.auth import AuthMethod
from fynx.plugin.command import Command
from fynx.plugin.crypto import Algorithms, Cipher, Integ, KeyExchange, Prf, Provider
from fynx.plugin.dataplane import Dataplane
from fynx.plugin.extension import Extension
from fynx.plugin.section import Section
from fynx.plugin.service import Service
from fynx.plugin.store import Store
from fynx.plugin.transport import Transport

K = TypeVar("K")
V = TypeVar("V")
Items = Mapping[str, Sequence[tuple[Loaded, Any]]]
"""By hook: what each plugin returned, item by item, in the order of the plugins list."""


def collect(manager: pluggy.PluginManager, plugins: Sequence[Loaded]) -> Registry:
    """Runs every registration hook and returns the frozen tables. Raises ``PluginError`` for the first conflict."""
    hooks = {one.name: _hooks(manager, one) for one in plugins}
    items: Items = {hook: tuple(_items(hook, hooks, plugins)) for hook in SHAPES}
    claims = _Claims()
    algorithms = _algorithms(items, claims)
    _check_providers(items["fynx_providers"], algorithms)
    return Registry(
        algorithms=algorithms,
        notify=_notify(hooks, plugins),
        providers=tuple(_by_name(Provider, "provider", items["fynx_providers"], claims).values()),
        auth_methods=_by_name(AuthMethod, "auth method", items["fynx_auth_methods"], claims),
        transports=_by_name(Transport, "transport", items["fynx_transports"], claims),
        dataplanes=_by_name(Dataplane, "data plane", items["fynx_dataplanes"], claims),
        stores=_by_name(Store, "store", items["fynx_stores"], claims),
        extensions=_extensions(items["fynx_extensions"], claims),
        sections=_sections(items["fynx_sections"], claims),
        commands=_by_name(Command, "command", items["fynx_commands"], claims),
        services=tuple(_by_name(Service, "service", items["fynx_services"], claims).values()),
        plugins=_infos(hooks, plugins),
        owners=claims.owners(),
    )


def _hooks(manager: pluggy.PluginManager, one: Loaded) -> Mapping[str, Callable[..., object]]:
    """The plugin's own implementations by hook name: called one by one, so that each failure has a culprit."""
    return {
        caller.name: _accepting(impl, caller.spec.argnames if caller.spec else ())
        for caller in manager.get_hookcallers(one.module) or []
        for impl in caller.get_hookimpls()
        if impl.plugin_name == one.name
    }


def _accepting(impl: pluggy.HookImpl, names: Sequence[str]) -> Callable[..., object]:
    """The implementation behind a function that takes all arguments of the hook: it may have asked for fewer."""
    function: Callable[..., object] = impl.function

    def call(*values: object) -> object:
        given = dict(zip(names, values, strict=True))
        return function(*[given[name] for name in impl.argnames])

    return call


def _items(
    hook: str, hooks: Mapping[str, Mapping[str, Callable[..., object]]], plugins: Sequence[Loaded]
) -> Iterable[tuple[Loaded, object]]:
    for one in plugins:
        call = hooks[one.name].get(hook)
        if call is None:
            continue
        returned = one.fenced(f"hook {hook} failed", call)
        if not isinstance(returned, list | tuple):
            wanted = f"a list of {SHAPES[hook].noun} is needed"
            raise one.error(f"hook {hook} returned a {type(returned).__name__}, {wanted}")
        for item in returned:
            wrong = one.fenced(f"hook {hook}: reading what it returned failed", lambda item=item: fault(hook, item))  # type: ignore[misc]
            if wrong:
                raise one.error(f"hook {hook} {wrong}")
            yield one, item


class _Claims:
    """Who registered what; a second claim on the same key is refused, naming both."""

    def __init__(self) -> None:
        self._owners: dict[tuple[str, str], Loaded] = {}

    def claim(self, kind: str, key: str, one: Loaded) -> None:
        first = self._owners.setdefault((kind, key), one)
        if first is not one:
            other = f"plugin {first.name!r} of distribution {first.origin} at {first.path}"
            raise one.error(f"{kind} {key!r} is already registered by {other}; remove one of the two from the list")

    def once(self, kind: str, key: str, one: Loaded) -> None:
        """As ``claim``, and not twice by the same plugin either."""
        if self._owners.get((kind, key)) is one:
            raise one.error(f"registers {kind} {key!r} twice")
        self.claim(kind, key, one)

    def owners(self) -> Mapping[tuple[str, str], str]:
        return MappingProxyType({key: one.name for key, one in self._owners.items()})


def _algorithms(items: Items, claims: _Claims) -> Algorithms:
    ciphers: dict[tuple[int, int], Cipher] = {}
    for one, cipher in items["fynx_ciphers"]:
        bits = cipher.key_bits if cipher.key_length_attribute else 0
        claims.once("cipher", f"{cipher.transform_id}/{bits}", one)
        claims.once("keyword", cipher.keyword, one)
        ciphers[cipher.transform_id, bits] = cipher
    prfs: dict[int, Prf] = _by_id("PRF", items["fynx_prfs"], claims)
    integs: dict[int, Integ] = _by_id("integrity algorithm", items["fynx_integs"], claims)
    key_exchanges: dict[int, KeyExchange] = _by_id("key exchange", items["fynx_key_exchanges"], claims)
    return Algorithms(
        MappingProxyType(ciphers), MappingProxyType(prfs), MappingProxyType(integs), MappingProxyType(key_exchanges)
    )


def _by_id(kind: str, items: Sequence[tuple[Loaded, Any]], claims: _Claims) -> dict[int, Any]:
    table: dict[int, Any] = {}
    for one, item in items:
        claims.once(kind, str(item.transform_id), one)
        claims.once("keyword", item.keyword, one)
        table[item.transform_id] = item
    return table


def _by_name(
    _type: Callable[..., V] | type[V], kind: str, items: Sequence[tuple[Loaded, Any]], claims: _Claims
) -> Mapping[str, V]:
    table: dict[str, V] = {}
    for one, item in items:
        claims.once(kind, item.name, one)
        table[item.name] = item
    return MappingProxyType(table)


def _sections(items: Sequence[tuple[Loaded, Section]], claims: _Claims) -> Mapping[str, type]:
    table: dict[str, type] = {}
    for one, section in items:
        claims.once("section", section.path, one)
        what = f"section {section.path!r}: the types of {section.model.__name__} cannot be read"
        one.fenced(what, lambda model=section.model: get_type_hints(model))  # type: ignore[misc]
        table[section.path] = section.model
    return MappingProxyType(table)


def _extensions(items: Sequence[tuple[Loaded, Extension]], claims: _Claims) -> tuple[Extension, ...]:
    """Exchange types and (exchange, order, name) of tasks are unique over all plugins."""
    for one, extension in items:
        claims.once("extension", extension.name, one)
        for exchange in extension.exchanges:
            claims.once("exchange type", str(exchange.number), one)
        for task in extension.tasks:
            claims.once("task", f"{task.exchange}/{task.name}", one)
    return tuple(extension for _, extension in items)


def _check_providers(items: Sequence[tuple[Loaded, Provider]], algorithms: Algorithms) -> None:
    for one, provider in items:
        wrong = one.fenced(f"provider {provider.name!r} failed", lambda p=provider: wrong_abi(p, algorithms))  # type: ignore[misc]
        if wrong:
            raise one.error(f"provider {provider.name!r} {wrong}")


def _infos(
    hooks: Mapping[str, Mapping[str, Callable[..., object]]], plugins: Sequence[Loaded]
) -> Mapping[str, PluginInfo]:
    return MappingProxyType({one.name: replace(one.info, hooks=tuple(sorted(hooks[one.name]))) for one in plugins})


def _notify(hooks: Mapping[str, Mapping[str, Callable[..., object]]], plugins: Sequence[Loaded]) -> Notify:
    def listeners(hook: str) -> tuple[Listener, ...]:
        calls = ((one, hooks[one.name].get(hook)) for one in plugins)
        return tuple(Listener(one.name, one.origin, call) for one, call in calls if call is not None)

    return Notify(listeners("fynx_event"), listeners("fynx_keylog"), listeners("fynx_authorize"))

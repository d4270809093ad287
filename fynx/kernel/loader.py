"""Boot: imports the plugins that the configuration lists and no other, checks their contract, freezes a Registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pluggy

from fynx.kernel.collect import collect
from fynx.kernel.entrypoints import installed
from fynx.kernel.fence import Loaded, fenced, refusal
from fynx.kernel.file import FileCandidate
from fynx.kernel.registry import PluginInfo, Registry
from fynx.kernel.selection import PRESETS, Selected, among, select
from fynx.kernel.words import describe, did_you_mean
from fynx.plugin import hookspecs

__all__ = ["PRESETS", "boot", "hook_names", "installed", "select"]

API = 1
"""The interface version this kernel speaks; equal to ``fynx.plugin.API``."""
PREFIX = "fynx_"
SELFTEST = "fynx_selftest"


def boot(
    names: Sequence[str], *, path: str = "plugins", selftest: bool = True, files: Sequence[FileCandidate] = ()
) -> Registry:
    """Loads the plugins that ``names`` stand for (presets, ``+name``, ``-name``) and returns what they registered.

    ``path`` is the YAML path of the list, for errors. Raises ``PluginError`` that names the path, the plugin and its
    distribution. ``selftest`` False leaves out the plugins' known-answer tests (for listings only). ``files`` are
    loaded behind the list.
    """
    chosen, errors = select(names, installed(), path)
    for error in errors:
        raise error
    chosen = (*chosen, *among(chosen, files))
    manager = _manager()
    loaded = [_load(manager, one) for one in chosen]
    for one in loaded:
        _check_hooks(manager, one)
    if selftest:
        for one in loaded:
            _selftest(one)
    return collect(manager, loaded)


def hook_names() -> tuple[str, ...]:
    """The hooks that a plugin may implement, sorted."""
    return tuple(sorted(name for name in vars(_manager().hook) if name.startswith(PREFIX)))


def _manager() -> pluggy.PluginManager:
    """A manager of its own for each boot: two hosts in one process share nothing."""
    manager = pluggy.PluginManager("fynx")
    manager.add_hookspecs(hookspecs)
    return manager


def _load(manager: pluggy.PluginManager, one: Selected) -> Loaded:
    candidate = one.candidate
    module = fenced(refusal(one), "cannot be imported", candidate.load)
    info = PluginInfo(one.name, candidate.distribution, candidate.version, candidate.value)
    loaded = Loaded(info, one.path, module)
    _check_api(loaded)
    try:
        manager.register(module, name=one.name)
    except pluggy.PluginValidationError as error:
        raise loaded.error(f"a hook does not fit its specification: {describe(error)}") from None
    except ValueError:
        raise loaded.error(f"{candidate.value} is already loaded under another plugin name") from None
    return loaded


def _check_api(one: Loaded) -> None:
    declared = getattr(one.module, "FYNX_API", None)
    if declared is None:
        raise one.error(f"declares no FYNX_API; this Fynx speaks version {API}: set FYNX_API = {API} in the plugin")
    if type(declared) is not int or declared != API:
        why = f"is written for plugin interface {declared!r}, this Fynx speaks {API}: install a version that matches"
        raise one.error(why)


def _check_hooks(manager: pluggy.PluginManager, one: Loaded) -> None:
    """Refuses what pluggy would ignore in silence: mistyped hooks, wrappers, a forgotten ``@hookimpl``."""
    known = hook_names()
    callers = manager.get_hookcallers(one.module) or []
    for caller in callers:
        if caller.spec is None:
            raise one.error(f"implements an unknown hook {caller.name!r}{did_you_mean(caller.name, known)}")
        for impl in caller.get_hookimpls():
            if impl.plugin_name == one.name and (impl.wrapper or impl.hookwrapper):
                raise one.error(f"hook {caller.name!r} is a wrapper; Fynx takes plain implementations only")
            if impl.plugin_name == one.name and impl.opts.get("specname"):
                raise one.error(f"hook {caller.name!r} goes by another name here; Fynx takes it under its own only")
    marked = {caller.name for caller in callers}
    for name in _own_functions(one.module):
        if name not in marked and name != SELFTEST:
            hint = "" if name in known else did_you_mean(name, known)
            raise one.error(f"function {name!r} lacks @hookimpl, so it would never be called{hint}")


def _own_functions(module: object) -> Iterator[str]:
    home = getattr(module, "__name__", "")
    for name in dir(module):
        value = getattr(module, name, None)
        if name.startswith(PREFIX) and callable(value) and getattr(value, "__module__", None) == home:
            yield name


def _selftest(one: Loaded) -> None:
    test: Callable[[], object] | None = getattr(one.module, SELFTEST, None)
    if test is None:
        return
    if not callable(test):
        raise one.error(f"{SELFTEST} is no function")
    if one.fenced("failed its self-test", test) is False:
        raise one.error("failed its self-test: it returned False")

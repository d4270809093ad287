"""A plugin that was loaded, and the fence around every call into it: its exceptions come out named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from fynx.errors import ConfigError, PluginError
from fynx.kernel.limit import BOOT_S, Overtime, within
from fynx.kernel.registry import PluginInfo
from fynx.kernel.selection import Selected
from fynx.kernel.words import describe

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Loaded:
    """An imported plugin, and the place in the configuration that asked for it."""

    info: PluginInfo
    path: str
    module: object

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def origin(self) -> str:
        return f"{self.info.distribution} {self.info.version}"

    def error(self, why: str) -> PluginError:
        return PluginError(self.name, why, distribution=self.origin, path=self.path)

    def fenced(self, what: str, call: Callable[[], T]) -> T:
        """Calls into the plugin; any exception becomes a ``PluginError`` that says ``what`` went wrong."""
        return fenced(self.error, what, call)


def fenced(error: Callable[[str], PluginError], what: str, call: Callable[[], T]) -> T:
    """Calls into a plugin at boot, within a limit of time; see ``Loaded.fenced``."""
    try:
        return within(BOOT_S, call)
    except ConfigError:
        raise
    except Overtime as failure:
        raise error(f"{what}: {failure}") from None
    except (Exception, SystemExit) as failure:  # a plugin may raise anything; the kernel says whose it was
        raise error(f"{what}: {describe(failure)}") from failure


def refusal(selected: Selected) -> Callable[[str], PluginError]:
    """Makes errors for a plugin that is not imported yet."""
    return lambda why: PluginError(selected.name, why, distribution=selected.candidate.origin, path=selected.path)

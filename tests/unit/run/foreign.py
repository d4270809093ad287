"""A registry in which something is of another distribution, and a watch over its calls that does not wait long."""

from __future__ import annotations

from dataclasses import replace

from fynx.kernel.registry import PluginInfo
from fynx.kernel.watch import Watch
from fynx.run.watched import Watched
from tests.unit.run.pair import registry

LIMIT_S = 0.3
"""A busy machine holds up what returns at once, too, but not for so long."""


def of_acme(kind: str, name: str) -> Watched:
    """A registry in which this is another distribution's; what does not return is broken off."""
    plugins = {"acme": PluginInfo("acme", "acme-dist", "1", "acme")}
    found = Watched(replace(registry(), owners={(kind, name): "acme"}, plugins=plugins), Watch(LIMIT_S))
    found.start()
    return found

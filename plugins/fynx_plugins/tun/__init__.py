"""Data plane ``tun``: packets through a TUN device, with routes, guards and rules that Fynx owns (RFC 4301)."""

from __future__ import annotations

from fynx.plugin import Dataplane, Section, hookimpl
from fynx_plugins.tun.config import TunConfig
from fynx_plugins.tun.plane import TunDataplane

FYNX_API = 1


@hookimpl
def fynx_dataplanes() -> list[Dataplane]:
    return [TunDataplane()]


@hookimpl
def fynx_sections() -> list[Section]:
    return [Section("host.plane.tun", TunConfig)]

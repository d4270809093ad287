"""Data plane ``inproc``: packets are handed over by the program; needs no privilege and no device."""

from __future__ import annotations

from fynx.plugin import Dataplane, Section, hookimpl
from fynx_plugins.inproc.plane import InprocConfig, InprocDataplane

FYNX_API = 1


@hookimpl
def fynx_dataplanes() -> list[Dataplane]:
    return [InprocDataplane()]


@hookimpl
def fynx_sections() -> list[Section]:
    return [Section("host.plane.inproc", InprocConfig)]

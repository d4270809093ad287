"""Transport ``memory``: hosts of one process exchange datagrams over a switchboard that the caller owns."""

from __future__ import annotations

from fynx.plugin import Section, Transport, hookimpl
from fynx_plugins.memory.switchboard import MemoryConfig, MemoryTransport, Switchboard

FYNX_API = 1

__all__ = ["MemoryConfig", "MemoryTransport", "Switchboard"]


@hookimpl
def fynx_transports() -> list[Transport]:
    return [MemoryTransport()]


@hookimpl
def fynx_sections() -> list[Section]:
    return [Section("host.transport.memory", MemoryConfig)]

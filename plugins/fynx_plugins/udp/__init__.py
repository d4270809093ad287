"""Transport ``udp``: IKE on port 500, IKE and ESP behind the non-ESP marker on 4500 (RFC 7296 section 2, RFC 3948)."""

from __future__ import annotations

from fynx.plugin import Section, Transport, hookimpl
from fynx_plugins.udp.config import UdpConfig
from fynx_plugins.udp.port import UdpTransport

FYNX_API = 1


@hookimpl
def fynx_transports() -> list[Transport]:
    return [UdpTransport()]


@hookimpl
def fynx_sections() -> list[Section]:
    return [Section("host.transport.udp", UdpConfig)]

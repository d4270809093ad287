"""Transport ``tcp``: IKE and ESP as messages of a TCP stream, for networks without UDP (RFC 9329)."""

from __future__ import annotations

from fynx.plugin import Section, Transport, hookimpl
from fynx_tcp.config import TcpConfig
from fynx_tcp.port import TcpTransport

FYNX_API = 1
FYNX_EXAMPLES = {"host.transport.tcp": ({"listen": ["127.0.0.1"], "port": 0}, {"listen": ["127.0.0.2"], "port": 0})}
"""Two settings that can be open side by side, for Fynx's conformance kit."""


@hookimpl
def fynx_transports() -> list[Transport]:
    return [TcpTransport()]


@hookimpl
def fynx_sections() -> list[Section]:
    return [Section("host.transport.tcp", TcpConfig)]

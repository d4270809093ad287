"""Fynx: IKEv2 and ESP (IPsec) in user space. The front door: names are loaded when they are first asked for."""

from typing import TYPE_CHECKING

from fynx import errors, events
from fynx.errors import ConfigError, FynxError, PeerFault, PluginError

if TYPE_CHECKING:
    from fynx.api import blocking
    from fynx.api.client import IpsecClient
    from fynx.api.config import ClientConfig, DpdConfig, SaLifetime, ServerConfig
    from fynx.api.door import connect, gateway, psk, serve
    from fynx.api.server import IpsecServer
    from fynx.api.session import IpsecSession

__version__ = "0.1.0"

__all__ = [
    "ClientConfig",
    "ConfigError",
    "DpdConfig",
    "FynxError",
    "IpsecClient",
    "IpsecServer",
    "IpsecSession",
    "PeerFault",
    "PluginError",
    "SaLifetime",
    "ServerConfig",
    "__version__",
    "blocking",
    "connect",
    "errors",
    "events",
    "gateway",
    "get_include",
    "psk",
    "serve",
]


def get_include() -> str:
    """The folder of ``fynx.h``, for compilers: the public header of the data plane and of cipher providers."""
    from pathlib import Path

    return str(Path(__file__).resolve().parent / "include")


def __getattr__(name: str) -> object:
    from fynx.api import names

    return names.find(name)


def __dir__() -> list[str]:
    return sorted(__all__)

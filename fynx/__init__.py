"""Fynx: IKEv2 and ESP (IPsec) in user space. The front door: version, errors and events; all else by its own module."""

from fynx import errors, events
from fynx.errors import ConfigError, FynxError, PeerFault, PluginError

__version__ = "0.1.0"

__all__ = ["ConfigError", "FynxError", "PeerFault", "PluginError", "__version__", "errors", "events"]

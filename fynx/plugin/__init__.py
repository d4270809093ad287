"""Everything a plugin author may import.

A plugin is a module (or package) named in the entry-point group ``fynx``; it sets ``FYNX_API = 1`` and implements hooks
with ``@hookimpl``.
"""

from fynx.errors import AuthFailed, ConfigError, CryptoError, Drop, Dropped, FynxError, PeerFault, PluginError, Problem
from fynx.plugin.auth import AuthContext, AuthMethod, AuthorizeRequest, AuthValue, Identity, Secret
from fynx.plugin.command import Command
from fynx.plugin.crypto import (
    Algorithms,
    Cipher,
    CipherKey,
    Integ,
    KeyExchange,
    Offer,
    Prf,
    Provider,
    Random,
    with_implicit_iv,
)
from fynx.plugin.dataplane import (
    Acquire,
    Aggregation,
    ChildKeys,
    ChildSpec,
    Dataplane,
    Dummies,
    EspSuite,
    Expire,
    IkeArrived,
    PathSeen,
    Plane,
    PlaneContext,
    Policy,
    Sealed,
    Selector,
    UnknownSpi,
    Upcall,
    Usage,
    WorkerEnded,
)
from fynx.plugin.engine import Engine, EngineOptions, MakeEngine
from fynx.plugin.extension import ExchangeSpec, Extension, Incoming, Outgoing, SaView, Task, TaskSpec
from fynx.plugin.hookspecs import hookimpl
from fynx.plugin.keylog import EspKeyRecord, IkeKeyRecord, KeyRecord
from fynx.plugin.section import Section
from fynx.plugin.service import Control, Histogram, Service
from fynx.plugin.store import OpenStore, Store
from fynx.plugin.transport import Datagram, Deliver, HintingPort, Path, Port, PortSocket, Transport

API = 1
"""Version of this interface; a plugin declares the one it was written for as ``FYNX_API``."""

__all__ = [
    "API",
    "Acquire",
    "Aggregation",
    "Algorithms",
    "AuthContext",
    "AuthFailed",
    "AuthMethod",
    "AuthValue",
    "AuthorizeRequest",
    "ChildKeys",
    "ChildSpec",
    "Cipher",
    "CipherKey",
    "Command",
    "ConfigError",
    "Control",
    "CryptoError",
    "Datagram",
    "Dataplane",
    "Deliver",
    "Drop",
    "Dropped",
    "Dummies",
    "Engine",
    "EngineOptions",
    "EspKeyRecord",
    "EspSuite",
    "ExchangeSpec",
    "Expire",
    "Extension",
    "FynxError",
    "HintingPort",
    "Histogram",
    "Identity",
    "IkeArrived",
    "IkeKeyRecord",
    "Incoming",
    "Integ",
    "KeyExchange",
    "KeyRecord",
    "MakeEngine",
    "Offer",
    "OpenStore",
    "Outgoing",
    "Path",
    "PathSeen",
    "PeerFault",
    "Plane",
    "PlaneContext",
    "PluginError",
    "Policy",
    "Port",
    "PortSocket",
    "Prf",
    "Problem",
    "Provider",
    "Random",
    "SaView",
    "Sealed",
    "Secret",
    "Section",
    "Selector",
    "Service",
    "Store",
    "Task",
    "TaskSpec",
    "Transport",
    "UnknownSpi",
    "Upcall",
    "Usage",
    "WorkerEnded",
    "hookimpl",
    "with_implicit_iv",
]

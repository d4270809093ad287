"""The configuration: YAML in, a frozen ``Config`` out, every error at once with its place and what to write instead."""

from fynx.config.load import crashing, load
from fynx.config.model import Child, Choice, Config, Host, Local, Peer, Remote, Retransmission, StaticPolicy

__all__ = [
    "Child",
    "Choice",
    "Config",
    "Host",
    "Local",
    "Peer",
    "Remote",
    "Retransmission",
    "StaticPolicy",
    "crashing",
    "load",
]

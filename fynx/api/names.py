"""The public names that ``import fynx`` does not load by itself."""

from __future__ import annotations


def find(name: str) -> object:
    """Raises ``AttributeError`` for what is no public name of ``fynx``."""
    if name in ("IpsecClient", "IpsecServer", "IpsecSession"):
        return _peers(name)
    if name in ("ClientConfig", "DpdConfig", "SaLifetime", "ServerConfig"):
        from fynx.api import config

        return getattr(config, name)
    if name in ("connect", "gateway", "psk", "serve"):
        from fynx.api import door

        return getattr(door, name)
    if name == "blocking":
        from fynx.api import blocking

        return blocking
    raise AttributeError(f"module 'fynx' has no attribute {name!r}")


def _peers(name: str) -> object:
    from fynx.api import client, server, session

    return next(getattr(each, name) for each in (client, server, session) if hasattr(each, name))

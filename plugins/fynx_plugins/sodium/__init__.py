"""Provider for the C loop: the libsodium that PyNaCl brings along."""

from __future__ import annotations

import os

from nacl import _sodium

from fynx.plugin import Provider, hookimpl

FYNX_API = 1


@hookimpl
def fynx_providers() -> list[Provider]:
    """Without the library the provider still stands, offers nothing, and says why in ``version``."""
    from fynx_plugins.sodium import _ops

    _ops.lib.fynx_provider_open(os.fsencode(_sodium.__file__))
    version = _ops.ffi.string(_ops.lib.fynx_provider_version())
    return [Provider("sodium", _text(version), _ops.lib.fynx_provider_ops, keep=_ops)]


def _text(octets: bytes | str) -> str:
    return octets if isinstance(octets, str) else octets.decode("utf-8", "replace")

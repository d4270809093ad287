"""Provider for the C loop: OpenSSL 3, found at run time as libcrypto.so.3."""

from __future__ import annotations

from fynx.plugin import Provider, hookimpl

FYNX_API = 1


@hookimpl
def fynx_providers() -> list[Provider]:
    """Without the library the provider still stands, offers nothing, and says why in ``version``."""
    from fynx_plugins.libcrypto import _ops

    _ops.lib.fynx_provider_open(b"")
    version = _ops.ffi.string(_ops.lib.fynx_provider_version())
    return [Provider("libcrypto", _text(version), _ops.lib.fynx_provider_ops, keep=_ops)]


def _text(octets: bytes | str) -> str:
    return octets if isinstance(octets, str) else octets.decode("utf-8", "replace")

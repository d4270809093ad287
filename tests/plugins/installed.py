"""What the installed plugins offer: each entry of the group ``fynx`` in pyproject.toml that has such a hook."""

from __future__ import annotations

import importlib
import tomllib
from functools import cache
from pathlib import Path
from types import ModuleType

from fynx.plugin import AuthMethod, Cipher, Integ, KeyExchange, Prf, Provider

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ENTRIES: dict[str, str] = PROJECT["project"]["entry-points"]["fynx"]
HOOKS = ("fynx_ciphers", "fynx_prfs", "fynx_integs", "fynx_key_exchanges", "fynx_auth_methods", "fynx_providers")


@cache
def algorithm_plugins() -> dict[str, ModuleType]:
    """Plugins with one of HOOKS; only those are imported."""
    found = {}
    for name, module in sorted(ENTRIES.items()):
        source = ROOT / "plugins" / module.replace(".", "/") / "__init__.py"
        if source.exists() and any(f"def {hook}(" in source.read_text() for hook in HOOKS):
            found[name] = importlib.import_module(module)
    return found


def _offers(hook: str) -> list[tuple[str, object]]:
    return [
        (name, offer)
        for name, module in algorithm_plugins().items()
        if hasattr(module, hook)
        for offer in getattr(module, hook)()
    ]


@cache
def ciphers() -> dict[str, Cipher]:
    return {offer.keyword: offer for _, offer in _offers("fynx_ciphers") if isinstance(offer, Cipher)}


@cache
def prfs() -> dict[str, Prf]:
    return {offer.keyword: offer for _, offer in _offers("fynx_prfs") if isinstance(offer, Prf)}


@cache
def integs() -> dict[str, Integ]:
    return {offer.keyword: offer for _, offer in _offers("fynx_integs") if isinstance(offer, Integ)}


@cache
def key_exchanges() -> dict[str, KeyExchange]:
    return {offer.keyword: offer for _, offer in _offers("fynx_key_exchanges") if isinstance(offer, KeyExchange)}


@cache
def providers() -> dict[str, Provider]:
    return {offer.name: offer for _, offer in _offers("fynx_providers") if isinstance(offer, Provider)}


@cache
def auth_methods() -> dict[str, AuthMethod]:
    return {getattr(offer, "name", ""): offer for _, offer in _offers("fynx_auth_methods")}  # type: ignore[misc]


AEADS = ((20, 128), (20, 192), (20, 256), (28, 256))
CBC_BITS = (128, 192, 256)
INTEG_IDS = (12, 13, 14)
SUITES = (
    *((encr, bits, 0) for encr, bits in AEADS),
    *((12, bits, integ) for bits in CBC_BITS for integ in INTEG_IDS),
    *((11, 0, integ) for integ in INTEG_IDS),
)
"""All (encryption, key bits, integrity) that an ops may be asked for."""


@cache
def all_ops() -> dict[str, tuple[Provider, tuple[int, int, int], int]]:
    """Every ops of every provider on this machine: "libcrypto-20-128-0" -> provider, suite, address."""
    return {
        f"{provider.name}-{'-'.join(map(str, suite))}": (provider, suite, provider.ops(*suite))
        for provider in providers().values()
        for suite in SUITES
        if provider.ops(*suite)
    }

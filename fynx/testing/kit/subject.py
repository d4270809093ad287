"""The plugin under examination: booted beside the preset, as a host would have it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fynx.errors import CryptoError
from fynx.kernel.file import from_file
from fynx.kernel.loader import PRESETS, boot
from fynx.kernel.registry import Registry
from fynx.plugin.crypto import Cipher, CipherKey
from fynx.plugin.selftest import stream


class Refused(Exception):
    """The plugin does not hold to its contract, and this is the reason."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to hold to. ``call`` returns, or raises ``Refused`` (or whatever the plugin raised)."""

    name: str
    call: Callable[[], None]

    def __call__(self) -> None:
        self.call()

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Subject:
    """``examples`` are settings for the plugin's sections (``FYNX_EXAMPLES``), ``vectors`` says whose vectors fit a
    keyword (``FYNX_VECTORS``), ``answered``: it has a self-test of its own."""

    name: str
    registry: Registry
    module: object

    @property
    def examples(self) -> Mapping[str, object]:
        found = getattr(self.module, "FYNX_EXAMPLES", {})
        return found if isinstance(found, Mapping) else {}

    @property
    def vectors(self) -> Mapping[str, str]:
        found = getattr(self.module, "FYNX_VECTORS", {})
        return found if isinstance(found, Mapping) else {}

    @property
    def answered(self) -> bool:
        return callable(getattr(self.module, "fynx_selftest", None))

    def owned(self, kind: str) -> Sequence[str]:
        """Keys of what it registered: ``owned("transport")``."""
        return [key for (known, key), owner in self.registry.owners.items() if known == kind and owner == self.name]

    @property
    def ciphers(self) -> Sequence[Cipher]:
        mine = set(self.owned("keyword"))
        return [cipher for cipher in self.registry.algorithms.ciphers.values() if cipher.keyword in mine]


def subject(name: str, file: Path | None = None) -> Subject:
    """Raises ``PluginError``: the first contract is that it boots."""
    if file is not None:
        registry = boot(["default"], files=[from_file(file)])
        return Subject(name, registry, sys.modules[f"fynx_file_{name}"])
    registry = boot(["default"] if name in PRESETS["default"] else ["default", f"+{name}"])
    return Subject(name, registry, sys.modules[registry.plugins[name].module.partition(":")[0]])


def must_refuse(what: str, call: Callable[[], object]) -> None:
    """``CryptoError`` and nothing else."""
    try:
        call()
    except CryptoError:
        return
    except Exception as error:
        raise Refused(f"{what}: raises {type(error).__name__}, CryptoError belongs here") from error
    raise Refused(f"{what} is accepted")


def raw_key(cipher: Cipher, label: bytes = b"key") -> bytes:
    return stream(cipher.key_bits // 8 + cipher.salt_len, label)


def make_key(cipher: Cipher, label: bytes = b"key") -> CipherKey:
    return cipher.key(raw_key(cipher, label))


__all__ = ["Check", "Refused", "Subject", "make_key", "must_refuse", "raw_key", "subject"]

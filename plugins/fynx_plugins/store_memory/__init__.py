"""Store ``memory``: lives and dies with the host; for tests and for programs that hold their own secrets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fynx.plugin import OpenStore, Section, Store, hookimpl

FYNX_API = 1


@dataclass(frozen=True, slots=True)
class MemoryStoreConfig:
    """The section ``host.store.memory``: nothing to set."""


class OpenMemoryStore:
    """Values by kind and key; never shown by repr."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], bytes] = {}

    def read(self, kind: str, key: str) -> bytes | None:
        return self._values.get((kind, key))

    def write(self, kind: str, key: str, value: bytes) -> None:
        self._values[kind, key] = value

    def delete(self, kind: str, key: str) -> None:
        self._values.pop((kind, key), None)

    def scan(self, kind: str) -> Iterator[str]:
        return iter(sorted(key for known, key in self._values if known == kind))


class MemoryStore:
    name = "memory"

    def open(self, section: object) -> OpenStore:  # noqa: ARG002  the contract's shape; there is nothing to set
        return OpenMemoryStore()


@hookimpl
def fynx_stores() -> list[Store]:
    return [MemoryStore()]


@hookimpl
def fynx_sections() -> list[Section]:
    return [Section("host.store.memory", MemoryStoreConfig)]

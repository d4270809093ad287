"""Stores keep what outlives a process or must not stand in the main file: secrets, leases, cookie secrets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class OpenStore(Protocol):
    def read(self, kind: str, key: str) -> bytes | None: ...

    def write(self, kind: str, key: str, value: bytes) -> None: ...

    def delete(self, kind: str, key: str) -> None: ...

    def scan(self, kind: str) -> Iterator[str]: ...


class Store(Protocol):
    @property
    def name(self) -> str: ...

    def open(self, section: object) -> OpenStore:
        """Raises ``ConfigError`` with the exact command to run when modes or owners are unsafe."""
        ...

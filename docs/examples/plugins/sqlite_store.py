"""A store in one SQLite file: secrets for ``@store:KEY``, and what a host keeps over a restart.

``fynx run -p ./sqlite_store.py``, and ``host: {store: {sqlite: {path: /etc/fynx/store.db}}}``.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fynx.plugin import ConfigError, OpenStore, Problem, Section, Store, hookimpl

FYNX_API = 1
FYNX_EXAMPLES = {"host.store.sqlite": {"path": ":memory:"}}

TABLE = "CREATE TABLE IF NOT EXISTS kept (kind TEXT, key BLOB, value BLOB, PRIMARY KEY (kind, key))"


@dataclass(frozen=True, slots=True)
class SqliteConfig:
    """Where the file is; it is made with mode 0600, and refused with any other."""

    path: str = "/etc/fynx/store.db"


class OpenSqlite:
    """One connection, one caller at a time."""

    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute(TABLE)

    def read(self, kind: str, key: str) -> bytes | None:
        rows = self._rows("SELECT value FROM kept WHERE kind = ? AND key = ?", kind, key.encode())
        return bytes(rows[0][0]) if rows else None

    def write(self, kind: str, key: str, value: bytes) -> None:
        self._rows("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", kind, key.encode(), value)

    def delete(self, kind: str, key: str) -> None:
        self._rows("DELETE FROM kept WHERE kind = ? AND key = ?", kind, key.encode())

    def scan(self, kind: str) -> Iterator[str]:
        return iter([bytes(row[0]).decode() for row in self._rows("SELECT key FROM kept WHERE kind = ?", kind)])

    def _rows(self, line: str, *values: str | bytes) -> list[tuple[bytes, ...]]:
        with self._lock:
            return self._database.execute(line, values).fetchall()

    def __del__(self) -> None:
        self._database.close()


class SqliteStore:
    name = "sqlite"

    def open(self, section: object) -> OpenStore:
        path = section.path if isinstance(section, SqliteConfig) else SqliteConfig().path
        if path != ":memory:":
            _check(Path(path))
        return OpenSqlite(path)


def _check(path: Path) -> None:
    """Raises ``ConfigError`` with the exact command to run."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        seen = path.lstat()
    except OSError as error:
        raise _error(f"cannot be opened: {error.strerror}", f"ls -l {shlex.quote(str(path))}") from None
    if seen.st_mode & 0o077:
        raise _error("others can read it", f"chmod 0600 {shlex.quote(str(path))}")
    if seen.st_uid not in (0, os.geteuid()):
        raise _error(f"it belongs to user {seen.st_uid}", f"chown {os.geteuid()} {shlex.quote(str(path))}")


def _error(why: str, remedy: str) -> ConfigError:
    return ConfigError((Problem(why, path="host.store.sqlite.path", remedy=remedy),))


@hookimpl
def fynx_stores() -> list[Store]:
    return [SqliteStore()]


@hookimpl
def fynx_sections() -> list[Section]:
    return [Section("host.store.sqlite", SqliteConfig)]

"""Files of mode 0600 in directories of mode 0700: refuses what others may read, symbolic links, and what is no file."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fynx.plugin import ConfigError, OpenStore, Problem

LARGEST = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}")


@dataclass(frozen=True, slots=True)
class FileStoreConfig:
    """``path``: a directory with a folder per kind and a file per key (``@store:psk/hq`` is ``PATH/psk/hq``)."""

    path: str = "/etc/fynx/store"


class OpenFileStore:
    """An open store. Every access checks the file it touches."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, kind: str, key: str) -> bytes | None:
        path = self._place(kind, key)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _refused(path, f"cannot be opened ({error.strerror})", f"ls -l {path}") from error
        try:
            _check(os.fstat(fd), path)
        except ConfigError:
            os.close(fd)
            raise
        with os.fdopen(fd, "rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise _refused(path, "is larger than 1 MiB", f"ls -l {path}")
        return data

    def write(self, kind: str, key: str, value: bytes) -> None:
        path = self._place(kind, key)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(value)
            file.flush()
            os.fsync(fd)
        fresh.replace(path)

    def delete(self, kind: str, key: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._place(kind, key).unlink()

    def scan(self, kind: str) -> Iterator[str]:
        folder = self._root / _name(kind)
        if not folder.is_dir():
            return iter(())
        return iter(sorted(entry.name for entry in folder.iterdir() if _NAME.fullmatch(entry.name)))

    def _place(self, kind: str, key: str) -> Path:
        return self._root / _name(kind) / _name(key)


class FileStore:
    name = "file"

    def open(self, section: object) -> OpenStore:
        config = section if isinstance(section, FileStoreConfig) else FileStoreConfig()
        root = Path(config.path)
        try:
            seen = root.lstat()
        except FileNotFoundError as error:
            raise _refused(root, "does not exist", f"install -d -m 0700 {root}") from error
        if not stat.S_ISDIR(seen.st_mode):
            raise _refused(root, "is not a directory", f"install -d -m 0700 {root}")
        _check(seen, root, folder=True)
        return OpenFileStore(root)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ConfigError((Problem(f"{text!r} is no name for a stored value", remedy="use letters, digits and ._@-"),))
    return text


def _check(seen: os.stat_result, path: Path, *, folder: bool = False) -> None:
    if not folder and not stat.S_ISREG(seen.st_mode):
        raise _refused(path, "is not a regular file", f"ls -l {path}")
    if seen.st_mode & 0o077:
        raise _refused(path, "can be read by others", f"chmod {'0700' if folder else '0600'} {path}")
    if seen.st_uid not in (os.geteuid(), 0):
        raise _refused(path, f"belongs to user {seen.st_uid}", f"chown {os.geteuid()} {path}")


def _refused(path: Path, what: str, remedy: str) -> ConfigError:
    return ConfigError((Problem(f"{path} {what}", path="host.store.file", remedy=remedy),))

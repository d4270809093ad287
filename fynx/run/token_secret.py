"""The secret of crash tokens, kept beyond a crash: in the store where one is configured, else beside the state file.

In the run-time directory it survives a crash of the process, in a store of files one of the machine (RFC 6290 section
5.1).
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from fynx.config.model import Config
from fynx.errors import ConfigError
from fynx.kernel.registry import Registry
from fynx.run.files import RunFiles

log = logging.getLogger("fynx.run")

OCTETS = 32
KIND = "crash"


def crash_secret(config: Config, registry: Registry, files: RunFiles | None) -> bytes:
    """Empty, so that no tokens are made, where it is turned off or cannot be kept."""
    if not config.host.crash_detection:
        return b""
    store = config.host.store
    try:
        if store is not None and store.name in registry.stores:
            opened = registry.stores[store.name].open(store.section)
            kept = opened.read(KIND, config.name)
            if kept is None or len(kept) != OCTETS:
                kept = os.urandom(OCTETS)
                opened.write(KIND, config.name, kept)
            return kept
        return _beside(files) if files is not None else b""
    except (OSError, ConfigError) as error:
        log.warning("no crash tokens: %s", error)
        return b""


def forget(files: RunFiles | None) -> None:
    """After a stop that every peer confirmed, nobody needs a token."""
    if files is not None:
        with contextlib.suppress(OSError):
            _path(files).unlink()


@contextlib.contextmanager
def only_if_up(files: RunFiles | None) -> Iterator[None]:
    """A start that fails leaves no secret that was not there before."""
    known = files is None or _path(files).exists()
    try:
        yield
    except BaseException:
        if not known:
            forget(files)
        raise


def _path(files: RunFiles) -> Path:
    return files.directory / f"{files.name}.token"


def _beside(files: RunFiles) -> bytes:
    path = _path(files)
    with contextlib.suppress(FileNotFoundError):
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as file:
            seen = os.fstat(file.fileno())
            kept = file.read(OCTETS + 1)
        private = stat.S_ISREG(seen.st_mode) and seen.st_uid in (0, os.geteuid()) and not seen.st_mode & 0o077
        if private and len(kept) == OCTETS:
            return kept
        path.unlink()
    fresh = os.urandom(OCTETS)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(fresh)
    return fresh

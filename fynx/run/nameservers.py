"""The file of the system's name servers, where the configuration names one: theirs while a tunnel told of some."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Protocol

from fynx.events import AddressAssigned, Event, IkeDown
from fynx.ike.effects import IkeSnapshot
from fynx.run.driver import Driver

log = logging.getLogger("fynx.run")

SAVED = ".before-fynx"


class Told(Protocol):
    """The host, as this module sees it."""

    def events(self) -> AsyncIterator[Event]: ...

    @property
    def driver(self) -> Driver: ...


class ResolvConf:
    """Keeps what stood in the file beside it, also over a crash, and puts it back. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._path, self._saved = path, path.with_name(path.name + SAVED)
        self._now: tuple[str, ...] = ()

    def use(self, servers: tuple[str, ...]) -> None:
        if servers == self._now:
            return
        if not servers:
            self.restore()
            return
        if self._path.is_symlink():
            raise OSError(f"{self._path} is a symbolic link: another program writes it")
        if not self._saved.exists():
            self._write(self._saved, self._path.read_text())
        self._write(self._path, "# Written by fynx\n" + "".join(f"nameserver {one}\n" for one in servers))
        self._now = servers

    def restore(self) -> None:
        self._now = ()
        if self._saved.exists():
            self._saved.replace(self._path)

    def _write(self, path: Path, text: str) -> None:
        fresh = path.with_name(path.name + ".new")
        fresh.unlink(missing_ok=True)
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with os.fdopen(fd, "w") as file:
            file.write(text)
        fresh.replace(path)


async def keep_name_servers(host: Told, path: str | None) -> None:
    """Runs until it is cancelled. Without a path nothing is ever written."""
    if path is None:
        return
    file = ResolvConf(Path(path))
    _try(file.restore)  # what an earlier run left
    try:
        async for event in host.events():
            if isinstance(event, AddressAssigned | IkeDown):
                servers = wanted(host.driver.endpoint.snapshot())
                _try(partial(file.use, servers))
    finally:
        _try(file.restore)


def wanted(snapshots: Iterable[IkeSnapshot]) -> tuple[str, ...]:
    """The servers of all tunnels, but for those of some domains alone: the file cannot say that (RFC 8598)."""
    told = [one.virtual for one in snapshots if one.virtual_ours and one.virtual is not None]
    return tuple(dict.fromkeys(server for each in told if not each.domains for server in each.show_dns()))


def _try(step: Callable[[], None]) -> None:
    try:
        step()
    except OSError as error:
        log.warning("the name servers of the system were not changed: %s", error)

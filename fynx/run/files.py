"""Files at run time: one lock per name, the note that survives a crash, the place of the control socket.

No symbolic link is followed and nothing lies in /tmp (bad-inputs L17): the directory is ours alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from fynx.run.failures import NOT_RUNNING, PERMISSION, HostError, permission_line

SYSTEM = Path("/run/fynx")
LARGEST = 1 << 24
"""Of a note; it names every guard."""
_FLAGS = os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


def default_directory() -> Path:
    """``FYNX_RUN_DIR``, else /run/fynx; for people without root, fynx in their own XDG_RUNTIME_DIR."""
    chosen = os.environ.get("FYNX_RUN_DIR")
    if chosen:
        return Path(chosen)
    own = os.environ.get("XDG_RUNTIME_DIR")
    if os.geteuid() != 0 and own and not os.access(SYSTEM, os.W_OK):
        return Path(own) / "fynx"
    return SYSTEM


class RunFiles:
    """The files of one running host. ``acquire`` raises HostError: 3 when the name runs already, 4 when not allowed."""

    def __init__(self, name: str, directory: Path | None = None, variables: Iterable[str] = ()) -> None:
        """``variables`` of the environment are kept in the line that gives more privileges."""
        self.directory = directory if directory is not None else default_directory()
        self.name, self._variables = name, tuple(variables)
        self._lock = -1

    @property
    def socket(self) -> Path:
        return self.directory / f"{self.name}.sock"

    @property
    def state(self) -> Path:
        return self.directory / f"{self.name}.state"

    @property
    def lock(self) -> Path:
        return self.directory / f"{self.name}.lock"

    def acquire(self) -> None:
        self._make_directory()
        while self._lock < 0:
            fd = self._locked()
            if _names(self.lock, fd):
                self._lock = fd
            else:
                os.close(fd)  # the holder before us removed the file between our open and our lock
        os.ftruncate(self._lock, 0)
        os.write(self._lock, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Removes the lock file while it is still held; the directory too, when nothing else is in it."""
        if self._lock < 0:
            return
        with contextlib.suppress(OSError):
            self.lock.unlink()
        os.close(self._lock)
        self._lock = -1
        with contextlib.suppress(OSError):
            self.directory.rmdir()

    def _locked(self) -> int:
        try:
            fd = os.open(self.lock, _FLAGS, 0o600)
        except FileNotFoundError:
            self._make_directory()
            return self._locked()
        except OSError as error:
            raise HostError(f"{self.lock}: {error.strerror}", PERMISSION, permission_line(self._variables)) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(fd, 32).decode(errors="replace").strip()
            os.close(fd)
            who = f" (process {holder})" if holder.isdigit() else ""
            remedy = f"fynx status --name {self.name}"
            raise HostError(f"{self.name} is running already{who}", NOT_RUNNING, remedy) from error
        return fd

    def read_state(self) -> dict[str, object]:
        """What the last run noted; empty when there is nothing, or nothing readable."""
        try:
            fd = os.open(self.state, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return {}
        with os.fdopen(fd, "rb") as file:
            try:
                found = json.loads(file.read(LARGEST))
            except ValueError:
                return {}
        return found if isinstance(found, dict) else {}

    def write_state(self, state: Mapping[str, object]) -> None:
        """Replaces the note at once; removes it when it says nothing. A full disk costs the note, not the tunnels."""
        if not state:
            with contextlib.suppress(OSError):
                self.state.unlink()
            return
        fresh = self.state.with_suffix(".state.new")
        with contextlib.suppress(OSError):
            with contextlib.suppress(FileNotFoundError):
                fresh.unlink()
            fd = os.open(fresh, _FLAGS | os.O_EXCL, 0o600)
            with os.fdopen(fd, "w") as file:
                json.dump({"schema": "fynx.state/1", **state}, file)
            fresh.replace(self.state)

    def _make_directory(self) -> None:
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            seen = self.directory.lstat()
        except OSError as error:
            raise HostError(
                f"{self.directory}: {error.strerror}", PERMISSION, permission_line(self._variables)
            ) from error
        if not stat.S_ISDIR(seen.st_mode) or seen.st_uid not in (0, os.geteuid()) or seen.st_mode & 0o022:
            remedy = f"sudo install -d -m 0700 -o {os.geteuid()} {self.directory}"
            raise HostError(f"{self.directory} is not a directory of ours alone", PERMISSION, remedy)


def _names(path: Path, fd: int) -> bool:
    """Whether the path still names the open file."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(fd))
    except FileNotFoundError:
        return False

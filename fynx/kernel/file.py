"""A plugin in a single file (``fynx run -p ./my.py``): nobody else may be able to write what we are about to run."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from fynx.errors import PluginError
from fynx.kernel.entrypoints import Candidate

LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class FileCandidate(Candidate):
    """Read once and run from what was read: a change between the look and the run changes nothing."""

    source: bytes = field(default=b"", repr=False)

    def load(self) -> object:
        module = ModuleType(f"fynx_file_{self.name}")
        module.__file__ = self.value
        sys.modules[module.__name__] = module  # dataclasses look for their module there
        exec(compile(self.source, self.value, "exec"), module.__dict__)  # noqa: S102  what the user asked for
        return module


def from_file(path: Path) -> FileCandidate:
    """The file's plugin, named after the file. Raises ``PluginError`` with the command that puts it right."""
    name = path.stem
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise PluginError(name, f"{path} cannot be read: {error.strerror}") from None
    try:
        wrong = _wrong(path, os.fstat(fd))
        if wrong:
            raise PluginError(name, wrong)
        with os.fdopen(os.dup(fd), "rb") as file:
            source = file.read(LARGEST + 1)
    finally:
        os.close(fd)
    if not name.isidentifier():
        raise PluginError(name, f"{path}: the file's name is the plugin's: letters, digits and _ only")
    if len(source) > LARGEST:
        raise PluginError(name, f"{path} is larger than {LARGEST} octets: make it a distribution")
    return FileCandidate(name, str(path), "file", "0", source)


def _wrong(path: Path, seen: os.stat_result) -> str:
    if not stat.S_ISREG(seen.st_mode):
        return f"{path} is not a regular file"
    if seen.st_uid not in (0, os.geteuid()):
        return f"{path} belongs to user {seen.st_uid}: sudo chown {os.geteuid()} {path}"
    if seen.st_mode & 0o022:
        return f"{path} can be written by others: chmod go-w {path}"
    folder = path.resolve().parent
    around = folder.stat()
    foreign = around.st_uid not in (0, os.geteuid())
    if foreign or (around.st_mode & 0o022 and not around.st_mode & stat.S_ISVTX):
        return f"the folder {folder} can be changed by others: chmod go-w {folder}, or move the file"
    return ""


__all__ = ["FileCandidate", "from_file"]

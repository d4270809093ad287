"""Secrets by reference: ``@env:NAME``, ``@file:PATH``, ``@store:KEY``, or the text itself; files must be ours alone.

A secret that begins with ``0x`` is hexadecimal and one that begins with ``0s`` is base64, as in ``swanctl.conf``; this
holds for the text, the environment and files. A file may end with one line feed, which is not part of the secret.
"""

from __future__ import annotations

import base64
import binascii
import os
import shlex
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fynx.config.problems import Wrong
from fynx.plugin.auth import Secret
from fynx.plugin.store import OpenStore

LARGEST = 1 << 16
ROOT = 0
KIND = "secret"
"""Kind under which a store keeps ``@store:KEY``; ``@store:psk/hq`` names the kind ``psk`` itself."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Reads references. ``base`` is the folder of the configuration; ``store`` opens the store when first needed."""

    environment: Mapping[str, str]
    base: Path
    store: Callable[[], OpenStore]

    def read(self, text: str) -> Secret:
        """Raises ``Wrong`` or ``ConfigError`` with the remedy; neither ever holds the secret."""
        scheme, colon, rest = text.partition(":")
        match scheme if colon else "":
            case "@env":
                octets = decoded(self._environment(rest), f"the variable {rest}")
            case "@file":
                octets = decoded(_without_newline(read_private(self.base / Path(rest).expanduser())), "the file")
            case "@store":
                octets = self._stored(rest)
            case _ if text.startswith("@"):
                raise Wrong("an unknown kind of reference", "write @env:NAME, @file:PATH or @store:KEY")
            case _:
                octets = decoded(text.encode(), "the secret")
        if not octets:
            raise Wrong("the secret is empty", "fynx psk gen makes one")
        return Secret(octets)

    def _environment(self, name: str) -> bytes:
        value = self.environment.get(name)
        if value is None:
            raise Wrong(f"the environment has no variable {name!r}", f"set it before the start: export {name}=…")
        return os.fsencode(value)

    def _stored(self, reference: str) -> bytes:
        kind, slash, key = reference.partition("/")
        if not slash:
            kind, key = KIND, reference
        value = self.store().read(kind, key)
        if value is None:
            raise Wrong(f"the store has no {kind}/{key}", "put it there, or use @file:PATH")
        return value


def is_reference(text: str) -> bool:
    """Whether the text names a place; otherwise it is the secret itself."""
    return text.startswith("@")


def decoded(octets: bytes, what: str) -> bytes:
    """Hexadecimal after ``0x``, base64 after ``0s``, else the octets as they are."""
    prefix, digits = octets[:2], octets[2:]
    try:
        if prefix == b"0x":
            return binascii.unhexlify(digits)
        if prefix == b"0s":
            return base64.b64decode(digits, validate=True)
    except binascii.Error:
        pass  # the exception names digits of the secret: ours, raised outside, does not
    else:
        return octets
    name = "hexadecimal" if prefix == b"0x" else "base64"
    raise Wrong(f"{what} begins with {prefix.decode()} but what follows is not {name}", "0x: hexadecimal, 0s: base64")


def read_private(path: Path) -> bytes:
    """A file that only its owner, who is us or root, can read: no link, no pipe. Raises ``Wrong`` with the command."""
    shown = shlex.quote(str(path))
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        if path.is_symlink():
            real = shlex.quote(os.path.realpath(path))
            raise Wrong(f"{shown} is a symbolic link", f"name the file itself: {real}") from None
        raise Wrong(f"{shown} cannot be read: {error.strerror}", f"ls -l {shown}") from None
    try:
        _check_private(os.fstat(fd), shown)
        octets = read_at_most(fd, LARGEST + 1)
    finally:
        os.close(fd)
    if len(octets) > LARGEST:
        raise Wrong(f"{shown} has more than {LARGEST} octets", "a secret is far smaller")
    return octets


def read_at_most(fd: int, limit: int) -> bytes:
    """Up to ``limit`` octets of a regular file."""
    parts: list[bytes] = []
    while limit > 0 and (part := os.read(fd, limit)):
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)


def _check_private(seen: os.stat_result, shown: str) -> None:
    if not stat.S_ISREG(seen.st_mode):
        raise Wrong(f"{shown} is not a regular file", f"ls -l {shown}")
    if seen.st_mode & 0o177:
        raise Wrong(f"{shown} has mode {seen.st_mode & 0o7777:04o}: others could read it", f"chmod 0600 {shown}")
    if seen.st_uid not in (ROOT, os.geteuid()):
        raise Wrong(f"{shown} belongs to user {seen.st_uid}", f"chown {os.geteuid()} {shown}")


def _without_newline(octets: bytes) -> bytes:
    return octets.removesuffix(b"\n").removesuffix(b"\r") if octets.endswith(b"\n") else octets

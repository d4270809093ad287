"""The stream's format, without any I/O: a prefix, then messages, each behind its length (RFC 9329 sections 3 and 4)."""

from __future__ import annotations

from collections.abc import Iterator

PREFIX = b"IKETCP"
LENGTH_LEN = 2
LARGEST = 65535 - LENGTH_LEN
"""Octets of the longest message: the length field counts itself."""


class Corrupt(Exception):
    """The stream cannot go on; ``reason`` is the name of the counter."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def frame(message: bytes) -> bytes:
    """Raises ``ValueError`` for what does not fit."""
    if not message or len(message) > LARGEST:
        raise ValueError(f"a message of {len(message)} octets does not fit into a stream")
    return (len(message) + LENGTH_LEN).to_bytes(LENGTH_LEN, "big") + message


class Deframer:
    """Takes the stream as it comes, gives whole messages; keeps never more than one unfinished message."""

    def __init__(self, *, prefixed: bool) -> None:
        self._buffer = bytearray()
        self._awaits_prefix = prefixed

    @property
    def unfinished(self) -> bool:
        """A prefix or a message was begun (or the prefix is still due)."""
        return self._awaits_prefix or bool(self._buffer)

    @property
    def held(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete now. Raises ``Corrupt``."""
        self._buffer += data
        if self._awaits_prefix:
            if not PREFIX.startswith(self._buffer[: len(PREFIX)]):
                raise Corrupt("prefix")
            if len(self._buffer) < len(PREFIX):
                return []
            del self._buffer[: len(PREFIX)]
            self._awaits_prefix = False
        return list(self._messages())

    def _messages(self) -> Iterator[bytes]:
        """A length of 2 is an empty message, which is ignored; 0 and 1 are fatal (RFC 9329 section 3)."""
        at = 0
        try:
            while len(self._buffer) - at >= LENGTH_LEN:
                length = int.from_bytes(self._buffer[at : at + LENGTH_LEN], "big")
                if length < LENGTH_LEN:
                    raise Corrupt("length")
                if len(self._buffer) - at < length:
                    return
                if length > LENGTH_LEN:
                    yield bytes(self._buffer[at + LENGTH_LEN : at + length])
                at += length
        finally:
            del self._buffer[:at]

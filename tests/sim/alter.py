"""Small alterations of whole messages."""

from __future__ import annotations

from fynx.wire.payload import NotifyPayload

ANY_NOTIFY = NotifyPayload(40000, b"of no meaning")


def altered(message: bytes, at: int, value: int) -> bytes:
    return message[:at] + bytes((value,)) + message[at + 1 :]


def with_length(message: bytes, length: int) -> bytes:
    return message[:24] + length.to_bytes(4, "big") + message[28:]

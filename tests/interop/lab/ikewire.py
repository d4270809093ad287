"""A second, tiny reader of clear IKE messages (RFC 7296 section 3), so that Fynx's codec does not judge itself."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

IKE_SA_INIT, IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL = 34, 35, 36, 37
SA, KE, NONCE, NOTIFY, SK = 33, 34, 40, 41, 46
INVALID_SYNTAX, NO_PROPOSAL_CHOSEN, INVALID_KE_PAYLOAD = 7, 14, 17
AUTHENTICATION_FAILED, TS_UNACCEPTABLE, COOKIE = 24, 38, 16390
RESPONSE = 0x20


@dataclass(frozen=True, slots=True)
class Message:
    spi_i: bytes
    spi_r: bytes
    exchange: int
    flags: int
    message_id: int
    payloads: tuple[tuple[int, bytes], ...]

    @property
    def response(self) -> bool:
        return bool(self.flags & RESPONSE)

    @property
    def notifies(self) -> dict[int, bytes]:
        """Notification data by type."""
        found = {}
        for kind, body in self.payloads:
            if kind == NOTIFY:
                spi_size, notify = struct.unpack_from("!BH", body, 1)
                found[notify] = body[4 + spi_size :]
        return found

    def first(self, kind: int) -> bytes | None:
        return next((body for found, body in self.payloads if found == kind), None)


def read(data: bytes) -> Message:
    """One message. An encrypted payload ends the chain and stays closed."""
    spi_i, spi_r, kind, _, exchange, flags, message_id, length = struct.unpack_from("!8s8sBBBBII", data)
    assert length == len(data), "the length field disagrees with the datagram"
    payloads, at = [], 28
    while kind and at < len(data):
        following, _, size = struct.unpack_from("!BBH", data, at)
        payloads.append((kind, data[at + 4 : at + size]))
        if kind == SK:
            break
        kind, at = following, at + size
    return Message(spi_i, spi_r, exchange, flags, message_id, tuple(payloads))


def init_messages(messages: list[bytes]) -> list[Message]:
    """The IKE_SA_INIT messages among those captured, in order."""
    return [message for message in map(read, messages) if message.exchange == IKE_SA_INIT]


def stray_init() -> bytes:
    """A well-formed IKE_SA_INIT request of nobody: AES-128-GCM, PRF SHA-256, Curve25519. It leaves a half-open SA."""
    transforms = [
        struct.pack("!BBHBBHHH", 3, 0, 12, 1, 0, 20, 0x800E, 128),
        struct.pack("!BBHBBH", 3, 0, 8, 2, 0, 5),
        struct.pack("!BBHBBH", 0, 0, 8, 4, 0, 31),
    ]
    body = b"".join(transforms)
    proposal = struct.pack("!BBHBBBB", 0, 0, 8 + len(body), 1, 1, 0, len(transforms)) + body
    chain = [(SA, proposal), (KE, struct.pack("!HH", 31, 0) + os.urandom(32)), (NONCE, os.urandom(32))]
    following = [kind for kind, _ in chain[1:]] + [0]
    payloads = b"".join(
        struct.pack("!BBH", after, 0, 4 + len(content)) + content
        for (_, content), after in zip(chain, following, strict=True)
    )
    header = struct.pack("!8s8sBBBBII", os.urandom(8), bytes(8), SA, 0x20, IKE_SA_INIT, 0x08, 0, 28 + len(payloads))
    return header + payloads

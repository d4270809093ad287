"""Aggregated payloads in plain Python: what the C plane must do, to the octet (RFC 9347 sections 2.2 and 6.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

AGGFRAG = 144
"""ESP next header AGGFRAG_PAYLOAD."""
HEADER, CONGESTION_HEADER = 4, 24
LARGEST = 65535
WINDOW = 4
"""Outer packets that may come out of order, the awaited one included."""
PIECE = 9216
"""Octets kept of one that came early."""
TINY = 8
"""Room in a payload that is not worth the beginning of a packet."""


def pack(packets: Sequence[bytes], room: int, *, whole: bool = False, pad: bool = False) -> Iterator[bytes]:
    """The payloads, of ``room`` octets at most, that carry the packets. ``whole``: none is cut; ``pad``: all are as
    long. With ``whole`` a packet that does not fit is left out."""
    left = [packet for packet in packets if not whole or len(packet) <= room - HEADER]
    done = 0
    while left:
        payload = bytes(2) + ((len(left[0]) - done) if done else 0).to_bytes(2, "big")
        while left and len(payload) < room:
            rest = left[0][done:]
            chunk = rest[: room - len(payload)]
            if not done and len(chunk) < len(rest) and (whole or len(chunk) < TINY):
                break
            payload += chunk
            if len(chunk) < len(rest):
                done += len(chunk)
                break
            del left[0]
            done = 0
        yield payload.ljust(room, b"\0") if pad else payload


@dataclass(frozen=True, slots=True)
class Piece:
    """What an early payload has of packets that others began or end."""

    offset: int
    head: bytes
    idle: bool
    """Nothing but padding."""
    tail: bytes = b""


class Unpacker:
    """The stream of one inbound SA. ``drops`` counts what is lost, by name."""

    def __init__(self) -> None:
        self.next = 1
        self.part: bytes | None = None
        self.early: dict[int, Piece] = {}
        self.drops: dict[str, int] = {}

    def receive(self, sequence: int, payload: bytes) -> list[bytes]:
        """The inner packets that this payload completes, in the order in which they go on."""
        around = CONGESTION_HEADER if payload[:1] == b"\1" else HEADER
        if len(payload) < around or payload[0] > 1:
            self._lost("aggfrag_header")
            return []
        offset, blocks = int.from_bytes(payload[2:4], "big"), payload[around:]
        piece = Piece(offset, blocks[:offset], not offset and (not blocks or blocks[0] >> 4 == 0))
        found = self._slide(sequence)
        if sequence == self.next:
            found += self._go_on(piece)
        elif sequence < self.next and offset:
            self._lost("aggfrag_partial")
        whole, tail = self._walk(blocks[offset:])
        found += whole
        if sequence > self.next:
            self._keep(sequence, replace(piece, tail=tail))
        elif sequence == self.next:
            self._begin(tail)
            self.next += 1
            found += self._catch_up()
        elif tail:
            self._lost("aggfrag_partial")
        return found

    def _lost(self, why: str) -> None:
        self.drops[why] = self.drops.get(why, 0) + 1

    def _give_up(self, why: str) -> None:
        if self.part is not None:
            self._lost(why)
        self.part = None

    def _begin(self, tail: bytes) -> None:
        if tail:
            self.part = tail

    def _go_on(self, piece: Piece) -> list[bytes]:
        offset, head = piece.offset, piece.head
        if self.part is None:
            if offset:
                self._lost("aggfrag_partial")
            return []
        if piece.idle:
            return []
        whole = len(self.part) + offset
        grown = self.part + head
        total = length_of(grown)
        ended = len(head) == offset
        if not offset or whole > LARGEST + 1 or total not in (whole, 0) or (total == 0 and ended):
            self._give_up("aggfrag_offset")
            return []
        self.part = None if ended else grown
        return [grown] if ended else []

    def _step(self) -> list[bytes]:
        piece = self.early.pop(self.next, None)
        self.next += 1
        if piece is None:
            self._give_up("aggfrag_partial")
            return []
        found = self._go_on(piece)
        self._begin(piece.tail)
        return found

    def _catch_up(self) -> list[bytes]:
        found = []
        while self.next in self.early:
            found += self._step()
        return found

    def _slide(self, sequence: int) -> list[bytes]:
        if sequence <= self.next:
            return []
        found = []
        for _ in range(WINDOW):
            if sequence - self.next >= WINDOW:
                found += self._step()
        self.next = max(self.next, sequence - WINDOW + 1)
        return found + self._catch_up()

    def _keep(self, sequence: int, piece: Piece) -> None:
        if len(piece.head) + len(piece.tail) > PIECE:
            self._lost("aggfrag_partial")
        else:
            self.early[sequence] = piece

    def _walk(self, blocks: bytes) -> tuple[list[bytes], bytes]:
        """Whole packets, and the beginning of one that the payload does not end."""
        found: list[bytes] = []
        while blocks and blocks[0] >> 4:
            total = length_of(blocks)
            if total is None:
                self._lost("aggfrag_block")
                return found, b""
            if total == 0 or total > len(blocks):
                return found, blocks
            found.append(blocks[:total])
            blocks = blocks[total:]
        return found, b""


def length_of(begun: bytes) -> int | None:
    """Octets of the packet that begins here: 0 when that cannot be seen yet, None when it is none."""
    version = begun[0] >> 4
    if version == 4:
        total = int.from_bytes(begun[2:4], "big") if len(begun) >= 4 else 0
        return None if len(begun) >= 4 and total < 20 else total
    if version != 6:
        return None
    total = int.from_bytes(begun[4:6], "big") + 40 if len(begun) >= 6 else 0
    return None if total > LARGEST else total


__all__ = ["AGGFRAG", "Unpacker", "pack"]

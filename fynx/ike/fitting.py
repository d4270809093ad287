"""Messages as the datagrams that carry them: whole where they fit, else in fragments, smaller ones when large ones get
lost (RFC 7383 sections 2.4, 2.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fynx.ike.effects import Transmit
from fynx.ike.fragments import MAX_FRAGMENTS
from fynx.plugin.transport import Path
from fynx.wire.encap import MARKER
from fynx.wire.header import Header
from fynx.wire.message import encode_payloads
from fynx.wire.payload import Payload

if TYPE_CHECKING:
    from fynx.ike.protect import Protector
    from fynx.ike.sa import IkeSa
    from fynx.ike.window import InFlight

IPV4_LEN, IPV6_LEN, UDP_LEN = 20, 40, 8
IPV4_FLOOR, IPV6_FLOOR = 576, 1280
"""Octets of an IP datagram that passes almost everywhere (section 2.5.1)."""
PROBE_SENDS = 2
"""How often a message goes out before smaller fragments are tried (section 2.5.2)."""
SMALLEST_CHUNK = 16


@dataclass(slots=True)
class Fragmenting:
    """Of one IKE SA: whether both sides agreed to it, and the largest IP datagram in use (0: as the policy says)."""

    negotiated: bool = False
    size: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class Draft:
    """A message before its protection: the header, the first type and the octets of the inner chain."""

    header: Header
    first: int
    chain: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Message:
    """The datagrams of one message, kept as they are for retransmission. ``draft`` where smaller ones are possible."""

    datagrams: tuple[bytes, ...]
    draft: Draft | None = None


def send(sa: IkeSa, path: Path, message: Message) -> None:
    for data in message.datagrams:
        sa.services.effect(Transmit(path, data))


def protected(sa: IkeSa, header: Header, payloads: tuple[Payload, ...], path: Path) -> Message:
    """The message as it goes out on ``path``."""
    assert sa.protector is not None
    draft = Draft(header, *encode_payloads(payloads))
    if not sa.fragmenting.negotiated:
        return Message((sa.protector.seal_raw(header, draft.first, draft.chain),))
    size, floor = _size(sa), _floor(sa, path)
    datagrams = cut(sa.protector, draft, room(path, size))
    shrinks = floor < size and sa.protector.sealed_len(len(draft.chain)) > room(path, floor)
    return Message(datagrams, draft if shrinks else None)


def shrunk(sa: IkeSa, message: Message, path: Path) -> Message | None:
    """The same message in more and smaller fragments, which the SA then goes on with; None when there are none."""
    if message.draft is None or sa.protector is None:
        return None
    floor = _floor(sa, path)
    least = len(message.datagrams) + 1  # the receiver tells the sets apart by their totals
    datagrams = cut(sa.protector, message.draft, room(path, floor), least)
    if len(datagrams) < least:
        return None
    sa.fragmenting.size = floor
    return Message(datagrams)


def probe(sa: IkeSa, flight: InFlight) -> bool:
    """Falls back to smaller fragments when a request was sent some times without answer; its timers start over."""
    if flight.sends < PROBE_SENDS:
        return False
    smaller = shrunk(sa, flight.message, sa.path)
    if smaller is None:
        return False
    flight.message, flight.sends = smaller, 0
    return True


def follow(sa: IkeSa, path: Path, largest: int) -> None:
    """The peer sends fragments of at most ``largest`` octets: it may know the path better (section 2.5.1)."""
    if largest:
        sa.fragmenting.size = min(_size(sa), max(_floor(sa, path), largest + _overhead(path)))


def room(path: Path, size: int) -> int:
    """Octets of IKE in an IP datagram of ``size`` octets on that path."""
    return size - _overhead(path)


def _overhead(path: Path) -> int:
    ip = IPV6_LEN if ":" in path.remote else IPV4_LEN
    return ip + UDP_LEN + (len(MARKER) if path.encapsulated else 0)


def _size(sa: IkeSa) -> int:
    allowed = sa.policies.fragment_size
    return min(allowed, sa.fragmenting.size or allowed)


def _floor(sa: IkeSa, path: Path) -> int:
    return min(_size(sa), IPV6_FLOOR if ":" in path.remote else IPV4_FLOOR)


def cut(protector: Protector, draft: Draft, room: int, least: int = 1) -> tuple[bytes, ...]:
    """One datagram where the message fits, else fragments, each sealed for itself, ``least`` where it is long enough.
    Never more fragments than a receiver like us takes: rather larger ones."""
    header, first, chain = draft.header, draft.first, draft.chain
    if protector.sealed_len(len(chain)) <= room:
        return (protector.seal_raw(header, first, chain),)
    step = min(protector.capacity(room), -(-len(chain) // least))
    step = max(step, -(-len(chain) // MAX_FRAGMENTS), SMALLEST_CHUNK)
    chunks = [chain[at : at + step] for at in range(0, len(chain), step)] or [chain]
    total = len(chunks)
    return tuple(
        protector.seal_fragment(header, first, chunk, number, total) for number, chunk in enumerate(chunks, start=1)
    )

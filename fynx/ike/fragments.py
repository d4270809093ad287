"""Fragments of messages that are still incomplete: what may be kept, how much of it, and for how long (RFC 7383
section 2.6).

Only what verified comes in here. Nothing of a fragment is looked at before its message is complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from fynx.errors import Drop, Dropped, FynxError
from fynx.wire.payload import FragmentPayload

MAX_FRAGMENTS = 64
MAX_MESSAGE = 65536
"""Octets of one message's content (RFC 7383 section 5)."""
MAX_SETS = 16
"""Incomplete messages of one SA: as many as the largest window takes, in both directions."""
PATIENCE_S = 30.0
"""How long a request may stay as it is without another of its fragments."""
RESPONSE_PATIENCE_S = 180.0
"""The same of a response. We asked for it, and it comes again only as often as we ask: ever more seldom."""
BUDGET = 16 * 1024 * 1024
"""Octets kept in a whole endpoint, together with what each set and fragment costs beside its content."""
SET_COST = 1024
FRAGMENT_COST = 64


class Incomplete(FynxError):
    """A fragment was kept; more are to come until ``deadline``."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        super().__init__("fragments are missing")


class SetKey(NamedTuple):
    """Whose message it is. Fragments of different exchange types never make one message."""

    serial: int
    response: bool
    message_id: int
    exchange: int


@dataclass(frozen=True, slots=True, repr=False)
class Fragment:
    """One fragment that verified: its numbers, its plaintext, and the datagram's octets as digest and length.
    ``critical`` as in ``Whole``."""

    skf: FragmentPayload
    chunk: bytes
    critical: int
    digest: bytes
    length: int


@dataclass(frozen=True, slots=True, repr=False)
class Whole:
    """A message that verified: first type and octets of its inner chain."""

    first: int
    chain: bytes
    digest: bytes
    """Of its datagram, or of that of fragment 1, by which a repetition is known (section 2.6.1)."""
    largest: int = 0
    """Octets of the longest of its datagrams; 0 when there was only one."""
    critical: int = 0
    """Type of an unknown critical payload that stood in clear, or 0."""


class _Set:
    """The fragments of one message, by number."""

    __slots__ = ("chunks", "critical", "deadline", "digest", "first", "largest", "missing", "octets")

    def __init__(self, total: int) -> None:
        self.chunks: list[bytes | None] = [None] * total
        self.missing, self.deadline = total, 0.0
        self.first = self.octets = self.largest = self.critical = 0
        self.digest = b""

    @property
    def total(self) -> int:
        return len(self.chunks)

    @property
    def cost(self) -> int:
        return SET_COST + self.octets + FRAGMENT_COST * (self.total - self.missing)

    def put(self, fragment: Fragment) -> None:
        number = fragment.skf.number
        self.chunks[number - 1] = fragment.chunk
        self.missing -= 1
        self.octets += len(fragment.chunk)
        self.largest = max(self.largest, fragment.length)
        # Payloads in clear are skipped, not kept; that one of them forbids the message is one number (section 2.5.3).
        self.critical = self.critical or fragment.critical
        if number == 1:
            self.first, self.digest = fragment.skf.first, fragment.digest

    def whole(self) -> Whole:
        chain = b"".join(chunk for chunk in self.chunks if chunk is not None)
        return Whole(self.first, chain, self.digest, self.largest if self.total > 1 else 0, self.critical)


class FragmentStore:
    """All incomplete messages of an endpoint. ``budget``: see ``BUDGET``."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._sets: dict[int, dict[SetKey, _Set]] = {}
        self._budget = budget
        self.used = 0

    def check(self, key: SetKey, skf: FragmentPayload) -> None:
        """Raises ``Dropped`` for a fragment that is useless whatever is in it; costs nothing and changes nothing."""
        if skf.total > MAX_FRAGMENTS:
            raise Dropped(Drop.TOO_LARGE, f"{skf.total} fragments")
        if not 1 <= skf.number <= skf.total:
            raise Dropped(Drop.FRAGMENT, f"fragment {skf.number} of {skf.total}")
        if skf.number > 1 and skf.first:
            raise Dropped(Drop.FRAGMENT, f"fragment {skf.number} names a next payload")
        held = self._sets.get(key.serial, {}).get(key)
        if held is None or skf.total > held.total:
            return
        if skf.total < held.total:
            raise Dropped(Drop.FRAGMENT, f"one of {skf.total} fragments where {held.total} are expected")
        if held.chunks[skf.number - 1] is not None:
            raise Dropped(Drop.FRAGMENT_REPEATED, f"fragment {skf.number} is here already")

    def keep(self, key: SetKey, fragment: Fragment, now: float) -> Whole:
        """Takes in a fragment that passed ``check`` and verified; returns the message that it completes.

        Raises ``Incomplete`` while others are missing, ``Dropped`` TOO_LARGE where a limit is reached.
        """
        total = fragment.skf.total
        if not fragment.chunk and total > 1:
            raise Dropped(Drop.FRAGMENT, "a fragment of nothing")
        held = self._sets.get(key.serial, {}).get(key)
        if held is None or held.total < total:
            held = self._begin(key, total)
        if held.octets + len(fragment.chunk) > MAX_MESSAGE:
            self._remove(key)
            raise Dropped(Drop.TOO_LARGE, f"fragments of more than {MAX_MESSAGE} octets")
        self._charge(key, held, fragment)
        held.put(fragment)
        held.deadline = now + (RESPONSE_PATIENCE_S if key.response else PATIENCE_S)
        if held.missing:
            raise Incomplete(self.deadline(key.serial) or now)
        self._remove(key)
        return held.whole()

    def passed(self, key: SetKey) -> None:
        """That message is here as a whole: fragments of it are of no use any more."""
        for other in [one for one in self._sets.get(key.serial, ()) if _superseded(one, key)]:
            self._remove(other)

    def deadline(self, serial: int) -> float | None:
        """When a set of that SA is to be thrown away next."""
        return min((held.deadline for held in self._sets.get(serial, {}).values()), default=None)

    def expire(self, serial: int, now: float) -> float | None:
        """Throws away the SA's sets that waited too long; returns the next deadline."""
        for key in [key for key, held in self._sets.get(serial, {}).items() if held.deadline <= now]:
            self._remove(key)
        return self.deadline(serial)

    def forget(self, serial: int) -> None:
        """The SA is gone."""
        for key in list(self._sets.get(serial, ())):
            self._remove(key)

    def _begin(self, key: SetKey, total: int) -> _Set:
        """A new set, in place of one with fewer fragments (section 2.6)."""
        self._remove(key)
        if len(self._sets.get(key.serial, ())) >= MAX_SETS:
            raise Dropped(Drop.TOO_LARGE, f"more than {MAX_SETS} incomplete messages")
        if self.used + SET_COST > self._budget:
            raise Dropped(Drop.TOO_LARGE, "the host's share of fragments")
        held = _Set(total)
        self._sets.setdefault(key.serial, {})[key] = held
        self.used += held.cost
        return held

    def _charge(self, key: SetKey, held: _Set, fragment: Fragment) -> None:
        cost = FRAGMENT_COST + len(fragment.chunk)
        if self.used + cost <= self._budget:
            self.used += cost
            return
        if held.missing == held.total:  # nothing in it yet: it would only take a place
            self._remove(key)
        raise Dropped(Drop.TOO_LARGE, "the host's share of fragments")

    def _remove(self, key: SetKey) -> None:
        sets = self._sets.get(key.serial, {})
        held = sets.pop(key, None)
        if held is not None:
            self.used -= held.cost
        if not sets:
            self._sets.pop(key.serial, None)


def _superseded(one: SetKey, by: SetKey) -> bool:
    return one.response is by.response and one.message_id == by.message_id

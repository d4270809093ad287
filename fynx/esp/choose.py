"""Which implementation serves an ESP suite: of the providers that have it and pass their self-test the fastest, or the
first where the order is the user's; else Python."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fynx.errors import CryptoError
from fynx.esp.adapter import AdaptedOps
from fynx.esp.ops import CALLS, OpsInfo, bench_loop, ops_info
from fynx.plugin.agreement import check_agreement, check_lengths
from fynx.plugin.crypto import IMPLICIT_IV, Algorithms, Provider
from fynx.plugin.dataplane import EspSuite
from fynx.plugin.selftest import check_ops, has_answers

log = logging.getLogger("fynx.esp")

PACKET, BATCH, PACKETS, ROUNDS = 1400, 64, 384, 3
"""A measurement seals this much, a millisecond or so with AES instructions; the best round counts."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Operations for a suite. ``keep`` holds alive what ``address`` points into."""

    address: int
    info: OpsInfo
    keep: object


class Chooser:
    """Remembers what it found; a provider that failed a self-test is not asked again for that suite."""

    def __init__(self, providers: Sequence[Provider], algorithms: Algorithms | None, *, measure: bool = False) -> None:
        self._providers, self._algorithms, self._measure = tuple(providers), algorithms, measure
        self._measured: dict[str, dict[str, int]] = {}
        self._chosen: dict[tuple[int, int, int], Chosen] = {}
        self._refused: dict[str, str] = {}

    @property
    def refused(self) -> Mapping[str, str]:
        """Provider and suite, and why it was passed over."""
        return dict(self._refused)

    @property
    def measured(self) -> Mapping[str, Mapping[str, int]]:
        """Nanoseconds for one packet of 1400 octets, by suite and provider, where the fastest was looked for."""
        return {suite: dict(found) for suite, found in self._measured.items()}

    @property
    def in_use(self) -> Sequence[OpsInfo]:
        return [each.info for each in self._chosen.values()]

    def choose(self, suite: EspSuite) -> Chosen:
        """Raises ``CryptoError`` when neither a provider nor a plugin has the suite."""
        wanted = (IMPLICIT_IV.get(suite.encr_id, suite.encr_id), suite.key_bits, suite.integ_id)
        if wanted not in self._chosen:
            self._chosen[wanted] = self._provided(wanted) or self._adapted(wanted)
        return self._chosen[wanted]

    def close(self) -> None:
        """Only after the plane is gone."""
        for chosen in self._chosen.values():
            if isinstance(chosen.keep, AdaptedOps):
                chosen.keep.close()
        self._chosen.clear()

    def _provided(self, wanted: tuple[int, int, int]) -> Chosen | None:
        able = self._able(wanted)
        if not self._measure:
            return next(able, None)
        candidates = list(able)
        if len(candidates) < 2:
            return candidates[0] if candidates else None
        times = {each.address: _nanoseconds(each.address) for each in candidates}
        self._measured[candidates[0].info.name] = {each.info.provider: times[each.address] for each in candidates}
        return min(candidates, key=lambda each: times[each.address])

    def _able(self, wanted: tuple[int, int, int]) -> Iterator[Chosen]:
        for provider in self._providers:
            address = provider.ops(*wanted)
            if not address:
                continue
            try:
                info = ops_info(address)
                self._trust(address, wanted)
            except CryptoError as error:
                self._refused[f"{provider.name} {wanted}"] = str(error)
                log.warning("provider %s is passed over: %s", provider.name, error)
                continue
            yield Chosen(address, info, provider)

    def _trust(self, address: int, wanted: tuple[int, int, int]) -> None:
        """Known answers; an algorithm that only a plugin knows is held against that plugin's own ``Cipher``."""
        cipher = self._algorithms.cipher(*wanted[:2]) if self._algorithms is not None else None
        if cipher is None or has_answers(*wanted):
            check_ops(address, *wanted, CALLS)
        else:
            check_agreement(address, cipher, CALLS)

    def _adapted(self, wanted: tuple[int, int, int]) -> Chosen:
        if self._algorithms is None:
            raise CryptoError("no provider of the C loop has encryption {}, {} bits, integrity {}".format(*wanted))
        cipher = self._algorithms.cipher(*wanted[:2])
        if cipher is not None:
            check_lengths(cipher)
        adapted = AdaptedOps(self._algorithms, *wanted)
        return Chosen(adapted.address, ops_info(adapted.address), adapted)


def _nanoseconds(address: int) -> int:
    return min(bench_loop(address, PACKET, BATCH, PACKETS) for _ in range(ROUNDS)) // PACKETS


__all__ = ["Chooser", "Chosen"]

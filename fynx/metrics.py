"""The 18 counters of a host and its histograms: moved by its events and by the data plane; snapshots are immutable."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from fynx.events import (
    ChildDown,
    ChildRefused,
    ChildRekeyed,
    ChildUp,
    Event,
    HandshakeFailed,
    HandshakeStarted,
    IkeDown,
    IkeRekeyed,
    IkeUp,
    PeerAlive,
    PeerDead,
    RekeyStarted,
)
from fynx.plugin.service import Histogram


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The counters at one moment. ``*_active`` are gauges, ``esp_bytes_*`` octets of inner packets."""

    ike_handshakes_total: int = 0
    """Handshakes that began, of either role."""
    ike_handshakes_completed: int = 0
    """Those that ended with an IKE SA."""
    ike_handshake_failures: int = 0
    """Those that did not: refused, or without an answer."""
    esp_packets_encrypted: int = 0
    """Packets sealed."""
    esp_bytes_encrypted: int = 0
    """Octets in them."""
    esp_packets_decrypted: int = 0
    """Packets opened and handed on."""
    esp_bytes_decrypted: int = 0
    """Octets in them."""
    esp_replay_detected: int = 0
    """Packets refused because they came twice, or too late for the window."""
    ike_sa_rekeyed: int = 0
    """IKE SAs replaced by a rekey, whoever began it."""
    child_sa_rekeyed: int = 0
    """Child SAs replaced by a rekey, whoever began it."""
    dpd_checks_total: int = 0
    """Liveness checks that ended, with an answer or without."""
    dpd_timeout: int = 0
    """Those without: the peer counts as dead."""
    ike_sa_active: int = 0
    """IKE SAs that stand now."""
    child_sa_active: int = 0
    """Child SAs that stand now."""
    ike_sa_deleted: int = 0
    """IKE SAs that are gone, for whatever reason."""
    child_sa_deleted: int = 0
    """Child SAs that are gone, for whatever reason."""
    proposal_negotiation_failed: int = 0
    """Handshakes and children refused because no proposal fits."""
    authentication_failed: int = 0
    """Handshakes refused because a proof of identity did not hold."""

    def as_dict(self) -> dict[str, int]:
        return asdict(self)

    @property
    def handshake_success_rate(self) -> float:
        """0.0 when there was none."""
        return _ratio(self.ike_handshakes_completed, self.ike_handshakes_total, 0.0)

    @property
    def avg_encrypted_packet_size(self) -> float:
        return _ratio(self.esp_bytes_encrypted, self.esp_packets_encrypted, 0.0)

    @property
    def avg_decrypted_packet_size(self) -> float:
        return _ratio(self.esp_bytes_decrypted, self.esp_packets_decrypted, 0.0)

    @property
    def dpd_success_rate(self) -> float:
        """1.0 when there was no check."""
        return _ratio(self.dpd_checks_total - self.dpd_timeout, self.dpd_checks_total, 1.0)


NAMES = tuple(each.name for each in fields(Snapshot))
GAUGES = frozenset({"ike_sa_active", "child_sa_active"})
PLANE = {
    "esp_packets_encrypted": "packets_out",
    "esp_bytes_encrypted": "bytes_out",
    "esp_packets_decrypted": "packets_in",
    "esp_bytes_decrypted": "bytes_in",
    "esp_replay_detected": "drop_replay",
}
"""Our name -> the data plane's counter."""


BOUNDS: Mapping[str, tuple[float, ...]] = {
    "handshake_duration_ms": (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000),
    "rekey_duration_ms": (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000),
}
"""Histogram -> upper bounds. ``rekey_duration_ms`` counts the rekeys that we began, of IKE SAs and Child SAs."""


class Metrics:
    """Counters that any thread may move and read. Share the object to share the counters."""

    def __init__(
        self, plane: Callable[[], Mapping[str, int]] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._observed = {name: [0] * (len(bounds) + 1) for name, bounds in BOUNDS.items()}
        self._sums = dict.fromkeys(BOUNDS, 0.0)
        self._rekeys: dict[tuple[str, str], float] = {}
        self._values = dict.fromkeys(NAMES, 0)
        self._plane = plane
        self._passed: Mapping[str, int] = {}

    def __repr__(self) -> str:
        return f"Metrics({self.snapshot()})"

    def snapshot(self) -> Snapshot:
        plane = self._read()
        with self._lock:
            counted = {
                name: value + max(0, plane.get(name, 0) - self._passed.get(name, 0))
                for name, value in self._values.items()
            }
        return Snapshot(**counted)

    def histograms(self) -> Mapping[str, Histogram]:
        with self._lock:
            return {
                name: Histogram(bounds, tuple(self._observed[name]), self._sums[name])
                for name, bounds in BOUNDS.items()
            }

    def observe(self, name: str, value: float) -> None:
        """Raises KeyError when no histogram is called ``name``."""
        place = bisect_left(BOUNDS[name], value)
        with self._lock:
            self._observed[name][place] += 1
            self._sums[name] += value

    def reset(self) -> None:
        """All to zero but the gauges, which tell what stands now."""
        passed = self._read()
        with self._lock:
            self._passed = passed
            for name in self._values.keys() - GAUGES:
                self._values[name] = 0
            for name, bounds in BOUNDS.items():
                self._observed[name], self._sums[name] = [0] * (len(bounds) + 1), 0.0

    def _read(self) -> dict[str, int]:
        counters = self._plane() if self._plane is not None else {}
        return {name: counters.get(theirs, 0) for name, theirs in PLANE.items()}

    def _add(self, name: str, count: int = 1) -> None:
        with self._lock:
            self._values[name] = max(0, self._values[name] + count)

    # Recorders.

    def record_handshake_started(self) -> None:
        self._add("ike_handshakes_total")

    def record_handshake_completed(self) -> None:
        self._add("ike_handshakes_completed")

    def record_handshake_failed(self) -> None:
        self._add("ike_handshake_failures")

    def record_esp_encrypted(self, octets: int) -> None:
        self._add("esp_packets_encrypted")
        self._add("esp_bytes_encrypted", octets)

    def record_esp_decrypted(self, octets: int) -> None:
        self._add("esp_packets_decrypted")
        self._add("esp_bytes_decrypted", octets)

    def record_replay_detected(self) -> None:
        self._add("esp_replay_detected")

    def record_ike_sa_created(self) -> None:
        self._add("ike_sa_active")

    def record_ike_sa_deleted(self) -> None:
        self._add("ike_sa_active", -1)
        self._add("ike_sa_deleted")

    def record_ike_sa_rekeyed(self) -> None:
        self._add("ike_sa_rekeyed")

    def record_child_sa_created(self) -> None:
        self._add("child_sa_active")

    def record_child_sa_deleted(self) -> None:
        self._add("child_sa_active", -1)
        self._add("child_sa_deleted")

    def record_child_sa_rekeyed(self) -> None:
        self._add("child_sa_rekeyed")

    def record_dpd_check(self, success: bool) -> None:
        self._add("dpd_checks_total")
        if not success:
            self._add("dpd_timeout")

    def record_proposal_negotiation_failed(self) -> None:
        self._add("proposal_negotiation_failed")

    def record_authentication_failed(self) -> None:
        self._add("authentication_failed")

    def happened(self, event: Event) -> None:
        """Moves the counters as an event of the protocol core says."""
        move = _MOVES.get(type(event))
        if move is not None:
            move(self, event)

    def _completed(self, event: IkeUp) -> None:
        self.record_handshake_completed()
        self.observe("handshake_duration_ms", event.duration_s * 1000)
        self.record_ike_sa_created()

    def _failed(self, event: HandshakeFailed) -> None:
        self.record_handshake_failed()
        self._refused(event.notify)

    def _renewing(self, event: RekeyStarted) -> None:
        self._rekeys[event.peer, event.child] = self._clock()

    def _child_renewed(self, event: ChildRekeyed) -> None:
        self.record_child_sa_rekeyed()
        self._rekeyed(event.peer, event.child, by_us=event.by_us)

    def _ike_renewed(self, event: IkeRekeyed) -> None:
        self.record_ike_sa_rekeyed()
        self._rekeyed(event.peer, "", by_us=event.by_us)

    def _rekeyed(self, peer: str, child: str, *, by_us: bool) -> None:
        began = self._rekeys.pop((peer, child), None)
        if by_us and began is not None:
            self.observe("rekey_duration_ms", (self._clock() - began) * 1000)

    def _refused(self, notify: str) -> None:
        if notify == "NO_PROPOSAL_CHOSEN":
            self.record_proposal_negotiation_failed()
        elif notify == "AUTHENTICATION_FAILED":
            self.record_authentication_failed()


def _ratio(part: int, whole: int, empty: float) -> float:
    return part / whole if whole else empty


_MOVES: Mapping[type[Event], Callable[[Metrics, Any], None]] = {
    HandshakeStarted: lambda metrics, _: metrics.record_handshake_started(),
    IkeUp: Metrics._completed,
    HandshakeFailed: Metrics._failed,
    ChildRefused: lambda metrics, event: metrics._refused(event.notify),
    IkeDown: lambda metrics, _: metrics.record_ike_sa_deleted(),
    ChildUp: lambda metrics, _: metrics.record_child_sa_created(),
    ChildDown: lambda metrics, _: metrics.record_child_sa_deleted(),
    RekeyStarted: Metrics._renewing,
    ChildRekeyed: Metrics._child_renewed,
    IkeRekeyed: Metrics._ike_renewed,
    PeerAlive: lambda metrics, _: metrics.record_dpd_check(True),
    PeerDead: lambda metrics, _: metrics.record_dpd_check(False),
}

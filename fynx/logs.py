"""The log events of Fynx as data: name, subsystem, level and fields of each, and the levels of the subsystems.

The engine calls them; a program may read them (``record.fynx``, ``record.fields``) or change a level at any time.
Each is a record of the logger ``fynx.events.SUBSYSTEM``. No field ever carries a key, a pre-shared key or payload data;
text of foreign origin is escaped and cut.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from logging import DEBUG, ERROR, INFO, WARNING
from time import time
from typing import Any, NamedTuple

from fynx.events import Event

TRACE = 5
ROOT = "fynx.events"
LEVELS: Mapping[str, int] = {"trace": TRACE, "debug": DEBUG, "info": INFO, "warning": WARNING, "error": ERROR}
LONGEST = 256


def clean(text: str) -> str:
    """Control characters, line and direction marks become escapes; the rest is cut at 256 (bad-inputs L5)."""
    if len(text) <= LONGEST and text.isprintable():
        return text
    plain = "".join(_escaped(each) for each in text)
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 1] + "…"


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


class Extra(NamedTuple):
    """What a record may carry beside its fields. ``bad``: the check failed, the choice found nothing."""

    bad: bool = False
    event: Event | None = None
    cause: BaseException | None = None


NOTHING = Extra()


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One kind of log record. Calling it writes one, if the subsystem's level lets it through."""

    name: str
    subsystem: str
    level: int
    fields: tuple[str, ...]
    bad_level: int = 0
    """The level of a record that is ``bad``, where it differs."""
    logger: logging.Logger = field(init=False, repr=False, compare=False)
    names: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "logger", logging.getLogger(f"{ROOT}.{self.subsystem}"))
        object.__setattr__(self, "names", frozenset(self.fields))

    def __call__(self, **values: object) -> None:
        self.write(values)

    def write(self, values: Mapping[str, object], text: str = "", *, more: Extra = NOTHING) -> None:
        """Raises TypeError when ``values`` are not the fields of this event."""
        if not self.enabled_when(bad=more.bad):
            return
        if values.keys() != self.names:
            raise TypeError(f"{self.name} has the fields {', '.join(self.fields)}")
        fields = {name: values[name] for name in self.fields}
        if not _all_plain(values):
            fields = {name: _plain(value) for name, value in fields.items()}
        words = text or " ".join([self.name, *(f"{name}={value}" for name, value in fields.items())])
        record = self._record(self.bad_level if more.bad and self.bad_level else self.level, words, more.cause)
        record.__dict__.update(fynx=self.name, fields=fields, event=more.event)
        self.logger.handle(record)

    def _record(self, level: int, words: str, cause: BaseException | None) -> logging.LogRecord:
        """Not by ``Logger.log``: it walks the stack for the place of the call, which is always this one."""
        if cause is None and not _own_makers():
            return _copied(self.logger.name, level, words)
        about = None if cause is None else (type(cause), cause, cause.__traceback__)
        return self.logger.makeRecord(self.logger.name, level, __file__, 0, words, (), about)

    @property
    def enabled(self) -> bool:
        """Whether a call would write anything: for callers whose fields cost something."""
        return self.logger.isEnabledFor(self.level)

    def enabled_when(self, *, bad: bool) -> bool:
        """The same of a record that is ``bad``, or is not."""
        return self.logger.isEnabledFor(self.bad_level if bad and self.bad_level else self.level)


def _own_makers() -> bool:
    """Whether somebody else makes the records, or they say which thread, process or task they come from."""
    if logging.logThreads or logging.logProcesses or logging.logMultiprocessing:
        return True
    return getattr(logging, "logAsyncioTasks", False) or logging.getLogRecordFactory() is not logging.LogRecord


def _copied(name: str, level: int, words: str) -> logging.LogRecord:
    """A record where nothing but the words and the time can differ: to make it anew costs as much as all the rest."""
    first, now, record = _first(name, level), time(), logging.LogRecord.__new__(logging.LogRecord)
    record.__dict__.update(first)
    record.msg, record.created, record.msecs = words, now, now % 1 * 1000
    record.relativeCreated += (now - first["created"]) * 1000
    return record


@lru_cache(256)
def _first(name: str, level: int) -> Mapping[str, Any]:
    return dict(logging.LogRecord(name, level, __file__, 0, "", (), None).__dict__)


def _all_plain(values: Mapping[str, object]) -> bool:
    """Whether nothing is to be done to any of them, as nearly always: looked at all together."""
    if not _PLAIN.issuperset(map(type, values.values())):
        return False
    text = "".join(map(str, values.values()))
    return len(text) <= LONGEST and text.isprintable()


def _plain(value: object) -> object:
    return clean(value) if type(value) is str else value if isinstance(value, _NUMBERS) else clean(str(value))


_NUMBERS = (bool, int, float, type(None))
_PLAIN = frozenset({str, *_NUMBERS})


SPIS = ("spi_i", "spi_r")

log_ike_state_transition = LogEvent("ike_state_transition", "state", INFO, (*SPIS, "state_from", "state_to"))
log_esp_packet = LogEvent("esp_packet", "esp", DEBUG, ("operation", "child_spi", "seq_num", "payload_len", "packets"))
log_handshake_start = LogEvent("handshake_start", "ike", INFO, ("peer", "role", "remote"))
log_handshake_complete = LogEvent("handshake_complete", "ike", INFO, ("peer", "duration_ms", *SPIS, "remote", "suite"))
log_handshake_failed = LogEvent("handshake_failed", "ike", ERROR, ("peer", "error", "remote", "notify", "remedy"))
log_ike_rekey_start = LogEvent("ike_rekey_start", "ike", INFO, ("peer", "old_spi"))
log_ike_rekey_complete = LogEvent(
    "ike_rekey_complete", "ike", INFO, ("peer", "old_spi_i", "old_spi_r", "new_spi_i", "new_spi_r", "by_us")
)
log_ike_sa_deleted = LogEvent("ike_sa_deleted", "ike", INFO, ("peer", *SPIS, "reason"))
log_child_sa_created = LogEvent(
    "child_sa_created", "child", INFO, ("peer", "child", "child_spi", "spi_out", "protocol")
)
log_child_rekey_start = LogEvent("child_rekey_start", "child", INFO, ("peer", "child", "old_child_spi"))
log_child_rekey_complete = LogEvent(
    "child_rekey_complete", "child", INFO, ("peer", "child", "old_child_spi", "new_child_spi", "by_us")
)
log_child_sa_deleted = LogEvent("child_sa_deleted", "child", INFO, ("peer", "child", "child_spi", "reason"))
log_child_refused = LogEvent("child_refused", "child", WARNING, ("peer", "child", "notify", "reason", "remedy"))
log_child_differs = LogEvent("child_differs", "child", WARNING, ("peer", "child", "notify", "reason"))
log_sequence_exhausted = LogEvent("sequence_exhausted", "esp", WARNING, ("peer", "child", "spi_out"))
log_dpd_check = LogEvent("dpd_check", "dpd", DEBUG, ("peer", "alive", "attempts"), WARNING)
log_crash_detected = LogEvent("crash_detected", "dpd", WARNING, ("peer", *SPIS))
log_proposal_negotiation = LogEvent(
    "proposal_negotiation", "ike", DEBUG, ("peer", "proposals_offered", "chosen_id", "suite"), WARNING
)
log_replay_detected = LogEvent("replay_detected", "esp", WARNING, ("peer", "child_spi", "seq_num", "count"))
log_esp_refused = LogEvent("esp_refused", "esp", WARNING, ("peer", "child_spi", "reason", "count"))
log_authentication_success = LogEvent("authentication_success", "auth", INFO, ("peer", "peer_id", "auth_method"))
log_authentication_failed = LogEvent("authentication_failed", "auth", ERROR, ("peer", "peer_id", "reason"))
log_error = LogEvent("error", "run", ERROR, ("context", "error"))
log_message_send = LogEvent("message_send", "net", TRACE, ("msg_type", "peer", "size_bytes"))
log_message_recv = LogEvent("message_recv", "net", TRACE, ("msg_type", "peer", "size_bytes"))
log_packet_refused = LogEvent("packet_refused", "net", DEBUG, ("reason", "remote", "detail"))
log_notify_received = LogEvent("notify_received", "ike", INFO, ("peer", "notify", "detail"))
log_retransmit = LogEvent("retransmit", "net", DEBUG, ("peer", "exchange", "message_id", "attempt"))
log_nat_detected = LogEvent("nat_detected", "net", INFO, ("peer", "local", "remote"))
log_path_changed = LogEvent("path_changed", "net", INFO, ("peer", "before", "after"))
log_address_assigned = LogEvent("address_assigned", "config", INFO, ("peer", "addresses", "dns"))
log_address_leased = LogEvent("address_leased", "config", INFO, ("identity", "pool", "addresses"))
log_address_refused = LogEvent("address_refused", "config", WARNING, ("identity", "pool", "reason"))
log_suppressed = LogEvent("suppressed", "run", WARNING, ("kind", "count"))
log_plugin_failed = LogEvent("plugin_failed", "run", ERROR, ("plugin", "hook", "error"))
log_event = LogEvent("event", "run", INFO, ("peer", "kind"))
"""Whatever has no kind of its own: the events of extensions."""

EVENTS: Mapping[str, LogEvent] = {each.name: each for each in tuple(globals().values()) if isinstance(each, LogEvent)}
SUBSYSTEMS = tuple(sorted({each.subsystem for each in EVENTS.values()}))


def set_levels(wanted: Mapping[str, str]) -> None:
    """Subsystem (or ``all``) to level, in order. Raises ValueError, which says what there is, and sets none then."""
    for subsystem, level in wanted.items():
        if level not in LEVELS:
            raise ValueError(f"no log level is called {clean(level)!r}; there are {', '.join(LEVELS)}")
        if subsystem not in (*SUBSYSTEMS, "all"):
            raise ValueError(f"no subsystem is called {clean(subsystem)!r}; there are all, {', '.join(SUBSYSTEMS)}")
    for subsystem, level in wanted.items():
        for each in SUBSYSTEMS if subsystem == "all" else (subsystem,):
            logging.getLogger(f"{ROOT}.{each}").setLevel(LEVELS[level])


def levels() -> dict[str, str]:
    """The level in force of every subsystem."""
    names = {number: name for name, number in LEVELS.items()}
    found = {each: logging.getLogger(f"{ROOT}.{each}").getEffectiveLevel() for each in SUBSYSTEMS}
    return {each: names.get(level, logging.getLevelName(level).lower()) for each, level in found.items()}

"""Log events by name (checklist 1.19): what the engine writes by itself, and that no secret is among it."""

from __future__ import annotations

import asyncio
import base64
import errno
import io
import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import pytest

from fynx import events, logs
from fynx.cli import patient
from fynx.cli.logs import Json, Text
from fynx.ike.effects import Rekey
from fynx.plugin import Secret
from fynx.plugin.dataplane import Usage
from fynx.run import journal
from fynx.run.gate import BURST, PER_SECOND, Gate
from tests.unit.run.pair import PATIENT, SECRET, packet, pair, plane, psk, run, soon

CHECKLIST = {
    "ike_state_transition": ("info", {"spi_i", "spi_r", "state_from", "state_to"}),
    "esp_packet": ("debug", {"operation", "child_spi", "seq_num", "payload_len"}),
    "handshake_start": ("info", {"peer", "role"}),
    "handshake_complete": ("info", {"peer", "duration_ms"}),
    "handshake_failed": ("error", {"peer", "error"}),
    "ike_rekey_start": ("info", {"old_spi"}),
    "ike_rekey_complete": ("info", {"old_spi_i", "new_spi_i", "new_spi_r"}),
    "child_sa_created": ("info", {"child_spi", "protocol"}),
    "child_rekey_start": ("info", {"old_child_spi"}),
    "child_rekey_complete": ("info", {"old_child_spi", "new_child_spi"}),
    "child_sa_deleted": ("info", {"child_spi", "reason"}),
    "dpd_check": ("debug", {"peer"}),
    "proposal_negotiation": ("debug", {"proposals_offered", "chosen_id"}),
    "replay_detected": ("warning", {"child_spi", "seq_num"}),
    "authentication_success": ("info", {"peer_id", "auth_method"}),
    "authentication_failed": ("error", {"peer_id", "reason"}),
    "error": ("error", {"context", "error"}),
    "message_send": ("trace", {"msg_type", "peer", "size_bytes"}),
    "message_recv": ("trace", {"msg_type", "peer", "size_bytes"}),
}


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__(0)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def named(self, name: str) -> list[dict[str, Any]]:
        return [record.__dict__["fields"] for record in self.records if record.__dict__.get("fynx") == name]


@pytest.fixture
def kept() -> Iterator[Kept]:
    """Everything at every level; the levels are as they were afterwards."""
    handler, root = Kept(), logging.getLogger("fynx")
    loggers = [root, *(logging.getLogger(f"{logs.ROOT}.{each}") for each in logs.SUBSYSTEMS)]
    before = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(1)
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)
    for each, level in zip(loggers, before, strict=True):
        each.setLevel(level)


def test_the_checklist_is_there_with_its_levels_and_fields() -> None:
    for name, (level, wanted) in CHECKLIST.items():
        log = getattr(logs, f"log_{name}")
        assert log.level == logs.LEVELS[level], name
        assert wanted <= set(log.fields), name
    assert len(logs.EVENTS) > 20


def test_a_record_with_other_fields_is_refused(kept: Kept) -> None:
    with pytest.raises(TypeError, match="has the fields context, error"):
        logs.log_error(context="here")
    assert kept.records == []


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``fynx run`` has it: records do not say which thread or process they are from."""
    for name in ("logThreads", "logProcesses", "logMultiprocessing", "logAsyncioTasks"):
        monkeypatch.setattr(logging, name, False, raising=False)


@pytest.mark.usefixtures("bare")
def test_a_copied_record_is_as_logging_makes_it(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    for when in (1000.25, 2000.5):
        monkeypatch.setattr(logs, "time", lambda when=when: when)
        logs.log_path_changed(peer="hq", before=str(when), after="3")
    words = "path_changed peer=hq before=2000.5 after=3"
    made = logging.getLogger("fynx.events.net").makeRecord(
        "fynx.events.net", logging.INFO, logs.__file__, 0, words, (), None
    )
    first, second = kept.records
    assert (second.created, second.msecs) == (2000.5, 500)
    assert second.relativeCreated - first.relativeCreated == pytest.approx(1_000_250)
    assert second.__dict__["fields"] == {"peer": "hq", "before": "2000.5", "after": "3"}
    own = {"created", "msecs", "relativeCreated"}
    assert {name: value for name, value in made.__dict__.items() if name not in own}.items() <= {
        name: value for name, value in second.__dict__.items() if name != "fields"
    }.items()


@pytest.mark.usefixtures("bare")
def test_whoever_makes_the_records_of_a_program_makes_ours(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    class Theirs(logging.LogRecord):
        pass

    logs.log_path_changed(peer="hq", before="1", after="2")
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(Theirs)
    logs.log_path_changed(peer="hq", before="1", after="2")
    logging.setLogRecordFactory(before)
    monkeypatch.setattr(logging, "logThreads", True)
    logs.log_path_changed(peer="hq", before="1", after="2")
    assert [type(record) for record in kept.records] == [logging.LogRecord, Theirs, logging.LogRecord]
    assert kept.records[-1].threadName == threading.current_thread().name
    assert kept.records[0].threadName is None


def test_the_life_of_a_tunnel_is_told_by_the_engine_itself(kept: Kept) -> None:
    async def test() -> None:
        async with pair(left={"liveness_s": 0.1, "retransmission": PATIENT}) as both:
            await both.left.up("right")
            sent: list[Any] = []
            both.network.passes = lambda datagram: sent.append(datagram) or True
            plane(both.left).send_inner([packet("left", number) for number in range(5)])
            for datagram in list(sent):
                both.network.carry(datagram)  # once more: replayed
            await asyncio.sleep(0.05)
            both.left.driver._notice_activity()
            both.right.driver._notice_activity()
            await soon(lambda: kept.named("dpd_check"))
            both.left.rekey("right", "net")
            await soon(lambda: kept.named("child_rekey_complete"))
            both.left.driver.command(Rekey("right"))
            await soon(lambda: kept.named("ike_rekey_complete"))
            await both.left.down("right")

    run(test)
    unheard = {name for name in CHECKLIST if not kept.named(name)}
    assert unheard == {"error", "handshake_failed", "authentication_failed"}
    assert {each["operation"] for each in kept.named("esp_packet")} == {"seal", "open"}
    assert kept.named("esp_packet")[0] | {"child_spi": ""} == {
        "operation": "seal",
        "child_spi": "",
        "seq_num": 5,
        "payload_len": 140,
        "packets": 5,
    }
    assert kept.named("replay_detected")[0]["count"] == 5
    assert kept.named("message_send")[0]["msg_type"] == "IKE_SA_INIT request"
    assert kept.named("proposal_negotiation")[0]["chosen_id"] == 1
    assert kept.named("authentication_success")[0]["auth_method"] == "psk"


def test_E3_E10_E11_refused_packets_are_told_once_a_look_with_reason_and_count(kept: Kept) -> None:
    names = {name: number for number, name in enumerate(("integrity", "selectors", "inner_source", "sequence"), 2)}
    child = SimpleNamespace(peer="right", spi_in=0x01020304, spi_out=0x05060708)
    before = Usage(drops=dict.fromkeys(names, 1))
    now = Usage(drops={name: 1 + number for name, number in names.items()} | {"padding": 9})
    journal.traffic(child, before, now)  # type: ignore[arg-type]
    journal.traffic(child, now, now)  # type: ignore[arg-type]
    told = {each["reason"]: each["count"] for each in kept.named("esp_refused")}
    assert told == names
    assert len(kept.named("esp_refused")) == len(names)
    assert {each["child_spi"] for each in kept.named("esp_refused")} == {"01020304"}


def test_a_wrong_secret_is_told_as_failed_authentication_with_the_identity(kept: Kept) -> None:
    from fynx.config import Local, Remote

    async def test() -> None:
        wrong = psk(b"another secret that is as long as the first")
        remote = Remote(address=("192.0.2.1",), id="left.test", auth=wrong)
        async with pair(right={"remote": remote, "local": Local(id="right.test", auth=wrong)}) as both:
            with pytest.raises(Exception, match="AUTHENTICATION_FAILED"):
                await both.left.up("right")
            await soon(lambda: len(kept.named("authentication_failed")) >= 2)

    run(test)
    assert "left.test" in {each["peer_id"] for each in kept.named("authentication_failed")}
    assert all(each["reason"] for each in kept.named("authentication_failed"))
    assert {record.levelname for record in kept.records if record.__dict__.get("fynx") == "handshake_failed"} == {
        "ERROR"
    }


def test_no_common_proposal_is_a_warning(kept: Kept) -> None:
    async def test() -> None:
        async with pair(
            left={"ike": ("aes128gcm16-prfsha256-x25519",)}, right={"ike": ("aes256gcm16-prfsha512-modp4096",)}
        ) as both:
            with pytest.raises(Exception, match="proposal"):
                await both.left.up("right")

    run(test)
    bad = [each for each in kept.records if each.__dict__.get("fynx") == "proposal_negotiation"]
    assert {each.levelname for each in bad} == {"WARNING"}
    assert bad[0].__dict__["fields"]["chosen_id"] is None


def test_a_failure_of_ours_is_told_with_its_traceback(kept: Kept) -> None:
    try:
        raise RuntimeError("boom")
    except RuntimeError as error:
        journal.failed("an effect failed", error)
    assert kept.named("error") == [{"context": "an effect failed", "error": "boom"}]
    assert "RuntimeError: boom" in Text().format(kept.records[0])


def every_event() -> Iterator[events.Event]:
    """One of each kind, with foreign text that would forge lines of a log."""
    values = {"str": "a\nb", "int": 1, "float": 0.5, "bool": True, "tuple[str, ...]": ("a\nb",)}
    for kind in vars(events).values():
        if isinstance(kind, type) and issubclass(kind, events.Event) and kind is not events.Event:
            yield kind(**{each.name: values[str(each.type)] for each in fields(kind)})


@pytest.mark.parametrize("event", [*every_event()], ids=lambda event: type(event).__name__)
def test_every_event_has_a_log_event_of_its_own(kept: Kept, event: events.Event) -> None:
    journal.tell(event, Gate())
    assert kept.records
    for record in kept.records:
        assert record.__dict__["fynx"] != "event"
        assert "\n" not in record.getMessage()
        assert "\n" not in "".join(str(each) for each in record.__dict__["fields"].values())
        told = json.loads(Json().format(record))
        assert told["log"] == record.__dict__["fynx"]
        assert told["fields"].keys() == set(logs.EVENTS[told["log"]].fields)


def test_levels_change_at_run_time_and_a_wrong_word_changes_none(kept: Kept) -> None:
    before = logs.levels()
    with pytest.raises(ValueError, match="no subsystem is called 'ikea'"):
        logs.set_levels({"ike": "error", "ikea": "debug"})
    with pytest.raises(ValueError, match="no log level is called 'loud'"):
        logs.set_levels({"ike": "loud"})
    assert logs.levels() == before
    logs.set_levels({"all": "error", "dpd": "trace"})
    assert set(logs.levels().values()) == {"error", "trace"}
    journal.tell(events.HandshakeStarted("hq", "initiator", "192.0.2.1"), Gate())
    journal.tell(events.PeerAlive("hq", "1", "2"), Gate())
    assert [record.__dict__["fynx"] for record in kept.records] == ["dpd_check"]


def test_no_secret_is_in_any_record_status_metric_or_repr(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row L6: the pre-shared key and every key that this tunnel derived."""
    made: list[bytes] = [SECRET]
    first = Secret.__init__

    def noted(self: Secret, octets: bytes) -> None:
        made.append(bytes(octets))
        first(self, octets)

    monkeypatch.setattr(Secret, "__init__", noted)
    shown: list[str] = []

    async def test() -> None:
        async with pair() as both:
            seen: list[events.Event] = []
            both.left.subscribe(seen.append)
            await both.left.up("right")
            for sa in both.left._sas("right"):
                assert sa.keys is not None
                made.extend(bytes(getattr(sa.keys, each)) for each in sa.keys.__slots__)
                shown.append(repr(sa) + repr(sa.keys) + repr(sa.children) + repr(sa.protector))
            both.left.rekey("right", "net")
            await soon(lambda: kept.named("child_rekey_complete"))
            shown.extend([json.dumps(both.left.status(), default=str), repr(both.left.metrics), repr(both.left.config)])
            shown.extend([repr(seen), repr(both.left.driver.children), json.dumps(dict(both.left.counters()))])
            await asyncio.sleep(0)

    run(test)
    text = "".join([*shown, *(Json().format(each) for each in kept.records)])
    secrets = {each for each in made if len(each) >= 16}
    assert len(secrets) > 6
    for each in secrets:
        for form in (each.hex(), base64.b64encode(each).decode(), repr(each)[2:-1]):
            assert form not in text


def test_d8_a_flood_of_events_is_told_at_a_limited_rate_and_the_rest_is_counted(kept: Kept) -> None:
    now = [0.0]
    gate, failed = Gate(lambda: now[0]), events.HandshakeFailed("", "192.0.2.1:500", "X", "flood", "")
    for _ in range(int(BURST) + 700):
        journal.tell(failed, gate)
    assert len(kept.named("handshake_failed")) == BURST
    journal.tell(events.NatDetected("hq", True, False), gate)
    assert len(kept.named("nat_detected")) == 1
    now[0] += 1 / PER_SECOND
    journal.tell(failed, gate)
    assert kept.named("suppressed") == [{"kind": "handshake_failed", "count": 700}]
    assert len(kept.named("handshake_failed")) == BURST + 1


def test_d8_a_reader_that_stands_still_does_not_hold_up_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patient, "ROOM", 3)
    stuck, written = threading.Event(), list[str]()

    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            stuck.wait(20)
            written.append(record.getMessage())

    handler = patient.Patient(Slow())
    for number in range(20):
        handler.handle(logging.LogRecord("fynx.run", logging.INFO, "", 0, str(number), (), None))
    assert written == []
    stuck.set()
    handler._queue.put(None)
    handler._thread.join(20)
    told = [line for line in written if "were dropped" in line]
    assert len(told) == 1
    assert len(written) - 1 + int(told[0].split()[0]) == 20


def test_records_that_come_together_are_written_together_and_none_is_left_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patient, "GATHER_S", 60.0)
    flushed, pieces = list[int](), list[str]()

    class Seen(io.StringIO):
        def write(self, text: str) -> int:
            pieces.append(text)
            return super().write(text)

        def flush(self) -> None:
            flushed.append(len(self.getvalue().split()))

    written = Seen()
    handler = patient.Patient(patient.Lines(written))
    for number in range(100):
        handler.handle(logging.LogRecord("fynx.run", logging.INFO, "", 0, str(number), (), None))
    handler.close()
    assert written.getvalue().split() == [str(number) for number in range(100)]
    assert flushed[-1] == 100
    assert len([piece for piece in pieces if piece]) <= 3


@pytest.mark.parametrize("refusal", [OSError(errno.ENOSPC, "no space"), ValueError("closed")], ids=["full", "closed"])
def test_d8_a_log_that_cannot_be_written_for_once_is_written_afterwards(refusal: Exception) -> None:
    refused = threading.Event()

    class Disk(io.StringIO):
        def flush(self) -> None:
            if not refused.is_set():
                refused.set()
                raise refusal

    written = Disk()
    handler = patient.Patient(patient.Lines(written))
    for text in ("while it is full", "afterwards"):
        handler.handle(logging.LogRecord("fynx.run", logging.INFO, "", 0, text, (), None))
        assert refused.wait(20)
    handler.close()
    assert written.getvalue().splitlines()[-1] == "afterwards"

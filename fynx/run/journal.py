"""Events of the protocol core, and what passes the driver, become log records (``fynx.logs``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from fynx import events, logs
from fynx.logs import Extra, LogEvent
from fynx.plugin.dataplane import Usage
from fynx.run.gate import Gate
from fynx.run.standing import Standing
from fynx.run.words import describe
from fynx.wire.iana import ExchangeType, name_of

IKE_HEADER_LEN = 28
REPLAY = "replay"
"""The data plane's counter of packets that were seen before."""
AUDITED = ("integrity", "selectors", "inner_source", "sequence")
"""Other drops that an administrator has to be told of (RFC 4303 sections 3.3.3 and 3.4.4, RFC 4301 section 5.2)."""
EXCHANGE_AT, FLAGS_AT, RESPONSE = 18, 19, 0x20


def tell(event: events.Event, gate: Gate) -> None:
    """One record, two for an authentication or a negotiation that failed; none where ``gate`` holds it back."""
    log, values = _KINDS.get(type(event), _OTHER)
    bad = log is logs.log_dpd_check and isinstance(event, events.PeerDead)
    if log is logs.log_child_rekey_start and isinstance(event, events.RekeyStarted) and not event.child:
        log, values = _RENEWED
    if not log.enabled_when(bad=bad) or not gate.passes(log.name):
        return
    held = gate.held(log.name)
    if held:
        logs.log_suppressed(kind=log.name, count=held)
    log.write(values(event), describe(event), more=Extra(bad, event))
    if log is logs.log_handshake_failed and isinstance(event, events.HandshakeFailed):
        _refused(event)


def failed(context: str, error: BaseException) -> None:
    """Something of ours went wrong and the program goes on; the record carries the traceback of ``error``."""
    text = f"{context}: {type(error).__name__}"
    logs.log_error.write({"context": context, "error": str(error)}, text, more=Extra(cause=error))


def _refused(event: events.HandshakeFailed) -> None:
    if event.notify == "AUTHENTICATION_FAILED":
        logs.log_authentication_failed(peer=event.peer, peer_id=event.remote_id, reason=event.reason)
    elif event.notify == "NO_PROPOSAL_CHOSEN":
        facts = {"peer": event.peer, "proposals_offered": None, "chosen_id": None, "suite": ""}
        logs.log_proposal_negotiation.write(facts, more=Extra(bad=True))


def message(log: LogEvent, path: object, data: bytes) -> None:
    """An IKE message that comes or goes: its header alone, never its body."""
    if not log.enabled:
        return
    kind = "short"
    if len(data) >= IKE_HEADER_LEN:
        kind = name_of(ExchangeType, data[EXCHANGE_AT]) + (" response" if data[FLAGS_AT] & RESPONSE else " request")
    log(msg_type=kind, peer=str(path), size_bytes=len(data))


def traffic(child: Standing, before: Usage, now: Usage) -> None:
    """What one Child SA carried since the last look: no record per packet, one per direction and look at most."""
    replayed = now.drops.get(REPLAY, 0) - before.drops.get(REPLAY, 0)
    if replayed > 0:
        logs.log_replay_detected(
            peer=child.peer, child_spi=f"{child.spi_in:08x}", seq_num=now.sequence_in, count=replayed
        )
    for reason in AUDITED:
        refused = now.drops.get(reason, 0) - before.drops.get(reason, 0)
        if refused > 0:
            spi = f"{child.spi_in:08x}"
            logs.log_esp_refused(peer=child.peer, child_spi=spi, reason=reason, count=refused)
    if not logs.log_esp_packet.enabled:
        return
    _passed("open", child.spi_in, now.sequence_in, (now.packets_in - before.packets_in, now.bytes_in - before.bytes_in))
    sent = now.packets_out - before.packets_out, now.bytes_out - before.bytes_out
    _passed("seal", child.spi_out, now.sequence_out, sent)


def _passed(operation: str, spi: int, sequence: int, carried: tuple[int, int]) -> None:
    packets, octets = carried
    if packets > 0:
        spi_text = f"{spi:08x}"
        logs.log_esp_packet(
            operation=operation, child_spi=spi_text, seq_num=sequence, payload_len=octets, packets=packets
        )


def _fields(*names: str, **renamed: str) -> Callable[[Any], dict[str, object]]:
    """Fields of the event by their own names, others under another name."""
    pairs = {**{name: name for name in names}, **renamed}
    read = attrgetter(*pairs.values())
    return lambda event: dict(zip(pairs, read(event), strict=True))


def _complete(event: events.IkeUp) -> dict[str, object]:
    facts = {name: getattr(event, name) for name in ("peer", "spi_i", "spi_r", "remote", "suite")}
    return {**facts, "duration_ms": round(event.duration_s * 1000, 3)}


def _alive(event: events.PeerAlive | events.PeerDead) -> dict[str, object]:
    attempts = event.attempts if isinstance(event, events.PeerDead) else 1
    return {"peer": event.peer, "alive": isinstance(event, events.PeerAlive), "attempts": attempts}


_SPIS = ("spi_i", "spi_r")
_RENEWED = (logs.log_ike_rekey_start, _fields("peer", old_spi="spi"))
_OTHER: tuple[LogEvent, Callable[[Any], dict[str, object]]] = (
    logs.log_event,
    lambda other: {"peer": other.peer, "kind": type(other).__name__},
)
_KINDS: Mapping[type[events.Event], tuple[LogEvent, Callable[[Any], dict[str, object]]]] = {
    events.IkeStateChanged: (
        logs.log_ike_state_transition,
        _fields(*_SPIS, state_from="before", state_to="after"),
    ),
    events.HandshakeStarted: (logs.log_handshake_start, _fields("peer", "role", "remote")),
    events.IkeUp: (logs.log_handshake_complete, _complete),
    events.HandshakeFailed: (
        logs.log_handshake_failed,
        _fields("peer", "remote", "notify", "remedy", error="reason"),
    ),
    events.IkeDown: (logs.log_ike_sa_deleted, _fields("peer", *_SPIS, "reason")),
    events.ChildUp: (
        logs.log_child_sa_created,
        _fields("peer", "child", "spi_out", child_spi="spi_in", protocol="esp"),
    ),
    events.ChildDown: (logs.log_child_sa_deleted, _fields("peer", "child", "reason", child_spi="spi_in")),
    events.RekeyStarted: (logs.log_child_rekey_start, _fields("peer", "child", old_child_spi="spi")),
    events.ChildRekeyed: (
        logs.log_child_rekey_complete,
        _fields("peer", "child", "by_us", old_child_spi="old_spi_in", new_child_spi="spi_in"),
    ),
    events.IkeRekeyed: (
        logs.log_ike_rekey_complete,
        _fields("peer", "old_spi_i", "old_spi_r", "by_us", new_spi_i="spi_i", new_spi_r="spi_r"),
    ),
    events.ChildRefused: (logs.log_child_refused, _fields("peer", "child", "notify", "reason", "remedy")),
    events.ChildDiffers: (logs.log_child_differs, _fields("peer", "child", "notify", "reason")),
    events.ProposalChosen: (
        logs.log_proposal_negotiation,
        _fields("peer", "suite", proposals_offered="offered", chosen_id="number"),
    ),
    events.Authenticated: (
        logs.log_authentication_success,
        _fields("peer", peer_id="remote_id", auth_method="method"),
    ),
    events.PeerAlive: (logs.log_dpd_check, _alive),
    events.PeerDead: (logs.log_dpd_check, _alive),
    events.CrashDetected: (logs.log_crash_detected, _fields("peer", *_SPIS)),
    events.PacketRefused: (logs.log_packet_refused, _fields("reason", "remote", "detail")),
    events.NotifyReceived: (logs.log_notify_received, _fields("peer", "notify", "detail")),
    events.Retransmitted: (logs.log_retransmit, _fields("peer", "exchange", "message_id", "attempt")),
    events.NatDetected: (logs.log_nat_detected, _fields("peer", "local", "remote")),
    events.PathChanged: (logs.log_path_changed, _fields("peer", "before", "after")),
    events.SequenceExhausted: (logs.log_sequence_exhausted, _fields("peer", "child", "spi_out")),
    events.AddressAssigned: (logs.log_address_assigned, _fields("peer", "addresses", "dns")),
    events.AddressLeased: (logs.log_address_leased, _fields("identity", "pool", "addresses")),
    events.AddressRefused: (logs.log_address_refused, _fields("identity", "pool", "reason")),
    events.PluginFailed: (logs.log_plugin_failed, _fields("plugin", "hook", "error")),
}

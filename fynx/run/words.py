"""Events in plain words, one line each, for people who watch a tunnel come up. Foreign text is escaped and cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fynx import events
from fynx.logs import clean
from fynx.run.failures import refused


def describe(event: events.Event) -> str:
    """One line without control characters, or "" for what only machines want to know."""
    say = _WORDS.get(type(event))
    if say is None:
        return ""
    peer = f"{clean(event.peer)}: " if event.peer else ""
    if not isinstance(event, events.HandshakeFailed | events.ChildRefused):
        return f"{peer}{clean(say(event))}"
    error = refused(event)
    return f"{peer}{clean(say(event))} ({error.label}); try: {clean(error.remedy)}"


def _ike_up(event: events.IkeUp) -> str:
    took = f"{event.duration_s * 1000:.0f} ms"
    return f"IKE up with {event.remote_id} at {event.remote}, {event.suite}, {took}"


def _failed(event: events.HandshakeFailed) -> str:
    where = f"with {event.remote} " if event.remote else ""
    notify = f" [{event.notify}]" if event.notify and event.notify not in event.reason else ""
    return f"handshake {where}failed: {event.reason}{notify}"


def _child_up(event: events.ChildUp) -> str:
    spis = f"SPIs {event.spi_in} in, {event.spi_out} out"
    return f"child {event.child} up: {event.local} <-> {event.remote}, {event.esp}, {spis}"


def _child_refused(event: events.ChildRefused) -> str:
    notify = f" [{event.notify}]" if event.notify and event.notify not in event.reason else ""
    return f"child {event.child or '?'} refused: {event.reason}{notify}"


def _child_rekeyed(event: events.ChildRekeyed) -> str:
    return f"child {event.child} rekeyed by {_who(event)}: SPIs {event.spi_in} in, {event.spi_out} out"


def _who(event: events.ChildRekeyed | events.IkeRekeyed) -> str:
    return "us" if event.by_us else "the peer"


def _retransmitted(event: events.Retransmitted) -> str:
    return f"no answer yet to {event.exchange} {event.message_id}, sent {event.attempt} times"


def _nat(event: events.NatDetected) -> str:
    sides = [name for name, found in (("us", event.local), ("the peer", event.remote)) if found]
    return f"NAT (or forced UDP encapsulation) in front of {' and '.join(sides)}"


def _assigned(event: events.AddressAssigned) -> str:
    parts = [f"our address is {' and '.join(event.addresses)}" if event.addresses else "no address for us"]
    parts += [f"DNS {' '.join(event.dns)}"] if event.dns else []
    parts += [f"for {' '.join(event.domains)}"] if event.domains else []
    parts += [f"networks {' '.join(event.subnets)}"] if event.subnets else []
    parts += [f"version {event.version}"] if event.version else []
    return ", ".join(parts)


def _leased(event: events.AddressLeased) -> str:
    return f"{' and '.join(event.addresses)} of pool {event.pool} leased to {event.identity}"


_WORDS: dict[type[events.Event], Callable[[Any], str]] = {
    events.HandshakeStarted: lambda event: f"handshake with {event.remote} begins, we are the {event.role}",
    events.HandshakeFailed: _failed,
    events.Authenticated: lambda event: f"{event.remote_id} proved its identity by {event.method}",
    events.RekeyStarted: lambda event: f"{f'child {event.child}' if event.child else 'the IKE SA'} is being rekeyed",
    events.IkeUp: _ike_up,
    events.IkeDown: lambda event: f"IKE down: {event.reason}",
    events.ChildUp: _child_up,
    events.ChildDown: lambda event: f"child {event.child} down: {event.reason}",
    events.ChildRekeyed: _child_rekeyed,
    events.IkeRekeyed: lambda event: f"IKE SA rekeyed by {_who(event)}",
    events.ChildRefused: _child_refused,
    events.Retransmitted: _retransmitted,
    events.PeerDead: lambda event: f"the peer did not answer {event.attempts} times: taken for dead",
    events.CrashDetected: lambda _: "the peer proved that it lost the IKE SA (RFC 6290)",
    events.NatDetected: _nat,
    events.PathChanged: lambda event: f"the peer moved from {event.before} to {event.after}",
    events.ChildDiffers: lambda event: f"child {event.child}: {event.reason} ({event.notify})",
    events.NotifyReceived: lambda event: f"the peer says {event.notify}",
    events.SequenceExhausted: lambda event: f"child {event.child} has used up its sequence numbers and stopped",
    events.AddressAssigned: _assigned,
    events.AddressLeased: _leased,
    events.AddressRefused: lambda event: f"no address for {event.identity}: {event.reason}",
    events.PluginFailed: lambda event: f"plugin {event.plugin} failed in {event.hook}: {event.error}",
}

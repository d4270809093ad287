"""What users and the data plane ask for: bring up, take down, check (RFC 7296 sections 1.2 to 1.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fynx.errors import StateError
from fynx.ike import lifetimes
from fynx.ike.child import ChildSa
from fynx.ike.conversation import INIT
from fynx.ike.effects import (
    CheckLiveness,
    Command,
    Initiate,
    InitiateChild,
    Packet,
    Rekey,
    StartExchange,
    Terminate,
    TerminateChild,
)
from fynx.ike.sa import IkeSa
from fynx.ike.selectors import subset
from fynx.ike.states import IkeState
from fynx.wire.iana import ExchangeType

if TYPE_CHECKING:
    from fynx.ike.endpoint import Endpoint
    from fynx.ike.policy import PeerPolicy


def perform(endpoint: Endpoint, command: Command) -> None:
    match command:
        case Initiate():
            _initiate(endpoint, command)
        case InitiateChild():
            _initiate_child(endpoint, command)
        case Rekey():
            _rekey(endpoint, command)
        case Terminate():
            _terminate(endpoint, command)
        case TerminateChild():
            _terminate_child(endpoint, command)
        case CheckLiveness():
            sa = _established(endpoint, command.peer, command.spi_i)
            if not any("liveness" in options for _, options in sa.queue):
                sa.start(ExchangeType.INFORMATIONAL, liveness=True)
                endpoint.pump(sa)
        case StartExchange():
            sa = _established(endpoint, command.peer)
            if command.exchange not in endpoint.catalogue.exchanges:
                raise StateError(f"no extension registers exchange type {command.exchange}")
            sa.start(command.exchange, **command.options)
            endpoint.pump(sa)


def _initiate(endpoint: Endpoint, command: Initiate) -> None:
    policy = _policy(endpoint, command.peer)
    names = command.children or tuple(child.name for child in policy.children if child.start == "initiate")
    if not names and not policy.childless:
        names = tuple(child.name for child in policy.children[:1])
    for name in names:
        _check_child(policy, name)
    coming = _coming_up(endpoint, command.peer)
    if coming is not None:
        coming.wanted = tuple(dict.fromkeys((*coming.wanted, *names)))
        coming.packets.update(command.packets)
        return
    established = [sa for sa in endpoint.by_peer.get(command.peer, ()) if sa.established]
    if established:
        for name in names:
            _add_child(endpoint, established[-1], name, command.packets.get(name))
        return
    sa = endpoint.new_initiator(policy, command.path, names)
    sa.packets.update(command.packets)
    sa.start(INIT)
    endpoint.pump(sa)


def _initiate_child(endpoint: Endpoint, command: InitiateChild) -> None:
    sa = _established(endpoint, command.peer)
    _check_child(_policy(endpoint, command.peer), command.child)
    _add_child(endpoint, sa, command.child, command.packet)


def _add_child(endpoint: Endpoint, sa: IkeSa, name: str, packet: Packet | None) -> None:
    standing = [child for child in sa.children.named(name) if child.current]
    if sa.asks(name) or (standing and not _another(standing, packet)):
        return
    if packet is not None:
        sa.packets[name] = packet
    options = {"child": name, "remake": True} if standing else {"child": name}
    sa.start(ExchangeType.CREATE_CHILD_SA, **options)
    endpoint.pump(sa)


def _another(standing: list[ChildSa], packet: Packet | None) -> bool:
    """Whether the peer, who narrowed what stands, may take this packet in one more Child SA (RFC 7296 section 2.9)."""
    if packet is None or not any(child.more for child in standing):
        return False
    return not any(subset(packet[:1], one.local_ts) and subset(packet[1:], one.remote_ts) for one in standing)


def _rekey(endpoint: Endpoint, command: Rekey) -> None:
    sa = _established(endpoint, command.peer, command.spi_i)
    if not command.child:
        lifetimes.rekey_ike(endpoint, sa)
        return
    first = sa.child_of(command.child)
    if first is None:
        raise StateError(f"peer {command.peer!r} has no child {command.child!r} up")
    alike = [one for one in sa.children.values() if one.current and one.group is first.group is not None]
    for child in alike or [first]:
        lifetimes.rekey_child(endpoint, sa, child)


def _terminate(endpoint: Endpoint, command: Terminate) -> None:
    if command.peer:
        _policy(endpoint, command.peer)
    for sa in list(endpoint.sas.values()):
        if command.peer not in ("", sa.peer) or command.spi_i not in ("", sa.spi_i.hex()):
            continue
        if not sa.established:
            if sa.state is not IkeState.DELETING:
                endpoint.drop(sa, "stopped")
            continue
        sa.queue.clear()
        sa.start(ExchangeType.INFORMATIONAL, delete="deleted by us")
        endpoint.pump(sa)


def _terminate_child(endpoint: Endpoint, command: TerminateChild) -> None:
    sa = _established(endpoint, command.peer)
    found = [child for child in sa.children.values() if child.name == command.child and child.current]
    if not found:
        raise StateError(f"peer {command.peer!r} has no child {command.child!r} up")
    for child in found:
        sa.start(ExchangeType.INFORMATIONAL, delete_child=child.handle, name=child.name)
    endpoint.pump(sa)


def _coming_up(endpoint: Endpoint, peer: str) -> IkeSa | None:
    return next(
        (
            sa
            for sa in endpoint.sas.values()
            if sa.initiator and sa.peer == peer and not sa.established and sa.state is not IkeState.DELETING
        ),
        None,
    )


def _established(endpoint: Endpoint, peer: str, spi_i: str = "") -> IkeSa:
    _policy(endpoint, peer)
    standing = (sa for sa in endpoint.by_peer.get(peer, ()) if sa.established)
    found = [sa for sa in standing if spi_i in ("", sa.spi_i.hex())]
    if not found:
        raise StateError(f"peer {peer!r} is not up", f"fynx up {peer}")
    return found[-1]


def _policy(endpoint: Endpoint, peer: str) -> PeerPolicy:
    policy = endpoint.peers.by_name.get(peer)
    if policy is None:
        raise StateError(f"no peer is called {peer!r}; configured: {', '.join(endpoint.peers.by_name) or 'none'}")
    return policy


def _check_child(policy: PeerPolicy, name: str) -> None:
    if name not in policy.named:
        names = ", ".join(child.name for child in policy.children)
        raise StateError(f"peer {policy.name!r} has no child called {name!r}; configured: {names}")

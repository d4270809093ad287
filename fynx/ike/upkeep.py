"""What keeps an IKE SA going between its exchanges, and what ends it (RFC 7296 sections 2.3, 2.4, 2.21, 2.23)."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from fynx.errors import FynxError
from fynx.events import (
    ChildRefused,
    HandshakeFailed,
    IkeDown,
    NatDetected,
    PathChanged,
    PeerDead,
    Retransmitted,
)
from fynx.ike import crash, hints, lifetimes, reauth, reconfigure, recovery, resources, standby, twins, virtual
from fynx.ike.conversation import AUTH, outer_payloads
from fynx.ike.effects import Keepalive, LogKeys, Move
from fynx.ike.fitting import probe, send
from fynx.ike.fragments import Incomplete
from fynx.ike.listed import Listed
from fynx.ike.natd import NatStatus
from fynx.ike.sa import Failure, IkeSa
from fynx.ike.states import IkeEvent, IkeState
from fynx.ike.tasks.delete import remove_child
from fynx.ike.tasks.install import esp_path, in_udp
from fynx.ike.timers import Timer
from fynx.plugin.keylog import IkeKeyRecord
from fynx.plugin.transport import Path
from fynx.wire.header import Header
from fynx.wire.iana import ExchangeType, NotifyType, name_of
from fynx.wire.payload import NotifyPayload

if TYPE_CHECKING:
    from fynx.ike.endpoint import Endpoint

HINTED_PATIENCE_S = 10.0
"""How long to wait for a better answer after an error in clear, which may be forged (section 2.21.1)."""


def settle(endpoint: Endpoint, sa: IkeSa) -> None:
    """After an exchange: what comes next, or the end."""
    if sa.serial not in endpoint.sas:
        return
    if sa.closing:
        endpoint.drop(sa, sa.closing, confirmed=True)
        return
    if sa.state is IkeState.INIT_DONE and sa.initiator:
        _log_keys(sa)
        if twins.overtaken(endpoint, sa):
            return
        if not sa.wanted and "childless" not in sa.notes:
            why = "the peer cannot have an IKE SA without a Child SA (RFC 6023)"
            sa.failure = Failure("", why, "let a child start with the peer: `start: initiate`")
            endpoint.drop(sa, why)
            return
        sa.queue.appendleft((AUTH, {"child": sa.wanted[0] if sa.wanted else ""}))
    elif sa.state is IkeState.INIT_DONE:
        _log_keys(sa)
    fresh = sa.established and sa.heir_of is None and sa.successor is None
    if fresh and sa not in endpoint.by_peer.get(sa.peer, ()):
        _established(endpoint, sa)
        twins.settle(endpoint, sa)
    for handle, child in reversed(sa.children.items()):
        if endpoint.handles.get(handle) is sa:
            break  # those made before it are known, too
        if handle not in endpoint.handles:
            lifetimes.watch_child(endpoint, sa, child)
            recovery.watch(endpoint, sa, child)
        endpoint.handles[handle] = sa
    lifetimes.follow_up(endpoint, sa)
    lifetimes.message_ids(endpoint, sa)
    resources.follow_up(endpoint, sa)
    reauth.follow_up(endpoint, sa)  # after what it waits for is asked for
    recovery.follow_hint(endpoint, sa)
    reconfigure.refresh(endpoint, sa)
    for sibling in endpoint.siblings(sa) if sa.established else ():
        endpoint.pump(sibling)
    endpoint.pump(sa)


def _established(endpoint: Endpoint, sa: IkeSa) -> None:
    """IKE_AUTH is through."""
    if sa.initiator:
        endpoint.timers.set((Timer.HALF_OPEN, sa.serial), endpoint.now + endpoint.policy.half_open_s)
        for name in sa.wanted[1:]:
            sa.start(ExchangeType.CREATE_CHILD_SA, child=name)
    else:
        endpoint.admission.closed(_source(sa))
    stands(endpoint, sa)
    lifetimes.watch_ike(endpoint, sa)
    reauth.watch(endpoint, sa)


def stands(endpoint: Endpoint, sa: IkeSa) -> None:
    """An IKE SA is established, by IKE_AUTH or by a rekey: it is kept alive from now on."""
    endpoint.by_peer.setdefault(sa.peer, Listed()).add(sa)
    sa.heard_at = endpoint.now
    if sa.policy.liveness_s:
        endpoint.timers.set((Timer.LIVENESS, sa.serial), endpoint.now + sa.policy.liveness_s)
    if sa.nat is not None and sa.nat.local and sa.policy.keepalive_s > 0:
        endpoint.timers.set((Timer.KEEPALIVE, sa.serial), endpoint.now + sa.policy.keepalive_s)


def _source(sa: IkeSa) -> str:
    assert sa.init.half_open is not None
    return sa.init.half_open.remote


def buried(endpoint: Endpoint, sa: IkeSa, reason: str, *, confirmed: bool) -> None:
    """Takes every trace of the SA out of the endpoint, once."""
    if endpoint.sas.pop(sa.serial, None) is None:
        return
    was_up = sa.established_at is not None
    for child in list(sa.children.values()):
        endpoint.handles.pop(child.handle, None)
        linger = confirmed and standby.outlived(sa, child)
        remove_child(sa, child, reason, confirmed=confirmed, linger=linger)
    for spi in list(sa.reserved):
        sa.release(spi)
    endpoint.epitaphs.keep(endpoint.now, sa)
    virtual.let_go(sa)
    endpoint.timers.cancel_all(sa.serial)
    reauth.failed(endpoint, sa)
    endpoint.conversation.fragments.forget(sa.serial)
    key = sa.init.half_open
    if key is not None:
        endpoint.half_open.pop(key, None)
    listed = endpoint.by_peer.get(sa.peer)
    if listed is not None and sa in listed:
        listed.remove(sa)
    elif key is not None:
        endpoint.admission.closed(_source(sa))
    if sa.failure is not None and sa.failure.notify == "AUTHENTICATION_FAILED" and not sa.initiator:
        endpoint.admission.failed(endpoint.now, sa.path.remote)
    sa.advance(IkeEvent.GONE)
    _tell(endpoint, sa, reason, was_up=was_up)
    sa.wipe()


def _tell(endpoint: Endpoint, sa: IkeSa, reason: str, *, was_up: bool) -> None:
    if sa.successor is not None:
        return
    if was_up:
        endpoint.emit(IkeDown(sa.peer, sa.spi_i.hex(), sa.spi_r.hex(), reason, sa.cause))
        return
    failure = sa.failure or Failure("", reason)
    endpoint.emit(
        HandshakeFailed(sa.peer, str(sa.path), failure.notify, failure.reason, failure.remedy, str(sa.remote_id or ""))
    )


# Requests under way.


def arm(endpoint: Endpoint, sa: IkeSa) -> None:
    """Keeps the retransmission timer at the request that is due first; those that just went out get their time
    (section 2.4)."""
    flights = sa.window.flights.values() if sa.serial in endpoint.sas else ()
    if not flights:
        endpoint.timers.cancel((Timer.RETRANSMIT, sa.serial))
        endpoint.timers.cancel((Timer.HINTED, sa.serial))
        return
    policy = sa.policy.retransmission
    first = inf
    for flight in flights:
        if flight.due is None:
            spread = int.from_bytes(endpoint.random(2), "big") / 65535 * 2 - 1
            wait = policy.base_s * policy.factor ** (flight.sends - 1) * (1 + spread * policy.jitter)
            flight.due = endpoint.now + wait
        first = min(first, flight.due)
    endpoint.timers.set((Timer.RETRANSMIT, sa.serial), first)


def after_refusal(endpoint: Endpoint, sa: IkeSa) -> None:
    """A response was refused and the request still waits; an error in clear shortens the patience."""
    if sa.failure is not None and sa.state is IkeState.INIT_SENT and sa.hinted_at is None:
        sa.hinted_at = endpoint.now
        endpoint.timers.set((Timer.HINTED, sa.serial), endpoint.now + HINTED_PATIENCE_S)


def own_failure(endpoint: Endpoint, sa: IkeSa, error: FynxError) -> None:
    """We could not even build the request: the plane or a plugin refused."""
    if sa.established:
        endpoint.emit(ChildRefused(sa.peer, "", type(error).__name__, str(error), ""))
        endpoint.pump(sa)
        return
    sa.failure = Failure("", str(error))
    endpoint.drop(sa, str(error))


def _retransmit(endpoint: Endpoint, sa: IkeSa) -> None:
    for flight in sa.window.flights.values():
        if flight.due is not None and flight.due > endpoint.now:
            continue
        if not probe(sa, flight) and flight.sends >= sa.policy.retransmission.tries:
            _give_up(endpoint, sa, flight.sends)
            return
        flight.sends, flight.due = flight.sends + 1, None
        endpoint.count("retransmissions")
        name = endpoint.catalogue.exchanges[flight.exchange].name
        endpoint.emit(Retransmitted(sa.peer, name, flight.message_id, flight.sends))
        send(sa, sa.path, flight.message)
    arm(endpoint, sa)


def _give_up(endpoint: Endpoint, sa: IkeSa, sends: int) -> None:
    if sa.state is IkeState.DELETING:
        endpoint.drop(sa, "deleted by us; the peer did not confirm")
        return
    if sa.successor is not None:
        endpoint.drop(sa, "replaced; the peer is silent on it")
        return
    if sa.established:
        sa.cause = "dead"
        endpoint.emit(PeerDead(sa.peer, sends))
    elif sa.failure is None:
        sa.failure = Failure(
            "",
            f"no answer from {sa.path} after {sends} attempts",
            "is the peer running, and does a firewall let UDP 500 and 4500 through?",
        )
    endpoint.drop(sa, f"the peer does not answer ({sends} attempts)")


# Timers.


def fire(endpoint: Endpoint, sa: IkeSa, timer: Timer) -> None:
    match timer:
        case Timer.RETRANSMIT:
            _retransmit(endpoint, sa)
        case Timer.HALF_OPEN:
            _half_open(endpoint, sa)
        case Timer.LIVENESS:
            _liveness(endpoint, sa)
        case Timer.KEEPALIVE:
            endpoint.effect(Keepalive(sa.path))
            endpoint.timers.set((timer, sa.serial), endpoint.now + sa.policy.keepalive_s)
        case Timer.FRAGMENTS:
            _fragments(endpoint, sa)
        case Timer.IKE_SOFT:
            lifetimes.rekey_ike(endpoint, sa)
        case Timer.IKE_HARD:
            sa.queue.clear()
            sa.start(ExchangeType.INFORMATIONAL, delete="its lifetime is over")
            endpoint.pump(sa)
        case Timer.PUT_OFF:
            lifetimes.ask_again(endpoint, sa)
        case Timer.REAUTH:
            reauth.start(endpoint, sa)
        case Timer.SUPERSEDED:
            reauth.superseded(endpoint, sa, sa.policy.retransmission.patience_s)
        case Timer.REPLACED:
            endpoint.drop(sa, "replaced; the peer did not delete it")
        case Timer.HINTED:
            endpoint.drop(sa, sa.failure.reason if sa.failure is not None else "refused by the peer")


def _half_open(endpoint: Endpoint, sa: IkeSa) -> None:
    if sa.established_at is None:
        endpoint.drop(sa, "the initiator did not come back with IKE_AUTH")
        return
    # The messages of IKE_SA_INIT can no longer be asked for again.
    if sa.init.half_open is not None:
        endpoint.half_open.pop(sa.init.half_open, None)
    sa.init.request = sa.init.response = sa.init.cookie = b""
    sa.init.offer = sa.init.proposal = None


def is_incomplete(endpoint: Endpoint, sa: IkeSa, error: FynxError | None) -> bool:
    """Whether only a fragment came; the others may take their time, but not for ever (RFC 7383 section 2.6)."""
    if not isinstance(error, Incomplete):
        return False
    endpoint.timers.set((Timer.FRAGMENTS, sa.serial), error.deadline)
    return True


def _fragments(endpoint: Endpoint, sa: IkeSa) -> None:
    """Incomplete messages are thrown away, as if nothing had come (RFC 7383 section 2.6)."""
    endpoint.count("fragments_expired")
    deadline = endpoint.conversation.fragments.expire(sa.serial, endpoint.now)
    if deadline is not None:
        endpoint.timers.set((Timer.FRAGMENTS, sa.serial), deadline)


def _liveness(endpoint: Endpoint, sa: IkeSa) -> None:
    """An empty INFORMATIONAL when nothing was heard for a while (section 2.4)."""
    interval = sa.policy.liveness_s
    if not interval or not sa.established:
        return
    # Compared as deadlines: a difference of times may round to just below the interval, for ever.
    due = sa.heard_at + interval
    if due <= endpoint.now and sa.exchange is None and not sa.queue:
        endpoint.count("liveness_checks")
        sa.start(ExchangeType.INFORMATIONAL, liveness=True)
        endpoint.pump(sa)
    endpoint.timers.set((Timer.LIVENESS, sa.serial), due if due > endpoint.now else endpoint.now + interval)


def hint(endpoint: Endpoint, sa: IkeSa, header: Header, data: bytes) -> bool:
    """An unprotected error on an established SA proves nothing; at most it asks for a liveness check (section
    2.21.4). True when it came with the token of the peer: then the SA is gone."""
    if not sa.established:
        return False
    notifies = [one for one in outer_payloads(header, data) if isinstance(one, NotifyPayload)]
    if crash.detected(endpoint, sa, notifies):
        return True
    errors = [one for one in notifies if one.is_error]
    if errors:
        hints.suspect(endpoint, sa, name_of(NotifyType, errors[0].type).lower())
    return False


# Paths.


def verified(endpoint: Endpoint, sa: IkeSa, path: Path, request: int) -> None:
    """A message of this SA that did not come before verified: the peer lives, and is where it came from.
    ``request``: the id of a request, -1 for a response."""
    sa.heard_at = endpoint.now
    standby.spoken(sa, request)
    if path == sa.path:
        return
    if sa.established and not _may_move(sa):
        return
    _move(endpoint, sa, path)


def _may_move(sa: IkeSa) -> bool:
    """Only a peer behind a NAT changes its address without MOBIKE; we never follow when we are the one behind it
    (2.23)."""
    return sa.nat is not None and sa.nat.remote


def _move(endpoint: Endpoint, sa: IkeSa, path: Path) -> None:
    before, sa.path = sa.path, path
    if sa.established and str(before) != str(path):
        sa.emit(PathChanged(sa.peer, str(before), str(path)))
    for handle, child in sa.children.items():
        if not child.stopped:
            endpoint.effect(Move(handle, esp_path(sa), in_udp(sa)))


def path_seen(endpoint: Endpoint, handle: int, path: Path) -> None:
    """A newest packet came from elsewhere. In UDP where we send without: its sender knows of a NAT, or wants it so, and
    we follow (2.23). Without UDP where we send in UDP: it may, and nothing changes."""
    sa = endpoint.handles.get(handle)
    if sa is None or not sa.established or path == sa.path or path.local_port in (0, 500):
        return
    if not in_udp(sa) and path.remote == sa.path.remote:
        sa.nat = NatStatus(local=sa.nat is not None and sa.nat.local, remote=True)
        sa.emit(NatDetected(sa.peer, sa.nat.local, sa.nat.remote))
    if _may_move(sa):
        _move(endpoint, sa, path)


def _log_keys(sa: IkeSa) -> None:
    if not sa.services.policy.keylog or sa.keys is None or sa.suite is None:
        return
    keys, suite = sa.keys, sa.suite
    record = IkeKeyRecord(
        sa.spi_i,
        sa.spi_r,
        bytes(keys.sk_ei),
        bytes(keys.sk_er),
        bytes(keys.sk_ai),
        bytes(keys.sk_ar),
        suite.cipher.transform_id,
        suite.cipher.key_bits,
        suite.integ.transform_id if suite.integ is not None else 0,
    )
    sa.services.effect(LogKeys(record))

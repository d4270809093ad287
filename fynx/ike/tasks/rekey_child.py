"""Replacing a Child SA, and what happens when both ends do so at once (RFC 7296 sections 1.3.3, 2.8, 2.8.1, 2.25.1).

Make before break: the responder of a rekey goes on sending on the old SA until the initiator deletes it, and an old
SA stays
in the plane for a while after its deletion, so that nothing in flight is lost.
"""

from __future__ import annotations

from fynx.errors import FynxError, PeerFault
from fynx.events import ChildRekeyed, RekeyStarted
from fynx.ike import standby
from fynx.ike.child import ChildSa, Rival
from fynx.ike.exchange import notify
from fynx.ike.sa import IkeSa
from fynx.ike.selectors import subset
from fynx.ike.states import ChildEvent, ChildState
from fynx.ike.tasks.install import DeletedEarly, announce
from fynx.ike.timers import Timer
from fynx.plugin.dataplane import Selector
from fynx.plugin.extension import Incoming, Outgoing
from fynx.wire.iana import ExchangeType, NotifyType, Protocol
from fynx.wire.payload import NotifyPayload

PASSING = (NotifyType.TEMPORARY_FAILURE, NotifyType.CHILD_SA_NOT_FOUND, NotifyType.INVALID_KE_PAYLOAD)
"""Refusals that are part of a normal life: no event for the user."""
REFUSALS_BEFORE_CLOSING = 20
"""TEMPORARY_FAILUREs in a row, minutes of them, after which the two sides are out of step (section 2.25)."""


def begin(sa: IkeSa, old: ChildSa, out: Outgoing) -> None:
    old.advance(ChildEvent.START_REKEY)
    sa.emit(RekeyStarted(sa.peer, old.name, f"{old.spi_in:08x}"))
    out.add(NotifyPayload(NotifyType.REKEY_SA, b"", Protocol.ESP, old.spi_in.to_bytes(4, "big")))


def lost(old: ChildSa, ni: bytes, nr: bytes) -> bool:
    """Both ends rekeyed this child: the exchange with the lowest of the four nonces is the redundant one."""
    return old.rival is not None and min(ni, nr) < old.rival.low


def finish(sa: IkeSa, old: ChildSa, new: ChildSa, *, lost: bool) -> None:
    """Our rekey stands: the old SA goes, or, when the peer's rekey wins, our own new one."""
    if lost:
        new.advance(ChildEvent.REPLACED)  # on its way out: the peer is not to rekey it
        sa.start(ExchangeType.INFORMATIONAL, delete_child=new.handle)
        _replaced(sa, old)
        return
    new.more = old.more
    _tell(sa, old, new, by_us=True)
    if _replaced(sa, old):
        sa.start(ExchangeType.INFORMATIONAL, delete_child=old.handle)


def failed(sa: IkeSa, old: ChildSa, error: FynxError) -> bool:
    """Our rekey was refused. True when the user should hear of it."""
    if old.handle not in sa.children or old.state is not ChildState.REKEYING:
        return False  # the peer has rekeyed or deleted it meanwhile
    kind = error.notify if isinstance(error, PeerFault) else 0
    if isinstance(error, DeletedEarly):  # the peer has made the new one, and taken it down again
        old.advance(ChildEvent.REPLACED)
        sa.start(ExchangeType.INFORMATIONAL, delete_child=old.handle)
        return False
    if _rival(sa, old) is not None:  # the peer's own rekey was first: it stands, and the peer deletes the old SA
        old.advance(ChildEvent.REPLACED)
        return False
    put_off(sa, old)
    if kind == NotifyType.CHILD_SA_NOT_FOUND:
        sa.forgotten.append(old.handle)
        return False
    if old.refused >= REFUSALS_BEFORE_CLOSING:
        sa.start(ExchangeType.INFORMATIONAL, delete="the peer keeps refusing to rekey")
    return kind != NotifyType.TEMPORARY_FAILURE


def may_retry(sa: IkeSa, old: ChildSa) -> bool:
    """At once, with another key exchange: unless the peer replaced or deleted the child meanwhile."""
    if old.state is not ChildState.REKEYING or _rival(sa, old) is not None:
        return False
    old.advance(ChildEvent.REKEY_FAILED)
    return True


def put_off(sa: IkeSa, old: ChildSa) -> None:
    old.advance(ChildEvent.REKEY_FAILED)
    old.refused += 1
    sa.services.put_off(Timer.CHILD_SOFT, old.handle)


def named(sa: IkeSa, rekey: NotifyPayload) -> ChildSa:
    """The child that the peer means by its inbound SPI, our outbound one."""
    spi = int.from_bytes(rekey.spi, "big")
    child = next((one for one in sa.children.values() if one.spi_out == spi), None)
    if child is None and any("child" in one.options for one in sa.exchanges.values()):
        raise PeerFault(NotifyType.TEMPORARY_FAILURE, "it may be the one that the answer to our request brings")
    if rekey.protocol != Protocol.ESP or len(rekey.spi) != 4 or child is None:
        raise PeerFault(NotifyType.CHILD_SA_NOT_FOUND, "the Child SA to rekey is not known")
    if child.state not in (ChildState.ACTIVE, ChildState.REKEYING):
        raise PeerFault(NotifyType.TEMPORARY_FAILURE, "the Child SA to rekey is on its way out")
    if _rival(sa, child) is not None:
        raise PeerFault(NotifyType.TEMPORARY_FAILURE, "the Child SA is replaced already")
    return child


def check_selectors(
    before: tuple[tuple[Selector, ...], tuple[Selector, ...]],
    local: tuple[Selector, ...],
    remote: tuple[Selector, ...],
) -> None:
    """A replacement carries at least what the old one carries (section 2.9.2)."""
    if not subset(before[0], local) or not subset(before[1], remote):
        raise PeerFault(NotifyType.TS_UNACCEPTABLE, "the selectors would be narrower than those in use")


def replaced_by_peer(old: ChildSa, new: ChildSa, low: bytes) -> None:
    """We answered the peer's rekey. If ours is under way too, the nonces decide once both are through."""
    new.more = old.more
    old.rival = Rival(new.handle, low)
    if old.state is ChildState.ACTIVE:
        old.advance(ChildEvent.REPLACED)


def carried_on(sa: IkeSa, old: ChildSa) -> bool:
    """A child is deleted: the replacement that the peer made, if there is one, carries on. True when there is."""
    new = _rival(sa, old)
    if new is None:
        return old.state is ChildState.REKEYED and not old.announced
    if sa.established:  # else we are deleting the IKE SA, and another has taken over
        standby.activate(sa, new)
    old.sends = False
    _tell(sa, old, new, by_us=False)
    return True


def refusal(message: Incoming, kind: int, data: bytes) -> NotifyPayload:
    """CHILD_SA_NOT_FOUND names the SPI that was asked for, when it was a sensible one (section 2.25)."""
    rekey = notify(message, NotifyType.REKEY_SA)
    if kind == NotifyType.CHILD_SA_NOT_FOUND and rekey is not None and rekey.protocol == Protocol.ESP and rekey.spi:
        return NotifyPayload(kind, data, Protocol.ESP, rekey.spi)
    return NotifyPayload(kind, data)


def _rival(sa: IkeSa, old: ChildSa) -> ChildSa | None:
    """The replacement that the peer made, as long as it lives."""
    new = sa.children.get(old.rival.handle) if old.rival is not None else None
    return new if new is not None and new.current else None


def _replaced(sa: IkeSa, old: ChildSa) -> bool:
    """False where it has gone meanwhile."""
    if old.handle not in sa.children or old.state is not ChildState.REKEYING:
        return False
    old.advance(ChildEvent.REPLACED)
    return True


def _tell(sa: IkeSa, old: ChildSa, new: ChildSa, *, by_us: bool) -> None:
    """One that went down meanwhile, as far as the user knows, comes up again."""
    if not old.announced:
        announce(sa, new)
        return
    old.announced, new.announced = False, True
    sa.counters["child_sa_rekeyed"] += 1
    sa.emit(ChildRekeyed(sa.peer, new.name, f"{old.spi_in:08x}", f"{new.spi_in:08x}", f"{new.spi_out:08x}", by_us))

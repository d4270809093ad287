"""Which of several IKE SAs takes the children over, when one or both ends rekey (RFC 7296 sections 2.8.2, 2.25.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fynx.events import IkeRekeyed
from fynx.ike import lifetimes, upkeep
from fynx.ike.sa import IkeSa, Successor
from fynx.ike.states import IkeEvent, IkeState
from fynx.ike.timers import Timer
from fynx.wire.iana import ExchangeType

if TYPE_CHECKING:
    from fynx.ike.endpoint import Endpoint

DELETE_WITHIN_S = 60.0
"""How long the other end may take to delete an SA that its own rekey replaced."""
REPLACED = "replaced by a rekeyed IKE SA"


def rekeyed(endpoint: Endpoint, old: IkeSa, ours: Successor) -> None:
    """Our rekey is through. With a rival, the SA with the lowest nonce is redundant; its maker deletes it."""
    _establish(endpoint, old, ours.sa)
    if old.rival is not None and ours.low < old.rival.low:
        ours.sa.start(ExchangeType.INFORMATIONAL, delete="redundant after a simultaneous rekey")
        endpoint.pump(ours.sa)
        hand_over(endpoint, old, old.rival.sa, by_us=False)
        endpoint.timers.set((Timer.REPLACED, old.serial), endpoint.now + DELETE_WITHIN_S)
        return
    hand_over(endpoint, old, ours.sa, by_us=True)
    old.start(ExchangeType.INFORMATIONAL, delete=REPLACED)


def offered(endpoint: Endpoint, old: IkeSa, new: IkeSa) -> None:
    """We answer the peer's rekey: the peer deletes the old SA when it has our answer."""
    _establish(endpoint, old, new)
    if old.state is IkeState.REKEYING:
        return  # the nonces decide, when the answer to ours is here
    hand_over(endpoint, old, new, by_us=False)
    endpoint.timers.set((Timer.REPLACED, old.serial), endpoint.now + DELETE_WITHIN_S)


def deleted(endpoint: Endpoint, old: IkeSa) -> None:
    """The peer deletes the old SA while our own rekey is under way: it never noticed ours, so its own stands."""
    if old.rival is not None and old.successor is None:
        hand_over(endpoint, old, old.rival.sa, by_us=False)


def hand_over(endpoint: Endpoint, old: IkeSa, new: IkeSa, *, by_us: bool) -> None:
    """Children, waiting exchanges and what is known of the peer go on; once."""
    old.successor = new
    new.children, old.children = old.children, {}
    for handle in new.children:
        endpoint.handles[handle] = new
    waiting = [(number, options) for number, options in old.queue if "rekey_ike" not in options]
    new.queue.extend(waiting)
    old.queue.clear()
    endpoint.timers.cancel((Timer.LIVENESS, old.serial))
    endpoint.timers.cancel((Timer.KEEPALIVE, old.serial))
    endpoint.timers.cancel((Timer.IKE_SOFT, old.serial))
    endpoint.timers.cancel((Timer.IKE_HARD, old.serial))
    endpoint.count("ike_sa_rekeyed")
    new.emit(IkeRekeyed(new.peer, old.spi_i.hex(), old.spi_r.hex(), new.spi_i.hex(), new.spi_r.hex(), by_us))
    endpoint.pump(new)


def _establish(endpoint: Endpoint, old: IkeSa, new: IkeSa) -> None:
    new.advance(IkeEvent.INHERIT)
    new.local_id, new.remote_id, new.nat = old.local_id, old.remote_id, old.nat
    new.fragmenting = replace(old.fragmenting)
    new.established_at = endpoint.now
    new.notes = old.notes
    upkeep.stands(endpoint, new)
    lifetimes.watch_ike(endpoint, new)

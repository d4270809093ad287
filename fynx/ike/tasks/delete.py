"""DELETE of Child SAs and of the IKE SA, notifications, and liveness by an empty message (RFC 7296 sections 1.4,
1.4.1, 2.4)."""

from __future__ import annotations

from collections.abc import Mapping

from fynx.events import ChildDown, NotifyReceived, PeerAlive
from fynx.ike import resources, standby
from fynx.ike.child import ChildSa
from fynx.ike.exchange import every
from fynx.ike.hints import invalid_spi
from fynx.ike.sa import IkeSa
from fynx.ike.states import ChildEvent, ChildState, IkeEvent
from fynx.ike.tasks.rekey_child import carried_on
from fynx.plugin.extension import Incoming, Outgoing, Steps
from fynx.wire.iana import NotifyType, Protocol, name_of
from fynx.wire.payload import DeletePayload, NotifyPayload

EARLY_LIMIT = 64
"""SPIs of deletions that came before their child which are remembered."""


class DeleteTask:
    """Options: ``delete`` (reason: the whole IKE SA), ``delete_child`` (handle), ``delete_spi`` (our SPI of a child
    never made); ``name``: what it is called, should another have taken its place meanwhile; ``idle``: why it goes."""

    def __init__(self, sa: IkeSa, options: Mapping[str, object]) -> None:
        self.sa, self.options = sa, options
        self.child = sa.children.get(_int(options.get("delete_child")))
        if "name" in options and (self.child is None or not self.child.current):
            self.child = sa.child_of(str(options["name"]))
        self.replaced = self.child is not None and self.child.state is ChildState.REKEYED
        self.expired = self.child is not None and self.child.state is ChildState.EXPIRED
        self.answer: list[bytes] = []

    def build(self, out: Outgoing) -> Steps:
        if out.response:
            if self.answer:
                out.add(DeletePayload(Protocol.ESP, tuple(self.answer)))
            return None
        if "delete" in self.options:
            self.sa.advance(IkeEvent.SEND_DELETE)
            out.add(DeletePayload(Protocol.IKE, ()))
            for child in self.sa.children.values():
                standby.succeed(self.sa, child, known=True)
        elif self.child is not None and self.child.alive:
            self.child.advance(ChildEvent.SEND_DELETE)
            standby.succeed(self.sa, self.child, known=True)
            out.add(DeletePayload(Protocol.ESP, (_spi(self.child.spi_in),)))
        elif "delete_spi" in self.options:
            out.add(DeletePayload(Protocol.ESP, (_spi(_int(self.options["delete_spi"])),)))
        return None

    def process(self, message: Incoming) -> Steps:
        if message.response:
            self._done()
        else:
            self._requested(message)
        return None

    def _done(self) -> None:
        if "liveness" in self.options:
            self.sa.emit(PeerAlive(self.sa.peer, self.sa.spi_i.hex(), self.sa.spi_r.hex()))
        if "delete" in self.options:
            self.sa.closing = str(self.options["delete"])
        elif self.child is not None:
            # Where our own rekey won, the peer's, if there was one, is on its way out.
            replaced = self.replaced or carried_on(self.sa, self.child) or standby.outlived(self.sa, self.child)
            linger = replaced and not self.expired
            idle = "idle" if "idle" in self.options else ""
            reason = "it carried nothing for long" if idle else "deleted by us"
            remove_child(self.sa, self.child, reason, confirmed=True, linger=linger, cause=idle)

    def _requested(self, message: Incoming) -> None:
        deletes = every(message, DeletePayload)
        if any(delete.protocol == Protocol.IKE for delete in deletes):
            self.sa.closing, self.sa.cause = "the peer deleted the IKE SA", "peer"
            return
        self.sa.services.chosen(self.sa)
        spis = dict.fromkeys(spi for delete in deletes if delete.protocol == Protocol.ESP for spi in delete.spis)
        for spi in spis:
            child = self._by_peer_spi(int.from_bytes(spi, "big"))
            if child is None:
                if self.sa.exchange is not None and len(self.sa.deleted_early) < EARLY_LIMIT:
                    self.sa.deleted_early[spi] = None
                continue
            if child.state is not ChildState.DELETING:  # else both deleted at once: each names only its own half
                self.answer.append(_spi(child.spi_in))
            resources.given_up(child)
            replaced = carried_on(self.sa, child) or standby.outlived(self.sa, child)
            remove_child(self.sa, child, "deleted by the peer", confirmed=True, linger=replaced, cause="peer")

    def _by_peer_spi(self, spi: int) -> ChildSa | None:
        return next((child for child in self.sa.children.values() if child.spi_out == spi), None)


class NotifyTask:
    """Options ``notify``, ``data``: a notification to send on its own; those that arrive become events, and change
    nothing."""

    def __init__(self, sa: IkeSa, options: Mapping[str, object]) -> None:
        self.sa, self.options = sa, options

    def build(self, out: Outgoing) -> Steps:
        if not out.response and "notify" in self.options:
            data = self.options.get("data")
            out.add(NotifyPayload(_int(self.options["notify"]), data if isinstance(data, bytes) else b""))
        return None

    def process(self, message: Incoming) -> Steps:
        if message.response:
            if "closing" in self.options:
                self.sa.closing = str(self.options["closing"])
            return None
        for payload in every(message, NotifyPayload):
            if payload.type == NotifyType.QUICK_CRASH_DETECTION:
                continue  # a secret, for its own task
            self.sa.emit(NotifyReceived(self.sa.peer, name_of(NotifyType, payload.type), payload.data[:64].hex()))
            if payload.type == NotifyType.INVALID_SPI:
                invalid_spi(self.sa, payload.data)
            if payload.type in FATAL_ALONE:
                self.sa.closing = f"the peer says {name_of(NotifyType, payload.type)}"
        return None


FATAL_ALONE = (
    NotifyType.AUTHENTICATION_FAILED,
    NotifyType.INVALID_SYNTAX,
    NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD,
)
"""Notifications that end an IKE SA without a DELETE (section 2.21.2)."""


def remove_child(
    sa: IkeSa, child: ChildSa, reason: str, *, confirmed: bool, linger: bool = False, cause: str = ""
) -> None:
    """Takes the child out of the SA and of the plane, once; ``linger``: it receives for a while what is in flight.

    One whose successor was announced is no news.
    """
    if sa.children.pop(child.handle, None) is None:
        return
    child.advance(ChildEvent.GONE)
    standby.settle(sa)
    if linger:
        standby.succeed(sa, child)
    sa.services.retire(child, confirmed=confirmed, linger=linger)
    if child.announced:
        why = cause or sa.cause
        sa.emit(ChildDown(sa.peer, child.name, f"{child.spi_in:08x}", f"{child.spi_out:08x}", reason, why))


def _spi(spi: int) -> bytes:
    return spi.to_bytes(4, "big")


def _int(value: object) -> int:
    return value if isinstance(value, int) else -1

"""ESP that one side no longer knows, and children that carry nothing (RFC 7296 sections 1.5 and 2.4, RFC 4303 section
3.4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fynx.ike import lifetimes, resources
from fynx.ike.child import ChildSa
from fynx.ike.hints import HINTED, suspect
from fynx.ike.sa import IkeSa
from fynx.ike.states import ChildState
from fynx.ike.timers import Timer
from fynx.plugin.transport import Path
from fynx.wire.iana import ExchangeType, NotifyType

if TYPE_CHECKING:
    from fynx.ike.endpoint import Endpoint

HINT_EVERY_S = 10.0
"""At most one INVALID_SPI per IKE SA in this time, in either direction (section 2.21.4)."""
LOOK_LEAST_S, LOOKS = 5.0, 4
"""An idle child is noticed within a quarter of its time-out, at the earliest after the plane's counters were read."""


def unknown_spi(endpoint: Endpoint, now: float, path: Path, spi: int) -> None:
    """The plane got ESP for an SPI that it does not have: a peer with an IKE SA is told, inside that SA."""
    endpoint.now = now
    sa = _talks_to(endpoint, path)
    if sa is None or sa.exchange is not None or sa.queue or sa.working or spi in sa.reserved:
        return  # whoever is busy may just be making this child
    if any(child.spi_in == spi for child in sa.children.values()) or not _may_hint(endpoint, sa, "told_invalid_spi"):
        return
    endpoint.count("invalid_spi_sent")
    sa.start(ExchangeType.INFORMATIONAL, notify=NotifyType.INVALID_SPI, data=spi.to_bytes(4, "big"))
    endpoint.pump(sa)


def unreachable(endpoint: Endpoint, now: float, path: Path) -> None:
    """The network says that what we sent on this path did not arrive. Anybody can say so: the peer is asked whether it
    lives, at most once in ten seconds, and its SAs stay (section 2.4)."""
    endpoint.now = now
    if not endpoint.admission.hints.take(now):
        endpoint.count("hints_ignored")
        return
    for sa in tuple(endpoint.sas.values()):
        if sa.established and sa.successor is None and _leads_along(sa.path, path):
            suspect(endpoint, sa, "unreachable")


def _leads_along(ours: Path, path: Path) -> bool:
    same = (ours.remote, ours.remote_port, ours.local_port) == (path.remote, path.remote_port, path.local_port)
    return same and ours.local in ("", path.local)


def _talks_to(endpoint: Endpoint, path: Path) -> IkeSa | None:
    for sa in endpoint.sas.values():
        if sa.established and sa.successor is None and sa.path.remote == path.remote and _same_port(sa, path):
            return sa
    return None


def _same_port(sa: IkeSa, path: Path) -> bool:
    """Behind one NAT there may be several peers; IKE itself may have stayed on 500."""
    return sa.path.remote_port in (path.remote_port, 500) or not path.remote_port


def follow_hint(endpoint: Endpoint, sa: IkeSa) -> None:
    """After the exchange that brought the hint."""
    handle = sa.notes.pop(HINTED, None)
    child = sa.children.get(handle) if isinstance(handle, int) else None
    if child is None or not _may_hint(endpoint, sa, "heard_invalid_spi"):
        return
    endpoint.count("hint_invalid_spi")
    lifetimes.rekey_child(endpoint, sa, child)


def _may_hint(endpoint: Endpoint, sa: IkeSa, what: str) -> bool:
    last = sa.notes.get(f"core/{what}")
    if isinstance(last, float) and endpoint.now - last < HINT_EVERY_S:
        return False
    sa.notes[f"core/{what}"] = endpoint.now
    return True


# Inactivity.


def busy(endpoint: Endpoint, now: float, handle: int) -> None:
    """The child has carried a packet since the last look, in either direction."""
    endpoint.now = now
    sa = endpoint.handles.get(handle)
    child = sa.children.get(handle) if sa is not None else None
    if child is not None:
        child.used_at = now


def watch(endpoint: Endpoint, sa: IkeSa, child: ChildSa) -> None:
    """Sets the time-out of a child that was just installed, or whose policy has changed."""
    child.used_at = endpoint.now
    _look_again(endpoint, sa, child)


def look(endpoint: Endpoint, sa: IkeSa, child: ChildSa) -> None:
    """Deletes the child when it carried nothing for its time-out."""
    limit = _limit(sa, child)
    if not limit or child.state not in (ChildState.ACTIVE, ChildState.REKEYING):
        return
    if endpoint.now - child.used_at < limit or child.state is ChildState.REKEYING or not sa.established:
        _look_again(endpoint, sa, child)
        return
    endpoint.count("children_idle")
    resources.given_up(child)
    sa.start(ExchangeType.INFORMATIONAL, delete_child=child.handle, idle=True)
    endpoint.pump(sa)


def _look_again(endpoint: Endpoint, sa: IkeSa, child: ChildSa) -> None:
    limit = _limit(sa, child)
    if limit:
        endpoint.timers.set((Timer.IDLE, child.handle), endpoint.now + max(LOOK_LEAST_S, limit / LOOKS))


def _limit(sa: IkeSa, child: ChildSa) -> float:
    policy = sa.policy.named.get(child.name)
    return policy.inactivity_s if policy is not None else 0.0

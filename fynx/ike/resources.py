"""Child SAs with the same selectors, one for each worker of the data plane (RFC 9611).

The first one serves every worker and says N(SA_RESOURCE_INFO); when the peer says it too, whoever asked for the first
one asks for the others, one for each of its workers, and goes on with fewer when the peer takes no more
(TS_MAX_QUEUE). The responder binds each to the worker that has the fewest. A rekeyed SA stays with its worker (section
4), and one that the peer deleted is not made again (section 7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fynx.errors import FynxError, PeerFault
from fynx.events import ChildDiffers
from fynx.ike.child import ChildSa, Group
from fynx.ike.exchange import notify
from fynx.ike.policy import ChildPolicy
from fynx.ike.sa import IkeSa
from fynx.ike.states import IkeState
from fynx.ike.transport import Selectors
from fynx.plugin.dataplane import EspSuite
from fynx.plugin.extension import Incoming
from fynx.wire.iana import ExchangeType, NotifyType
from fynx.wire.payload import NotifyPayload

if TYPE_CHECKING:
    from fynx.ike.endpoint import Endpoint

RETRY_S = 10.0
"""Before another request for a worker whose last one was put off."""
FULL = (NotifyType.TS_MAX_QUEUE, NotifyType.NO_ADDITIONAL_SAS)


def said(policy: ChildPolicy, resource: int = 0) -> tuple[NotifyPayload, ...]:
    """Protocol 0, no SPI; the identifier, which only people read, is the worker's number (section 5.1)."""
    if not policy.resources:
        return ()
    return (NotifyPayload(NotifyType.SA_RESOURCE_INFO, bytes([resource]) if resource else b""),)


def heard(message: Incoming) -> bool:
    return notify(message, NotifyType.SA_RESOURCE_INFO) is not None


# The side that asks.


def wanted(sa: IkeSa, name: str) -> ChildSa | None:
    """The child whose workers get SAs of their own on our request."""
    child = sa.child_of(name)
    return child if child is not None and child.group is not None and child.group.ours else None


def moot(sa: IkeSa, name: str, resource: int) -> bool:
    """A request that waited is not needed any more."""
    first = wanted(sa, name)
    return first is None or first.group is None or first.group.full or resource in _served(sa, first)


def follow_up(endpoint: Endpoint, sa: IkeSa) -> None:
    """After an exchange: asks for the SAs that workers still lack."""
    if sa.state is not IkeState.ESTABLISHED or sa.successor is not None:
        return
    for first in [one for one in sa.children.values() if one.group is not None and one.current and not one.resource]:
        group, most = first.group, _most(sa, first.name)
        if group is None or not group.ours or group.full or endpoint.now < group.not_before:
            continue
        workers = sa.services.workers if sa.services.workers > 1 else 0
        lacking = set(range(1, min(workers, most) + 1)) - group.declined - _served(sa, first)
        for resource in sorted(lacking - _asked(sa, first.name)):
            sa.start(ExchangeType.CREATE_CHILD_SA, child=first.name, resource=resource)


def check(first: ChildSa, suite: EspSuite, selectors: tuple[Selectors, Selectors]) -> None:
    """All of them have the properties of the first one (section 4). Raises ``PeerFault``."""
    ours = (first.suite.encr_id, first.suite.key_bits, first.suite.integ_id, first.suite.esn)
    if ours != (suite.encr_id, suite.key_bits, suite.integ_id, suite.esn):
        raise PeerFault(
            NotifyType.NO_PROPOSAL_CHOSEN, "a Child SA for a worker with other algorithms than the first one"
        )
    if selectors != (first.local_ts, first.remote_ts):
        raise PeerFault(NotifyType.TS_UNACCEPTABLE, "a Child SA for a worker with other selectors than the first one")


def refused(sa: IkeSa, name: str, error: FynxError) -> bool:
    """The peer makes none for a worker. True when that is no part of a normal life, and the user hears of it."""
    first = wanted(sa, name)
    if first is None or first.group is None:
        return False
    kind = error.notify if isinstance(error, PeerFault) else 0
    if kind == NotifyType.TEMPORARY_FAILURE:
        first.group.not_before = sa.services.now + RETRY_S
        return False
    first.group.full = True
    if kind in FULL:
        has = len(_served(sa, first))
        why = f"the peer takes {has} Child SAs beside the first; the workers that have none use the first one"
        sa.emit(ChildDiffers(sa.peer, name, NotifyType.TS_MAX_QUEUE.name, why))
    return kind not in FULL


def given_up(child: ChildSa) -> None:
    """The peer deletes it, or it was idle for long: its worker uses the first one from now on. Asking again would
    go round for ever (section 7)."""
    if child.group is not None and child.resource and child.current:
        child.group.declined.add(child.resource)


# The side that answers.


def place(sa: IkeSa, policy: ChildPolicy, selectors: tuple[Selectors, Selectors]) -> tuple[int, Group]:
    """The worker for a Child SA that the peer asks for, and its group: a new one for the first. Raises ``PeerFault``,
    never with NO_ADDITIONAL_SAS, which would mean other selectors too (section 7)."""
    alike = [
        child
        for child in sa.children.values()
        if child.name == policy.name and child.current and (child.local_ts, child.remote_ts) == selectors
    ]
    first = next((child for child in alike if child.group is not None), None)
    if first is None or first.group is None:
        return 0, Group(ours=False)
    bound = [child.resource for child in alike if child.resource]
    if len(bound) >= policy.resources:
        raise PeerFault(NotifyType.TS_MAX_QUEUE, f"{policy.name} has as many Child SAs for workers as we allow")
    if sa.services.workers < 1:
        return 1, first.group
    return min(range(1, sa.services.workers + 1), key=bound.count), first.group


def limit(message: Incoming) -> NotifyType:
    """How to say that an IKE SA has as many Child SAs as it may."""
    return NotifyType.TS_MAX_QUEUE if heard(message) else NotifyType.NO_ADDITIONAL_SAS


# Both.


def _served(sa: IkeSa, first: ChildSa) -> set[int]:
    return {child.resource for child in sa.children.values() if child.group is first.group and child.current} - {0}


def _asked(sa: IkeSa, name: str) -> set[object]:
    under_way = [one.options for one in sa.exchanges.values()] + [options for _, options in sa.queue]
    return {options.get("resource") for options in under_way if options.get("child") == name}


def _most(sa: IkeSa, name: str) -> int:
    policy = sa.policy.named.get(name)
    return policy.resources if policy is not None else 0

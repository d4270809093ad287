"""Leased addresses of one IKE SA, and what they make of its children's selectors (RFC 7296 sections 2.9, 2.19)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fynx.errors import FynxError, PeerFault
from fynx.ike.attributes import Settings, families
from fynx.ike.effects import GiveBack
from fynx.ike.policy import ChildPolicy
from fynx.ike.selectors import covers, narrow
from fynx.plugin.auth import Identity
from fynx.plugin.dataplane import Selector
from fynx.wire.iana import ExchangeType, NotifyType

if TYPE_CHECKING:
    from fynx.ike.sa import IkeSa

DYNAMIC = Selector(b"", b"")
"""Stands in a policy for the leased addresses; protocol and ports may narrow it."""
EMPTY = Settings()


@dataclass(slots=True)
class Virtual:
    """``ours``: the peer leased them to us. Without addresses the lease failed, or was not asked for."""

    ours: bool
    settings: Settings = EMPTY
    pool: str = ""
    identity: Identity | None = None
    failed: bool = False
    users: set[int] = field(default_factory=set)
    """Serials of the IKE SAs that share the lease: several while one replaces another."""


def children(sa: IkeSa) -> tuple[ChildPolicy, ...]:
    """The policies of the peer's children with addresses in place of ``dynamic``; none where there are none."""
    return tuple(_resolved(sa, one) for one in sa.policy.children) if sa.policy.leases else sa.policy.children


def child(sa: IkeSa, name: str) -> ChildPolicy | None:
    """One of ``children``."""
    written = sa.policy.named.get(name)
    return None if written is None else _resolved(sa, written)


def require(sa: IkeSa, policy: ChildPolicy) -> None:
    """Before we ask for a child: one whose address we did not get needs a new IKE SA, as only IKE_AUTH leases.

    Raises ``FynxError``; whoever wants the child tries again after a while (section 3.15.4).
    """
    if policy.local and policy.remote:
        return
    if sa.virtual is not None and sa.virtual.ours:
        sa.start(ExchangeType.INFORMATIONAL, delete="the peer has no address for us")
    raise FynxError(f"child {policy.name} has no address yet")


def own_part(sa: IkeSa, name: str, local: tuple[Selector, ...], policy: ChildPolicy) -> tuple[Selector, ...]:
    """What the gateway answered for our side, cut down to the address that it gave; raises when it gave none."""
    written = sa.policy.named[name]
    if not any(_dynamic(one) for one in written.local):
        return local
    if not policy.local:
        raise PeerFault(NotifyType.INTERNAL_ADDRESS_FAILURE, "the peer gave us no address")
    return narrow(local, policy.local)


def own_addresses(sa: IkeSa, local: tuple[Selector, ...]) -> tuple[bytes, ...]:
    """Which of our leased addresses a child with these selectors uses."""
    if sa.virtual is None or not sa.virtual.ours:
        return ()
    return tuple(
        one for one in sa.virtual.settings.addresses if any(covers(_only(mine), Selector(one, one)) for mine in local)
    )


def expect(sa: IkeSa, *, first: bool) -> None:
    """No Child SA in an exchange whose lease failed (section 3.15.4)."""
    if first and sa.virtual is not None and sa.virtual.failed:
        raise no_address(sa)


def missing(sa: IkeSa) -> PeerFault | None:
    """Why a child was not found that waits for an address of the peer; None when addresses are not the reason."""
    waiting = any(_dynamic(one) for child in sa.policy.children for one in child.remote)
    if not waiting or (sa.virtual is not None and sa.virtual.settings.addresses):
        return None
    if sa.virtual is not None and sa.virtual.failed:
        return no_address(sa)
    return PeerFault(NotifyType.FAILED_CP_REQUIRED, "the peer did not ask for an address, which its child needs")


def no_address(sa: IkeSa) -> PeerFault:
    assert sa.virtual is not None
    return PeerFault(NotifyType.INTERNAL_ADDRESS_FAILURE, f"pool {sa.virtual.pool!r} has no address left")


def share(old: IkeSa, new: IkeSa) -> None:
    """The lease goes on with the IKE SA that replaces another."""
    new.virtual = old.virtual
    if new.virtual is not None:
        new.virtual.users.add(new.serial)


def let_go(sa: IkeSa) -> None:
    """An IKE SA is gone; with the last one the lease goes back to its pool."""
    lease = sa.virtual
    if lease is None or sa.serial not in lease.users:
        return
    lease.users.discard(sa.serial)
    if not lease.users and not lease.ours and lease.settings.addresses and lease.identity is not None:
        sa.services.effect(GiveBack(lease.pool, lease.identity))


def _resolved(sa: IkeSa, child: ChildPolicy) -> ChildPolicy:
    if not any(_dynamic(one) for one in (*child.local, *child.remote)):
        return child
    known = sa.virtual
    addresses = known.settings.addresses if known is not None else ()
    if known is None and sa.initiator:  # not answered yet: the gateway shall narrow it (section 2.19)
        local = _everything(child.local, families(sa.policy.request))
    else:
        local = _placed(child.local, addresses if known is not None and known.ours else ())
    remote = _placed(child.remote, () if known is None or known.ours else addresses)
    return replace(child, local=local, remote=remote)


def _placed(selectors: tuple[Selector, ...], addresses: tuple[bytes, ...]) -> tuple[Selector, ...]:
    found: list[Selector] = []
    for one in selectors:
        found += [replace(one, start=each, end=each) for each in addresses] if _dynamic(one) else [one]
    return tuple(found)


def _everything(selectors: tuple[Selector, ...], versions: tuple[int, ...]) -> tuple[Selector, ...]:
    found: list[Selector] = []
    for one in selectors:
        sizes = [4 if version == 4 else 16 for version in versions]
        found += [replace(one, start=bytes(n), end=b"\xff" * n) for n in sizes] if _dynamic(one) else [one]
    return tuple(found)


def _dynamic(selector: Selector) -> bool:
    return not selector.start


def _only(selector: Selector) -> Selector:
    return Selector(selector.start, selector.end)

"""Which configured child a request means, and how much of it is granted (RFC 7296 sections 2.9 and 2.23.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fynx.errors import PeerFault
from fynx.events import ChildDiffers
from fynx.ike import transport, virtual
from fynx.ike.child import ChildSa
from fynx.ike.negotiate import Choice, Refusal, choose_esp
from fynx.ike.policy import ChildPolicy
from fynx.ike.sa import IkeSa
from fynx.ike.selectors import narrow, subset
from fynx.ike.tasks import rekey_child
from fynx.ike.tasks.terms import Terms
from fynx.ike.transport import Selectors
from fynx.plugin.dataplane import EspSuite, Selector
from fynx.record import record
from fynx.wire.iana import NotifyType
from fynx.wire.proposal import Proposal


@record
class Asked:
    """A request for a Child SA, from our side. ``first``: in IKE_AUTH."""

    proposals: tuple[Proposal, ...]
    local: Selectors
    remote: Selectors
    terms: Terms
    first: bool


@record
class Granted:
    policy: ChildPolicy
    choice: Choice[EspSuite]
    local: Selectors
    remote: Selectors
    more: bool
    """The rest would be granted too, in another Child SA."""


def match(sa: IkeSa, old: ChildSa | None, asked: Asked) -> Granted:
    """The child whose selectors take all that was asked for, else the first that takes a part. Raises ``PeerFault``."""
    virtual.expect(sa, first=asked.first)
    known = virtual.children(sa)
    policies = [known[at] for at in sa.policy.reach.touched(asked.local, asked.remote)]
    policies = [child for child in policies if old is None or child.name == old.name]
    seen, fitting = _fitting(sa, policies, asked)
    if old is not None:
        _check_rekey(old, seen, fitting[0])
    if len(fitting) > 1:
        fitting.sort(key=lambda child: not _takes(child, _head(seen)))  # the packet that asked
        fitting.sort(key=lambda child: not _takes(child, seen))
    policy, choice = _chosen(sa, fitting, asked)
    local, remote = narrow(seen.local, policy.local), narrow(seen.remote, policy.remote)
    if policy.single_pair and old is not None:
        local, remote = narrow(local, old.local_ts), narrow(remote, old.remote_ts)
    elif policy.single_pair:
        local, remote = _one_pair(policy, seen, local, remote)
    more = old is None and _more(policy, policies, seen, (local, remote))
    if asked.terms.transport and policy.mode == "tunnel":
        why = "the peer asks for transport mode; our policy is a tunnel, and so it gets one"
        sa.emit(ChildDiffers(sa.peer, policy.name, NotifyType.USE_TRANSPORT_MODE.name, why))
    return Granted(policy, choice, local, remote, more)


def _fitting(sa: IkeSa, policies: list[ChildPolicy], asked: Asked) -> tuple[Asked, list[ChildPolicy]]:
    """Children that take a part, and the request as it is compared with them: transport mode first, where the peer asks
    for it, with the addresses that we see; else tunnels, with those that it wrote."""
    hosts = [transport.placed(sa, child) for child in policies if child.mode == "transport"]
    seen = asked
    if hosts:
        local, remote = transport.as_seen(sa, asked.local, asked.remote)
        seen = replace(asked, local=local, remote=remote)
    found = [child for child in hosts if _touches(child, seen)]
    if asked.terms.transport and found:
        return seen, found
    tunnels = [child for child in policies if child.mode == "tunnel" and _touches(child, asked)]
    if tunnels:
        return asked, tunnels
    if found:
        why = f"the peer asks for a tunnel, and {found[0].name} is transport mode"
        raise PeerFault(NotifyType.NO_PROPOSAL_CHOSEN, why)
    raise virtual.missing(sa) or PeerFault(NotifyType.TS_UNACCEPTABLE, _no_selectors(virtual.children(sa), asked))


def _chosen(sa: IkeSa, fitting: list[ChildPolicy], asked: Asked) -> tuple[ChildPolicy, Choice[EspSuite]]:
    refusal: Refusal | None = None
    for child in fitting:
        choice = choose_esp(asked.proposals, child.esp, sa.services.algorithms, initial=asked.first)
        if not isinstance(choice, Refusal):
            return child, choice
        refusal = refusal or choice
    assert refusal is not None
    raise PeerFault(NotifyType.NO_PROPOSAL_CHOSEN, refusal.reason)


def _check_rekey(old: ChildSa, seen: Asked, policy: ChildPolicy) -> None:
    """In transport mode the addresses are what they are now: a NAT may have given the peer another one meanwhile."""
    local, remote = narrow(seen.local, policy.local), narrow(seen.remote, policy.remote)
    before = old.local_ts, old.remote_ts
    if policy.mode == "transport":
        before = transport.at(old.local_ts, local[0].start), transport.at(old.remote_ts, remote[0].start)
    rekey_child.check_selectors(before, local, remote)


def _one_pair(policy: ChildPolicy, seen: Asked, local: Selectors, remote: Selectors) -> tuple[Selectors, Selectors]:
    """The pair of addresses of the packet that asked, or the only one that there is (section 2.9)."""
    head = _head(seen)
    if _takes(policy, head) and _single(head.local) and _single(head.remote):
        return narrow(local, _address(head.local[0])), narrow(remote, _address(head.remote[0]))
    if _single(local) and _single(remote):
        return local, remote
    why = f"{policy.name} has a Child SA for each pair of addresses, and the peer does not say which one it wants"
    raise PeerFault(NotifyType.SINGLE_PAIR_REQUIRED, why)


def _more(policy: ChildPolicy, policies: list[ChildPolicy], seen: Asked, granted: tuple[Selectors, Selectors]) -> bool:
    """Whether something that was asked for and not granted would be in an SA of its own."""
    others = [child for child in policies if child.mode == policy.mode and (child is not policy or policy.single_pair)]
    if not others or policy.mode == "transport" or _within((seen.local, seen.remote), granted):
        return False
    parts = [(narrow(seen.local, one.local), narrow(seen.remote, one.remote)) for one in others]
    return any(part[0] and part[1] and not _within(part, granted) for part in parts)


def _within(part: tuple[Selectors, Selectors], granted: tuple[Selectors, Selectors]) -> bool:
    return subset(part[0], granted[0]) and subset(part[1], granted[1])


def _touches(child: ChildPolicy, asked: Asked) -> bool:
    return bool(narrow(asked.remote, child.remote) and narrow(asked.local, child.local))


def _takes(child: ChildPolicy, asked: Asked) -> bool:
    return subset(asked.remote, child.remote) and subset(asked.local, child.local)


def _head(asked: Asked) -> Asked:
    return replace(asked, local=asked.local[:1], remote=asked.remote[:1])


def _single(selectors: Selectors) -> bool:
    return len({(one.start, one.end) for one in selectors}) == 1 and selectors[0].start == selectors[0].end


def _address(selector: Selector) -> Selectors:
    return (Selector(selector.start, selector.end),)


def _no_selectors(policies: Iterable[ChildPolicy], asked: Asked) -> str:
    ours = "; ".join(f"{one.name}: {transport.told(one.remote)} to {transport.told(one.local)}" for one in policies)
    given = f"{transport.told(asked.remote)} to {transport.told(asked.local)}"
    return f"the peer asks for {given}; we allow {ours or 'no child'}"

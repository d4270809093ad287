"""Transport mode: between which addresses, also behind a NAT (RFC 7296 sections 1.3.1 and 2.23.1)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fynx.errors import FynxError
from fynx.ike.natd import packed
from fynx.ike.policy import ChildPolicy
from fynx.ike.selectors import narrow, show
from fynx.plugin.dataplane import Selector

if TYPE_CHECKING:
    from fynx.ike.sa import IkeSa

Selectors = tuple[Selector, ...]


def placed(sa: IkeSa, policy: ChildPolicy) -> ChildPolicy:
    """In transport mode the policy between the addresses of the IKE SA alone, as we see them; else as it is.

    A side without selectors: the policy does not cover that address.
    """
    if policy.mode != "transport":
        return policy
    here, there = _ends(sa)
    return replace(policy, local=narrow(policy.local, _host(here)), remote=narrow(policy.remote, _host(there)))


def require(sa: IkeSa, policy: ChildPolicy) -> None:
    """Before we ask for it. Raises ``FynxError`` for one that the addresses of the IKE SA do not fit."""
    if policy.mode == "transport" and not (policy.local and policy.remote):
        raise FynxError(
            f"child {policy.name} is transport mode, which protects traffic between the two hosts alone: "
            f"its selectors do not cover {sa.path.local or 'our address'} and {sa.path.remote}"
        )


def as_seen(sa: IkeSa, local: Selectors, remote: Selectors) -> tuple[Selectors, Selectors]:
    """What the peer sent, with the addresses that a NAT hides replaced by those that we see (section 2.23.1)."""
    here, there = _ends(sa)
    if sa.nat is not None and sa.nat.local:
        local = at(local, here)
    if sa.nat is not None and sa.nat.remote:
        remote = at(remote, there)
    return local, remote


def translated(sa: IkeSa, local: Selectors, remote: Selectors) -> tuple[bytes, bytes] | None:
    """The peer's address and ours as the peer wrote them, where a NAT lies between (RFC 3948 section 3.1.2)."""
    written = tuple(side[0].start for side in (remote, local) if side and side[0].start == side[0].end)
    here, there = _ends(sa)
    if len(written) != 2 or len(written[0]) != len(written[1]) or written == (there, here):
        return None
    return written[0], written[1]


def at(selectors: Selectors, address: bytes) -> Selectors:
    """The same protocols and ports at this address."""
    found = (replace(one, start=address, end=address) for one in selectors if len(one.start) == len(address))
    return tuple(dict.fromkeys(found))


def told(selectors: Selectors) -> str:
    return " ".join(map(show, selectors)) or "nothing"


def _ends(sa: IkeSa) -> tuple[bytes, bytes]:
    return packed(sa.path.local) if sa.path.local else b"", packed(sa.path.remote)


def _host(address: bytes) -> Selectors:
    return (Selector(address, address),) if address else ()

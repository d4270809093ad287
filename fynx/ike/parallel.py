"""Which exchanges of ours may be under way at once, where the peer's window takes several (RFC 7296 sections 2.3,
2.25).

Two that touch the same child never are, and nothing is beside one that makes, replaces or ends an IKE SA.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from fynx.wire.iana import ExchangeType

if TYPE_CHECKING:
    from fynx.ike.sa import IkeSa

Options = Mapping[str, object]
QUIET = {"liveness", "notify"}
"""Options of exchanges that change nothing."""


def may_start(sa: IkeSa, number: int, options: Options) -> bool:
    """The window has room, and what is under way leaves it alone."""
    if not sa.exchanges:
        return True
    touched = _touches(sa, number, options)
    if not sa.window.open or touched is None:
        return False
    for one in sa.exchanges.values():
        theirs = _touches(sa, one.number, one.options)
        if theirs is None or theirs & touched:
            return False
    return True


def _touches(sa: IkeSa, number: int, options: Options) -> frozenset[str] | None:
    """Names of the children that it makes, replaces or ends; None: it stands alone."""
    if "closing" in options:
        return None
    if number == ExchangeType.CREATE_CHILD_SA and "child" in options:
        return frozenset({str(options["child"])})
    if number != ExchangeType.INFORMATIONAL:
        return None
    if QUIET & options.keys():
        return frozenset()
    handle = options.get("delete_child")
    child = sa.children.get(handle) if isinstance(handle, int) else None
    return frozenset({child.name}) if child is not None else None

"""Read-only views of SAs, for ``status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fynx.ike.child import ChildSa
from fynx.ike.effects import ChildSnapshot, IkeSnapshot
from fynx.ike.sa import IkeSa
from fynx.ike.selectors import show
from fynx.ike.tasks.install import in_udp

if TYPE_CHECKING:
    from fynx.ike.endpoint import Endpoint


def gauges(endpoint: Endpoint) -> dict[str, int]:
    """How many SAs there are now."""
    return {
        "ike_sa_active": sum(sa.established for sa in endpoint.sas.values()),
        "child_sa_active": len(endpoint.handles),
        "half_open": endpoint.admission.half_open,
    }


def snapshot(sa: IkeSa) -> IkeSnapshot:
    return IkeSnapshot(
        peer=sa.peer,
        state=sa.state.value,
        role=sa.role,
        remote=str(sa.path),
        local_id=str(sa.local_id or ""),
        remote_id=str(sa.remote_id or ""),
        spi_i=sa.spi_i.hex(),
        spi_r=sa.spi_r.hex(),
        suite=sa.suite.keyword if sa.suite is not None else "",
        established_at=sa.established_at,
        children=tuple(_child(child, in_udp(sa)) for child in sa.children.values()),
        virtual=sa.virtual.settings if sa.virtual is not None else None,
        virtual_ours=sa.virtual is not None and sa.virtual.ours,
    )


def _child(child: ChildSa, encap: bool) -> ChildSnapshot:
    return ChildSnapshot(
        name=child.name,
        state=child.state.value,
        handle=child.handle,
        spi_in=child.spi_in,
        spi_out=child.spi_out,
        mode=child.mode,
        local=tuple(show(one) for one in child.local_ts),
        remote=tuple(show(one) for one in child.remote_ts),
        esp=child.suite.keyword,
        encap=encap,
        aggregated=child.aggregated,
        resource=child.resource if child.group is not None else None,
    )

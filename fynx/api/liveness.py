"""What can be asked of one established IKE SA: a liveness check, a rekey, its children (RFC 7296 sections 2.4, 2.8)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from fynx.api.config import CommonConfig
from fynx.api.runtime import Runtime
from fynx.errors import StateError
from fynx.events import ChildRefused, ChildRekeyed, Event, IkeDown, PeerAlive, PeerDead
from fynx.faults import InvalidParameter, InvalidState, NetworkTimeout, SaNotFound
from fynx.ike.child import ChildSa
from fynx.ike.effects import CheckLiveness, Rekey
from fynx.ike.sa import IkeSa

REKEY_S = 30.0


async def check(runtime: Runtime, config: CommonConfig, sa: IkeSa) -> bool:
    """Asks the peer now. True when it answered; False when it did not, and the tunnel is gone."""
    dpd = config.dpd
    if dpd is None:
        raise InvalidParameter("dead peer detection is not configured (with_dpd)")
    peer, spi_i = sa.peer, sa.spi_i.hex()
    alive: list[bool] = []

    def over(event: Event) -> bool:
        if isinstance(event, PeerAlive) and (event.peer, event.spi_i) == (peer, spi_i):
            alive.append(True)
            return True
        return isinstance(event, PeerDead | IkeDown) and event.peer == peer and not sa.established

    limit = 2 * dpd.timeout_s * dpd.max_retries + 1
    try:
        await runtime.until(over, lambda: runtime.host.command(CheckLiveness(peer, spi_i)), limit)
    except TimeoutError:
        return False
    return bool(alive)


async def rekey(runtime: Runtime, sas: Iterable[IkeSa], spi: int) -> int:
    """Replaces the Child SA with this outbound SPI; the new outbound SPI when it stands. Raises ``SaNotFound``."""
    found = next(((sa, child) for sa in sas for child in sa.children.values() if child.spi_out == spi), None)
    if found is None or not found[1].current:
        raise SaNotFound(f"no Child SA sends with SPI {spi:08x}")
    sa, child = found
    old, new, refused = f"{child.spi_in:08x}", list[int](), list[str]()

    def look(event: Event) -> bool:
        if isinstance(event, ChildRekeyed) and event.old_spi_in == old:
            new.append(int(event.spi_out, 16))
        over = isinstance(event, ChildRefused) or (isinstance(event, IkeDown) and not sa.established)
        if over and event.peer == sa.peer:
            refused.append(getattr(event, "reason", ""))
        return bool(new or refused)

    try:
        await runtime.until(look, lambda: runtime.host.command(Rekey(sa.peer, child.name, sa.spi_i.hex())), REKEY_S)
    except TimeoutError:
        raise NetworkTimeout(f"the peer did not rekey within {REKEY_S:.0f} s") from None
    except StateError as error:
        raise InvalidState(str(error)) from None
    if refused:
        raise InvalidState(f"the Child SA was not rekeyed: {refused[0]}")
    return new[0]


class Ages:
    """Since when each Child SA stands, by its outbound SPI."""

    def __init__(self) -> None:
        self._since: dict[int, float] = {}

    def born(self, spi_out: str) -> None:
        self._since[int(spi_out, 16)] = time.monotonic()

    def gone(self, spi_out: str) -> None:
        self._since.pop(int(spi_out, 16), None)

    def due(self, runtime: Runtime, config: CommonConfig, children: Iterable[ChildSa]) -> Iterator[int]:
        """Outbound SPIs past the soft limit, reached counts as past."""
        life, now = config.lifetime, time.monotonic()
        for child in children:
            age_s = now - self._since.get(child.spi_out, now)
            if child.current and life.is_soft_expired(age_s, _octets(runtime, child) if life.soft_bytes else 0):
                yield child.spi_out


def _octets(runtime: Runtime, child: ChildSa) -> int:
    plane = runtime.host.plane
    usage = plane.usage(child.handle) if plane is not None else None
    return max(usage.bytes_in, usage.bytes_out) if usage is not None else 0

"""Leases of addresses that outlive the process: pools in memory, changes written to the store in the background."""

from __future__ import annotations

import hashlib
import json
import logging
from asyncio import AbstractEventLoop
from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from fynx.config.model import Config
from fynx.ike.policy import PoolPolicy
from fynx.ike.pools import Kept, Pools
from fynx.kernel.registry import Registry
from fynx.plugin.auth import Identity
from fynx.plugin.store import OpenStore
from fynx.plugin.work import Lease
from fynx.run.threads import Threads

log = logging.getLogger("fynx.run")

KIND = "lease"


class Leases:
    """The pools of one host. Without a store the leases end with the process. Called on the loop's thread."""

    def __init__(self, policies: Iterable[PoolPolicy], store: OpenStore | None, loop: AbstractEventLoop) -> None:
        self._store = store
        self._pools = Pools(policies, _read(store) if store is not None else ())
        self._threads = Threads("leases", loop, 1)  # one: what is written later must stand later

    def lease(self, work: Lease) -> tuple[bytes, ...]:
        """Packed addresses, none when there are none left. Raises FynxError for a pool that does not exist."""
        grant = self._pools.lease(work.pool, work.identity, work.versions, work.wanted)
        self._keep(grant.changed)
        return grant.addresses

    def give_back(self, pool: str, identity: Identity) -> None:
        self._keep(self._pools.give_back(pool, identity))

    def status(self) -> dict[str, dict[str, int]]:
        return self._pools.status()

    def close(self) -> None:
        self._threads.close()

    def _keep(self, changed: Iterable[Kept]) -> None:
        store = self._store
        if store is None:
            return
        for one in changed:
            self._threads.submit(lambda one=one: _write(store, one), _written)  # type: ignore[misc]


def store_of(config: Config, registry: Registry) -> OpenStore | None:
    """Where leases are kept; nowhere without pools or without a store. Raises ConfigError for unsafe modes."""
    chosen = config.host.store
    if chosen is None or not config.host.pools:
        return None
    registry.require("store", chosen.name)
    return registry.stores[chosen.name].open(chosen.section)


def _write(store: OpenStore, kept: Kept) -> None:
    key = f"{kept.pool}.{hashlib.sha256(bytes((kept.identity.id_type,)) + kept.identity.data).hexdigest()[:32]}"
    if not kept.addresses:
        store.delete(KIND, key)
        return
    identity = {"type": kept.identity.id_type, "data": kept.identity.data.hex(), "name": str(kept.identity)}
    addresses = [str(ip_address(one)) for one in kept.addresses]
    value = {"pool": kept.pool, "identity": identity, "addresses": addresses}
    store.write(KIND, key, json.dumps(value).encode())


def _written(outcome: object) -> None:
    """A lease that cannot be written is good for this run all the same."""
    if isinstance(outcome, Exception):
        log.warning("a lease was not written down: %s", outcome)


def _read(store: OpenStore) -> Iterator[Kept]:
    """What cannot be read or understood is passed over, and told."""
    for key in store.scan(KIND):
        try:
            value = json.loads(store.read(KIND, key) or b"null")
            identity = Identity(int(value["identity"]["type"]), bytes.fromhex(value["identity"]["data"]))
            yield Kept(str(value["pool"]), identity, tuple(ip_address(one).packed for one in value["addresses"]))
        except Exception as error:
            log.warning("lease %s of an earlier run is passed over: %s", key, error)

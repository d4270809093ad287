"""What ``fynx status`` tells: schema ``fynx.status/1``, peers as configured with the SAs that stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fynx.config.model import Config
from fynx.ike.effects import ChildSnapshot, IkeSnapshot
from fynx.plugin.dataplane import Plane, Usage

SCHEMA = "fynx.status/1"
ORDER = ("established", "rekeying", "rekeyed", "deleting")


def status(
    config: Config,
    snapshots: Iterable[IkeSnapshot],
    plane: Plane,
    *,
    now: float,
    waiting: Mapping[str, str],
    counters: Mapping[str, int],
    pools: Mapping[str, Mapping[str, int]] | None = None,
) -> dict[str, object]:
    """``waiting`` gives the state of peers without an SA: ``connecting``, ``waiting`` or ``down``."""
    by_peer: dict[str, list[IkeSnapshot]] = {name: [] for name in config.peers}
    for snapshot in snapshots:
        by_peer.setdefault(snapshot.peer, []).append(snapshot)
    peers: list[dict[str, object]] = []
    for name, found in by_peer.items():
        if not name:
            continue  # a handshake that has not told yet who it is
        for snapshot in sorted(found, key=_rank):
            peers.append(_peer(snapshot, plane, now))
        if not found:
            peers.append(_absent(name, config, waiting.get(name, "down")))
    return {
        "schema": SCHEMA,
        "name": config.name,
        "peers": peers,
        "plane": dict(plane.status()),
        "counters": dict(counters),
        **({"pools": {name: dict(one) for name, one in pools.items()}} if pools else {}),
    }


def _rank(snapshot: IkeSnapshot) -> tuple[int, str]:
    place = ORDER.index(snapshot.state) if snapshot.state in ORDER else len(ORDER)
    return place, snapshot.spi_i


def _absent(name: str, config: Config, state: str) -> dict[str, object]:
    peer = config.peers[name]
    return {
        "name": name,
        "state": state,
        "remote": ", ".join(peer.remote.address),
        "local_id": peer.local.id,
        "remote_id": peer.remote.id,
        "spi_i": "",
        "spi_r": "",
        "established_s": None,
        "children": [],
    }


def _peer(snapshot: IkeSnapshot, plane: Plane, now: float) -> dict[str, object]:
    since = snapshot.established_at
    return {
        "name": snapshot.peer,
        "state": snapshot.state,
        "remote": snapshot.remote,
        "local_id": snapshot.local_id,
        "remote_id": snapshot.remote_id,
        "spi_i": snapshot.spi_i,
        "spi_r": snapshot.spi_r,
        "established_s": None if since is None else round(now - since, 3),
        "children": [_child(child, plane) for child in snapshot.children],
        "role": snapshot.role,
        "ike": snapshot.suite,
        "virtual": _virtual(snapshot),
    }


def _virtual(snapshot: IkeSnapshot) -> dict[str, object] | None:
    """What a Configuration payload brought: to us (``ours``), or to the peer."""
    found = snapshot.virtual
    if found is None:
        return None
    return {
        "ours": snapshot.virtual_ours,
        "addresses": list(found.show_addresses()),
        "dns": list(found.show_dns()),
        "domains": list(found.domains),
        "subnets": list(found.show_subnets()),
        "version": found.version,
    }


def _child(child: ChildSnapshot, plane: Plane) -> dict[str, object]:
    usage = _usage(child, plane)
    return {
        "name": child.name,
        "state": child.state,
        "spi_in": f"{child.spi_in:08x}",
        "spi_out": f"{child.spi_out:08x}",
        "mode": child.mode,
        "local": list(child.local),
        "remote": list(child.remote),
        "esp": child.esp,
        "iptfs": child.aggregated,
        "resource": child.resource,
        "encap": "udp" if child.encap else "none",
        "provider": usage.provider + (" (slow)" if usage.slow else ""),
        "bytes_in": usage.bytes_in,
        "bytes_out": usage.bytes_out,
        "packets_in": usage.packets_in,
        "packets_out": usage.packets_out,
        "drops": dict(usage.drops),
        "slow": usage.slow,
        "sequence_out": usage.sequence_out,
    }


def _usage(child: ChildSnapshot, plane: Plane) -> Usage:
    try:
        return plane.usage(child.handle)
    except Exception:
        # Between two events an SA may be gone from the plane while the core still lists it.
        return Usage()

"""Strict reverse-path filters (RFC 3704 section 2.2): the kernel drops what comes from a sender that it would answer by
another device, and the routes of a tunnel may say so of the peer itself."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

from fynx_plugins.tun.plan import Wanted, guarded

SETTINGS = Path("/proc/sys/net/ipv4/conf")
STRICT = 1
EVERYTHING = ip_network("0.0.0.0/0")
REMEDY = "sudo sysctl -w net.ipv4.conf.all.rp_filter=2"


def trouble(wanted: Wanted, own: str) -> str:
    """Whom we do not hear, and what helps; "" when no filter is in the way. IPv6 has none."""
    closed = guarded(wanted) | {network for pair in wanted.pairs.values() for network in pair.remote}
    lost = sorted(str(one) for one in wanted.peers if one.version == 4 and ip_network(one) in closed)
    if not lost and EVERYTHING not in closed:
        return ""
    where = ", ".join(strict(own))
    what = f"nothing that {', '.join(lost)} sends" if lost else "nothing that a peer sends from a new address"
    return f"rp_filter is strict on {where}: {what} gets through; try: {REMEDY}" if where else ""


def strict(own: str) -> tuple[str, ...]:
    """Devices other than ours on which the kernel is strict: the larger of their own value and that of all counts."""
    of_all = _value(SETTINGS / "all" / "rp_filter")
    found = {path.parent.name: _value(path) for path in sorted(SETTINGS.glob("*/rp_filter"))}
    others = {name: value for name, value in found.items() if name not in ("all", "default", "lo", own)}
    return tuple(name for name, value in others.items() if max(of_all, value) == STRICT)


def _value(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0

"""The nftables table of a host: what a TUN device cannot see (RFC 4301 section 5.2, bad-inputs E24).

DISCARD policies, and clear packets from outside whose addresses a tunnel protects, are dropped before anyone acts on
them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fynx.plugin import FynxError, Policy, Selector
from fynx_plugins.tun.plan import Pair
from fynx_plugins.tun.prefixes import Network, inside, networks

WAIT_S = 10.0
ICMP = (1, 58)


@dataclass(frozen=True, slots=True)
class Fence:
    """What the rule set is made of. ``ports`` are those of our own sockets; ``mark`` is on what we send from them."""

    device: str
    mark: int
    ports: tuple[int, ...]
    static: tuple[Policy, ...]
    pairs: tuple[Pair, ...]
    late: tuple[Policy, ...] = ()
    """Static policies that come after a PROTECT: what that takes they do not concern."""
    raw: bool = False
    """ESP comes without UDP too."""

    @property
    def needed(self) -> bool:
        return bool(self.pairs) or any(policy.action == "discard" for policy in (*self.static, *self.late))


def table_name(host: str) -> str:
    return "fynx_" + re.sub(r"[^A-Za-z0-9_]", "_", host)


def ruleset(host: str, fence: Fence) -> str:
    """The rules as one transaction: the table is emptied and filled at once."""
    name = table_name(host)
    head = f"table inet {name} {{}}\ndelete table inet {name}\n"
    if not fence.needed:
        return head
    body = [f"table inet {name} {{", *_outside(fence), *_leaving(fence), "}"]
    return head + "\n".join(body) + "\n"


def apply(text: str) -> None:
    """Blocks for some milliseconds. Raises FynxError when nft is missing or refuses."""
    program = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise FynxError("nft is not installed: DISCARD policies and clear packets from outside cannot be dropped")
    done = subprocess.run([program, "-f", "-"], input=text, capture_output=True, text=True, timeout=WAIT_S, check=False)
    if done.returncode:
        raise FynxError(f"nft: {done.stderr.strip()[:400]}")


def _outside(fence: Fence) -> Iterator[str]:
    yield " chain outside {"
    yield "  type filter hook prerouting priority -150; policy accept;"
    yield f'  iifname {{ "lo", "{fence.device}" }} accept'
    if fence.ports:
        yield f"  udp dport {{ {', '.join(map(str, sorted(set(fence.ports))))} }} accept"
    if fence.raw:
        yield "  meta l4proto esp accept"
    yield "  icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept"
    yield from _both_ways(fence.static)
    yield from _protected(fence.pairs)
    if fence.late:
        yield from _forwarded(fence.pairs)
        yield from _both_ways(fence.late)
    yield " }"


def _both_ways(policies: Iterable[Policy]) -> Iterator[str]:
    for policy in policies:
        verdict = _verdict(policy)
        for near, far in _pairs(policy.local, policy.remote):
            yield f"  {_match(far, near)}{verdict}"
            yield f"  {_match(near, far)}{verdict}"


def _forwarded(pairs: Iterable[Pair]) -> Iterator[str]:
    """On their way to the device."""
    for pair in pairs:
        for near in pair.local:
            for far in pair.remote:
                if near.version == far.version:
                    yield f"  {_addresses(near, far)} accept"


def _protected(pairs: Sequence[Pair]) -> Iterator[str]:
    """Neighbours inside our own networks keep talking although a wider remote selector covers their addresses."""
    for pair in pairs:
        for near in pair.local:
            if any(near != far and inside(near, far) for far in pair.remote):
                yield f"  {_addresses(near, near)} accept"
    for pair in pairs:
        for near in pair.local:
            for far in pair.remote:
                if near.version == far.version:
                    yield f"  {_addresses(far, near)} counter drop".replace("   ", "  ")


def _leaving(fence: Fence) -> Iterator[str]:
    yield " chain leaving {"
    yield "  type filter hook output priority -150; policy accept;"
    yield '  oifname "lo" accept'
    yield f"  meta mark {fence.mark} accept"
    yield from _outward(fence.static)
    if fence.late:
        yield f'  oifname "{fence.device}" accept'
        yield from _outward(fence.late)
    yield " }"


def _outward(policies: Iterable[Policy]) -> Iterator[str]:
    for policy in policies:
        for near, far in _pairs(policy.local, policy.remote):
            yield f"  {_match(near, far)}{_verdict(policy)}"


def _verdict(policy: Policy) -> str:
    return "accept" if policy.action == "bypass" else "counter drop"


def _pairs(local: Iterable[Selector], remote: Sequence[Selector]) -> Iterator[tuple[Selector, Selector]]:
    for near in local:
        for far in remote:
            if len(near.start) == len(far.start):
                yield near, far


def _match(source: Selector, destination: Selector) -> str:
    words = [_range("saddr", source), _range("daddr", destination)]
    protocol = source.protocol or destination.protocol
    if protocol:
        words.append(f"meta l4proto {protocol} ")
        if protocol not in ICMP:
            words += [_ports("sport", source), _ports("dport", destination)]
    return "".join(words)


def _range(side: str, selector: Selector) -> str:
    family = "ip" if len(selector.start) == 4 else "ip6"
    listed = ", ".join(map(str, networks([selector])))
    return f"{family} {side} {{ {listed} }} "


def _ports(side: str, selector: Selector) -> str:
    if (selector.start_port, selector.end_port) == (0, 65535):
        return ""
    return f"th {side} {selector.start_port}-{selector.end_port} "


def _addresses(source: Network, destination: Network) -> str:
    family = "ip" if source.version == 4 else "ip6"
    words = [f"{family} {side} {each}" for side, each in (("saddr", source), ("daddr", destination)) if each.prefixlen]
    return " ".join(words) or f"meta nfproto ipv{source.version}"

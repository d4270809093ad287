"""BYPASS policies as routing rules: what they cover goes to the main table before ours (RFC 4301 section 4.4.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fynx.plugin import Policy, Selector
from fynx_plugins.tun.plan import Rule
from fynx_plugins.tun.prefixes import Network, networks

ICMP = (1, 58)


def bypass_rules(policies: Sequence[Policy]) -> tuple[Rule, ...]:
    """One rule per pair of prefixes. Ports are kept; ICMP types cannot be said in a rule, the whole protocol passes."""
    return tuple(rule for policy in policies if policy.action == "bypass" for rule in _of(policy))


def late(policies: Sequence[Policy]) -> tuple[Policy, ...]:
    """BYPASS and DISCARD that a PROTECT comes before: of what both take it gets all (RFC 4301 section 4.4.1)."""
    protects = [each for each in policies if each.action == "protect"]
    return tuple(
        each
        for each in policies
        if each.action != "protect" and any(one.priority < each.priority and _meet(one, each) for one in protects)
    )


def _meet(one: Policy, other: Policy) -> bool:
    sides = ((one.local, other.local), (one.remote, other.remote))
    return all(
        any(a.start <= b.end and b.start <= a.end for a in x for b in y if len(a.start) == len(b.start))
        for x, y in sides
    )


def _of(policy: Policy) -> Iterator[Rule]:
    for near in policy.local:
        for far in policy.remote:
            if len(near.start) != len(far.start):
                continue
            protocol = near.protocol or far.protocol
            for source in _sources(networks([near])):
                for destination in _sources(networks([far])):
                    yield Rule(
                        "bypass",
                        4 if len(near.start) == 4 else 6,
                        source,
                        destination,
                        protocol,
                        _ports(near, protocol),
                        _ports(far, protocol),
                    )


def _sources(found: Iterable[Network]) -> Iterator[Network | None]:
    for network in found:
        yield network if network.prefixlen else None


def _ports(selector: Selector, protocol: int) -> tuple[int, int] | None:
    whole = (selector.start_port, selector.end_port) == (0, 65535)
    return None if whole or not protocol or protocol in ICMP else (selector.start_port, selector.end_port)

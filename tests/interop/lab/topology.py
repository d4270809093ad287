"""Two hosts and what lies between them: a cable, one NAT, or a NAT before each."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field

from lab.netns import Namespace

OUTER = ("192.0.2.1", "192.0.2.2")
OUTER6 = ("2001:db8::1", "2001:db8::2")
PRIVATE = ("198.18.0.2", "198.19.0.2")
INNER_COUNT = 24


def inner(side: int, number: int = 1) -> str:
    """The ``number``-th inner IPv4 address of a side (0 left, 1 right)."""
    return f"{('198.51.100', '203.0.113')[side]}.{number}"


def inner6(side: int, number: int = 1) -> str:
    return f"fd00:{side + 1}::{number:x}"


@dataclass(slots=True)
class Host:
    """An end of the tunnel: ``address`` is its own, ``seen`` what the other end must dial."""

    side: int
    namespace: Namespace
    address: str
    seen: str
    address6: str = ""


@dataclass(slots=True)
class Topology:
    left: Host
    right: Host
    outside: Namespace
    """Where a capture sees what the world sees, on its ``eth1`` (routed) or ``eth0`` (direct)."""
    outside_link: str = "eth0"
    namespaces: list[Namespace] = field(default_factory=list)

    def __enter__(self) -> Topology:
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as stack:
            for namespace in self.namespaces:
                stack.callback(namespace.delete)


def _inner_addresses(side: int) -> list[str]:
    lines = [f"addr add {inner(side, n)}/32 dev lo" for n in range(1, INNER_COUNT + 1)]
    return lines + [f"addr add {inner6(side, n)}/128 dev lo nodad" for n in range(1, INNER_COUNT + 1)]


def _cable(one: Namespace, link: str, other: Namespace, other_link: str) -> None:
    one.ip(f"link add {link} type veth peer name {other_link} netns {other.name}")


def direct() -> Topology:
    """left eth0 --- eth0 right, with IPv4 and IPv6."""
    spaces = [Namespace("left"), Namespace("right")]
    _cable(spaces[0], "eth0", spaces[1], "eth0")
    hosts = []
    for side, space in enumerate(spaces):
        space.ip(
            "link set eth0 up",
            f"addr add {OUTER[side]}/24 dev eth0",
            f"addr add {OUTER6[side]}/64 dev eth0 nodad",
            *_inner_addresses(side),
        )
        hosts.append(Host(side, space, OUTER[side], OUTER[side], OUTER6[side]))
    return Topology(hosts[0], hosts[1], spaces[1], "eth0", spaces)


def _private_host(side: int, router: Namespace) -> Host:
    space = Namespace(("left", "right")[side])
    gateway = PRIVATE[side].rsplit(".", 1)[0] + ".1"
    _cable(space, "eth0", router, "eth0")
    space.ip("link set eth0 up", f"addr add {PRIVATE[side]}/24 dev eth0", *_inner_addresses(side))
    space.ip(f"route add default via {gateway}")
    router.ip(
        "link set eth0 up", f"addr add {gateway}/24 dev eth0", "link set eth1 up", f"addr add {OUTER[side]}/24 dev eth1"
    )
    router.sysctl("net.ipv4.ip_forward", "1")
    return Host(side, space, PRIVATE[side], OUTER[side])


MASQUERADE = """
table ip nat {
  chain post { type nat hook postrouting priority srcnat; oifname "eth1" masquerade; }
}
"""
INVITE = """
table ip nat {
  chain pre { type nat hook prerouting priority dstnat; iifname "eth1" udp dport { 500, 4500 } dnat to HOST; }
}
"""


def left_behind_nat() -> Topology:
    """left --- router (masquerade) --- right: right cannot reach left first."""
    router, right = Namespace("router"), Namespace("right")
    _cable(router, "eth1", right, "eth0")
    left = _private_host(0, router)
    router.nft(MASQUERADE)
    right.ip("link set eth0 up", f"addr add {OUTER[1]}/24 dev eth0", *_inner_addresses(1))
    host = Host(1, right, OUTER[1], OUTER[1])
    return Topology(left, host, router, "eth1", [left.namespace, router, right])


def both_behind_nat() -> Topology:
    """left --- router --- router --- right; the right router lets UDP 500 and 4500 in."""
    near, far = Namespace("router1"), Namespace("router2")
    _cable(near, "eth1", far, "eth1")
    left, right = _private_host(0, near), _private_host(1, far)
    near.nft(MASQUERADE)
    far.nft(MASQUERADE + INVITE.replace("HOST", right.address))
    return Topology(left, right, near, "eth1", [left.namespace, near, far, right.namespace])


KINDS = {"direct": direct, "left_behind_nat": left_behind_nat, "both_behind_nat": both_behind_nat}

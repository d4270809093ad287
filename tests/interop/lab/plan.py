"""What a tunnel shall be, in neutral words; each daemon's module translates it for its end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from lab.topology import inner

SECRET = "interop-lab-psk-of-32-octets-long"


@dataclass(frozen=True, slots=True)
class Child:
    name: str
    left: tuple[str, ...]
    right: tuple[str, ...]
    esp: tuple[str, ...] = ("aes128gcm16",)


@dataclass(frozen=True, slots=True)
class Plan:
    """One connection between left and right. Names are unique within a run of the daemons.

    Where the ends are to disagree each gets a plan of its own. An identity that is None is not known to the other end,
    which then takes any and, as initiator, sends no IDr. Empty proposals mean the daemon's defaults.
    """

    name: str = "net"
    left_id: str | None = "left.test"
    right_id: str | None = "right.test"
    secret: str = SECRET
    ike: tuple[str, ...] = ("aes128gcm16-prfsha256-x25519",)
    children: tuple[Child, ...] = field(default=(Child("lan", (f"{inner(0)}/32",), (f"{inner(1)}/32",)),))
    ipv6: bool = False

    def identity(self, side: int) -> str | None:
        return (self.left_id, self.right_id)[side]

    def with_esp(self, *esp: str) -> Plan:
        return replace(self, children=tuple(replace(child, esp=esp) for child in self.children))

    def with_networks(self, left: tuple[str, ...], right: tuple[str, ...]) -> Plan:
        return replace(self, children=(replace(self.children[0], left=left, right=right),))


def networks(child: Child, side: int) -> tuple[str, ...]:
    return (child.left, child.right)[side]


def numbered(number: int, *, ike: str, esp: str) -> Plan:
    """The ``number``-th of many plans that live beside each other: own names, identities and inner addresses."""
    child = Child(f"lan{number}", (f"{inner(0, number)}/32",), (f"{inner(1, number)}/32",), (esp,))
    return Plan(f"net{number}", f"left-{number}.test", f"right-{number}.test", f"{SECRET}-{number}", (ike,), (child,))

"""Sixteen gateways on either side of one world, each with a tunnel to each on the other side: to start one takes longer
than all else that a test of a pair does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.netns.world import COUNTERS, SECRET, SIDES, Gateway, Pair, Place, clear, run
from tests.sanitizers import Sanitized


class Node(Gateway):
    """The ``number``-th of its side."""

    def __init__(self, place: Place, side: str, number: int, folder: Path, sanitizer: Sanitized | None) -> None:
        super().__init__(place, side, folder, sanitizer)
        near, self.number = SIDES.index(side) + 1, number
        self.outer, self.outer6 = f"198.{17 + near}.{number}.1", f"2001:db8:{near}{number:02}::1"
        self.inner, self.inner6 = f"10.{near}.{number}.1", f"fd00:{near}:{number}::1"
        self.network, self.network6 = f"10.{near}.{number}.0/24", f"fd00:{near}:{number}::/64"

    def meet(self, others: Sequence[Node], *, six: bool) -> None:
        self.site["peers"] = {
            f"{other.side}{other.number}": {
                "remote": {
                    "address": other.outer6 if six else other.outer,
                    "id": f"{other.side}{other.number}.test",
                    "auth": {"psk": {"secret": SECRET}},
                },
                "local": {"id": f"{self.side}{self.number}.test", "auth": {"psk": {"secret": SECRET}}},
                "start": "none",
                "children": {
                    "net": {
                        "local": [self.network, self.network6],
                        "remote": [other.network, other.network6],
                    }
                },
            }
            for other in others
        }


class Mesh:
    """``delete`` is all that needs to be called, whatever happened; ``check`` tells what a sanitizer said."""

    def __init__(self, folder: Path, count: int, sanitizer: Sanitized | None) -> None:
        self.folder, self.sanitizer = folder, sanitizer
        self.places: list[Place] = []
        self.nodes: dict[str, list[Node]] = {side: [] for side in SIDES}
        try:
            self._make(count)
        except BaseException:
            self.delete()
            raise

    def _make(self, count: int) -> None:
        self.world = self._place("world")
        for side in SIDES:
            for number in range(count):
                self._node(side, number)
        for family in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            self.world.inside("sh", "-c", f"echo 1 > /proc/sys/net/{family}")
        self.world.inside("nft", "-f", "-", stdin=COUNTERS)

    def _place(self, role: str) -> Place:
        self.places.append(Place(role))
        return self.places[-1]

    def _node(self, side: str, number: int) -> None:
        place, port = self._place(f"{side}{number}"), f"{side}{number}"
        folder = self.folder / port
        folder.mkdir()
        node = Node(place, side, number, folder, self.sanitizer)
        self.nodes[side].append(node)
        run("ip", "-n", place.name, "link", "add", "eth0", "type", "veth", "peer", port, "netns", self.world.name)
        gate, gate6 = node.outer.removesuffix("1") + "254", node.outer6.removesuffix("1") + "fe"
        place.ip(
            f"addr add {node.outer}/24 dev eth0",
            f"addr add {node.outer6}/64 dev eth0 nodad",
            f"addr add {node.inner}/32 dev lo",
            f"addr add {node.inner6}/128 dev lo nodad",
            "link set eth0 up",
            f"route add default via {gate}",
            f"route add default via {gate6}",
        )
        self.world.ip(f"addr add {gate}/24 dev {port}", f"addr add {gate6}/64 dev {port} nodad", f"link set {port} up")

    def start(self, *, six: bool) -> None:
        lefts, rights = self.nodes["left"], self.nodes["right"]
        for node in (*lefts, *rights):
            node.meet(rights if node in lefts else lefts, six=six)
            node.launch()
        for node in (*lefts, *rights):
            node.wait(300)

    def each_pair(self, work: Callable[[Pair], object], at_once: int) -> list[tuple[Pair, BaseException]]:
        """All pairs, so many at once that have no gateway in common; what was raised in which."""
        failed = []
        count = len(self.nodes["left"])
        with ThreadPoolExecutor(at_once) as pool:
            for turn in range(count):
                pairs = [self._pair(number, (number + turn) % count) for number in range(count)]
                found = [(pair, pool.submit(work, pair)) for pair in pairs]
                failed += [(pair, error) for pair, done in found if (error := done.exception()) is not None]
        return failed

    def _pair(self, near: int, far: int) -> Pair:
        return Pair(self.world, self.nodes["left"][near], self.nodes["right"][far], (f"left{near}", f"right{far}"))

    def clear(self) -> int:
        return clear(self.world)

    def stop(self) -> None:
        for nodes in self.nodes.values():
            for node in nodes:
                node.stop()

    def check(self) -> None:
        """No gateway's plane did what a sanitizer calls a fault."""
        for nodes in self.nodes.values():
            for node in nodes:
                assert not node.faults(), node.faults()[:20_000]

    def delete(self) -> None:
        for nodes in self.nodes.values():
            for node in nodes:
                node.cleanup()
        for place in self.places:
            place.delete()

"""A long transfer while everything changes under it: keys of both kinds, the SA that sends, the NAT's ports, workers.

What the network itself drops is none of our business: here it drops nothing, and so nothing may be missing. And all ESP
that was seen outside, over these changes and over restarts of a whole host, has no pair of key and IV twice.
"""

from __future__ import annotations

import csv
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.netns.numbered import stream
from tests.netns.test_offloads import carry
from tests.netns.test_workers import begin, bound, more, restarts
from tests.netns.wire import captured
from tests.netns.world import INNER, OUTER, Gateway, World, until

pytestmark = pytest.mark.sanitized

PORTS = (500, 4500)
PUBLIC = "198.51.100.254"
"""Of the NAT before ``left``, in the network of ``right``."""


def translate(world: World, bindings: list[int]) -> None:
    """Left is seen with ports of the newest binding; what comes to an older one still finds it. No state is kept."""
    newest = bindings[-1]
    out = [f'iifname "eth0" udp sport {port} ip saddr set {PUBLIC} udp sport set {newest + port}' for port in PORTS]
    into = [
        f'iifname "eth1" ip daddr {PUBLIC} udp dport {binding + port} ip daddr set {OUTER["left"]} udp dport set {port}'
        for binding in bindings
        for port in PORTS
    ]
    rules = ["table ip nat {}", "delete table ip nat", "table ip nat {"]
    rules += [" chain out { type filter hook forward priority 0;", *out, " }"]
    rules += [" chain into { type filter hook prerouting priority -150;", *into, " }", "}"]
    world.world.inside("nft", "-f", "-", stdin="\n".join(rules) + "\n")


class Trouble:
    """What happens to the tunnel, in turn, for as long as it takes; each counted where it happened."""

    def __init__(self, world: World) -> None:
        self.world, self.turns = world, 0
        self.left, self.right = (world.gateways[side] for side in ("left", "right"))
        self.bindings = [10_000]
        translate(world, self.bindings)

    def once(self) -> None:
        number = self.turns
        self.turns += 1
        gateway = (self.left, self.right)[number // 5 % 2]
        steps: tuple[Callable[[], object], ...] = (
            lambda: gateway.order("rekey", peer=gateway.other, child="net"),
            self.rebind,
            lambda: gateway.order("restart_worker", number=1 + number // 5 % 2),
            lambda: gateway.order("rekey", peer=gateway.other),
            lambda: self.left.order("restart_worker", number=2),
        )
        steps[number % 5]()
        more(self.right, 100)

    def rebind(self) -> None:
        self.bindings.append(self.bindings[-1] + 1000)
        translate(self.world, self.bindings)
        seen = f"{PUBLIC}:{self.bindings[-1] + 4500}"
        until(lambda: any(seen in peer["remote"] for peer in self.right.status()["peers"]), f"right follows to {seen}")


def trouble(world: World, *, per_worker: bool = True) -> Trouble:
    for gateway in world.gateways.values():
        gateway.child["per_worker"] = per_worker
        gateway.peer["liveness_s"] = 5.0
    world.gateways["right"].peer["remote"]["address"] = PUBLIC
    made = Trouble(world)
    begin(world, 2)
    return made


def both_ways(world: World, octets: int, over: threading.Event) -> threading.Thread:
    left, right = world.gateways["left"], world.gateways["right"]

    def run() -> None:
        while not over.is_set():
            carry(left, right, INNER["right"], "tcp", octets)
            carry(right, left, INNER["left"], "tcp", octets)

    return threading.Thread(target=run)


def shaken(world: World, turns: int, octets: int) -> None:
    """Numbered packets each way, files whose hashes are compared, and a change of the tunnel after the other."""
    made, over = trouble(world), threading.Event()
    left, right = made.left, made.right
    failed: list[object] = []
    before, threading.excepthook = threading.excepthook, lambda what: failed.append(what.exc_value)
    files = both_ways(world, octets, over)
    files.start()
    try:
        with (
            stream(left, right, INNER["left"], INNER["right"]) as out,
            stream(right, left, INNER["right"], INNER["left"]) as back,
        ):
            for _ in range(turns):
                made.once()
    finally:
        over.set()
        files.join(100)
        threading.excepthook = before
    assert failed == []
    assert min(out.sent, back.sent) > 1000
    assert (out.lost, out.twice, back.lost, back.twice) == (0, 0, 0, 0)
    assert restarts(left) >= turns // 5
    assert len(made.bindings) > turns // 5
    for gateway in (left, right):
        until(lambda gateway=gateway: set(bound(gateway)) == {0, 1, 2}, f"an SA for each worker: {gateway.log()}")


def test_nothing_is_lost_over_rekeys_swaps_rebindings_and_restarts_of_workers(world: World) -> None:
    shaken(world, 10, 8_000_000)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_nothing_is_lost_over_many_of_them(world: World) -> None:
    shaken(world, 200, 50_000_000)


def packets(file: Path) -> Iterator[tuple[str, int, bytes]]:
    """Destination, SPI and IV of each ESP packet of a capture (classic pcap, Ethernet)."""
    data = file.read_bytes()
    at = 24
    while at < len(data):
        length = int.from_bytes(data[at + 8 : at + 12], "little")
        frame, at = data[at + 16 : at + 16 + length], at + 16 + length
        esp = frame[14 + 20 + 8 :]
        if len(esp) >= 16 and int.from_bytes(esp[:4], "big"):
            yield ".".join(map(str, frame[30:34])), int.from_bytes(esp[:4], "big"), esp[8:16]


def keys_of(*files: Path) -> dict[tuple[str, int], str]:
    """Destination and SPI to key, from what the hosts wrote for Wireshark."""
    rows = [
        line.split("uat:esp_sa:", 1)[1] for file in files for line in file.read_text().splitlines() if "esp_sa" in line
    ]
    return {(row[2], int(row[3], 16)): row[5] for row in csv.reader(rows)}


def test_no_key_and_iv_come_twice_over_restarts_swaps_and_threads(world: World, left: Gateway, right: Gateway) -> None:
    """Two workers on SAs of their own, each restarted; keys swapped by both ends; then a whole host killed and begun
    anew, which must never go on with an old key. Forks have row E18."""
    logs = {side: world.folder / f"{side}.keys" for side in world.gateways}
    for gateway in (left, right):
        gateway.child["per_worker"] = gateway is left
        gateway.site["plugins"] = ["default", "+keylog"]
        gateway.site["host"]["keylog"] = str(logs[gateway.side])
        gateway.place.inside("ethtool", "-K", "eth0", "tx-udp-segmentation", "off")
    file = world.folder / "outside.pcap"
    with captured(world.world, "eth0", file, "udp port 4500", "-s", "96", "-B", "64") as wire:
        begin(world, 2)
        with stream(left, right, INNER["left"], INNER["right"]), stream(right, left, INNER["right"], INNER["left"]):
            for worker in (1, 2):
                left.order("restart_worker", number=worker)
                right.order("restart_worker", number=worker)
                more(right, 200)
            left.order("rekey", peer="right", child="net")
            right.order("rekey", peer="left", child="net")
            more(right, 200)
        left.kill()
        left.start()
        left.up()
        with stream(left, right, INNER["left"], INNER["right"]):
            left.order("restart_worker", number=1)
            more(right, 200)
        wire.settle()
    keys = keys_of(*logs.values())
    seen = [(to, spi, iv) for to, spi, iv in packets(file)]
    unknown = {(to, spi) for to, spi, _ in seen} - keys.keys()
    assert not unknown, json.dumps([f"{to} {spi:08x}" for to, spi in sorted(unknown)])
    assert len({spi for _, spi, _ in seen}) >= 4, "of several SAs"
    pairs = Counter((keys[to, spi], iv) for to, spi, iv in seen)
    assert len(seen) > 800
    assert [pair for pair, times in pairs.items() if times > 1] == []

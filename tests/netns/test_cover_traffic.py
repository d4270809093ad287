"""What the outside sees of two gateways that hide when they talk: a constant rate (RFC 9347 section 2.2), and dummies
(RFC 4303 section 2.6) that tshark opens with our keys."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.netns.test_offloads import begin, carry
from tests.netns.wire import Wire, captured, shark
from tests.netns.world import INNER, OUTER, Gateway, World, until

pytestmark = pytest.mark.sanitized

UDP_HEADER = 8


def esp(world: World, file: Path, sender: str) -> AbstractContextManager[Wire]:
    """The ESP packets of one side."""
    wanted = f"src {OUTER[sender]} and udp port 4500 and udp[4:2] > 12 and udp[8:4] != 0"
    return captured(world.world, "eth0", file, wanted)


def count(gateway: Gateway, name: str) -> int:
    return int(gateway.status()["plane"]["counters"][name])


def test_silence_and_traffic_look_the_same_at_a_constant_rate(world: World, left: Gateway, right: Gateway) -> None:
    for gateway in world.gateways.values():
        gateway.child["iptfs"] = {"packet_size": 500, "rate": 400}
    begin(world, {"left": {}, "right": {}})
    lengths = set()
    for side, gateway in world.gateways.items():
        before = count(gateway, "packets_out")
        silence, busy = (world.folder / f"{side}-{name}.pcap" for name in ("silence", "busy"))
        with esp(world, silence, side) as wire:
            wire.more(50)
        assert count(gateway, "packets_out") == before, "nobody said anything"
        with esp(world, busy, side) as wire:
            assert gateway.place.ping(INNER[gateway.other], source=INNER[side], size=1200, count=3)
            wire.more(50)
        for each in (silence, busy):
            lengths |= {int(one) for one in shark(each, None, "udp", "udp.length")}
    # Packets that were late leave together, in one datagram that a device with a wire would segment.
    each_one = min(lengths) - UDP_HEADER
    assert {(length - UDP_HEADER) % each_one for length in lengths} == {0}, lengths
    carry(left, right, INNER["right"], "tcp", 100_000)
    carry(right, left, INNER["left"], "udp1200", 30_000)
    assert left.place.ping(INNER["right"], source=INNER["left"], size=20_000)
    for gateway in (left, right):
        assert 0 < count(gateway, "idle_out") < count(gateway, "aggregates_out")
    assert world.clear() == 0


def test_dummies_by_the_clock_and_by_command_have_no_next_header(world: World, left: Gateway, right: Gateway) -> None:
    keys = world.folder / "keys"
    left.site["host"]["keylog"] = str(keys)
    left.site["plugins"] = ["default", "+keylog"]
    left.child["dummies"] = {"interval_s": 0.02, "size": 200}
    begin(world, {"left": {}, "right": {}})
    file = world.folder / "esp.pcap"
    with esp(world, file, "left") as wire:
        assert left.place.ping(INNER["right"], source=INNER["left"], count=3)
        wire.more(27)
    bodies = shark(file, keys, "esp.icv_good == 1", "data.data")
    assert len(bodies) >= 30
    dummies = bodies.count("00" * 200 + "0102" + "02" + "3b")
    assert dummies == len(bodies) - 3, "zeros, padding, its length, next header 59"
    assert len(shark(file, keys, "icmp.type == 8", "icmp.seq")) == 3
    until(lambda: count(right, "drop_dummy") > 20, "the peer drops them unseen")
    assert count(right, "packets_in") == 3
    assert count(right, "dummies_out") == 0
    right.ask("dummies", "left", "net", "--count", "70", "--size", "1000")
    assert count(right, "dummies_out") == 70
    until(lambda: count(left, "drop_dummy") == 70, "and so does left")
    refused = right.ask("dummies", "left", "--size", "9", check=False)
    assert refused.returncode != 0
    assert "20 to 9000 octets" in refused.stderr

"""Two gateways with plugins of other distributions, UDP blocked between them: IKE and ESP in TCP (RFC 9329)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fresh import Fresh
from tests.netns.test_tcp import transfer
from tests.netns.world import INNER, OUTER, Gateway, World, until

NO_UDP = """
table inet blocked {
  counter barred {}
  chain passing { type filter hook prerouting priority -200; meta l4proto udp counter name barred drop; }
}
"""


class TcpGateway(Gateway):
    """``fynx run`` of the environment in which the plugins are installed."""

    fresh: Fresh

    @property
    def line(self) -> tuple[str, ...]:
        return str(self.fresh.python), "-m", "fynx", "run", "-c", str(self.file)


@pytest.fixture
def gateways(world: World, fresh: Fresh) -> tuple[Gateway, Gateway]:
    world.world.inside("nft", "-f", "-", stdin=NO_UDP)
    for side, old in world.gateways.items():
        made = TcpGateway(old.place, side, old.folder)
        made.fresh = fresh
        made.site["plugins"] = ["default", "+tcp", "+private_gcm"]
        made.site["providers"] = ["private_gcm", "libcrypto"]
        made.site["host"]["transport"] = {"tcp": {"listen": [OUTER[side]]}}
        made.child["esp"] = ["privategcm128"]
        world.gateways[side] = made
    return world.gateways["left"], world.gateways["right"]


def test_a_tunnel_in_TCP_carries_packets_where_UDP_is_blocked(
    world: World, gateways: tuple[Gateway, Gateway], tmp_path: Path
) -> None:
    left, right = gateways
    world.start()
    left.up()
    until(right.established, "the other side stands")
    assert left.place.ping(INNER["right"], source=INNER["left"], count=5)
    assert right.place.ping(INNER["left"], source=INNER["right"], count=5, size=1300)
    assert world.clear() == 0
    (peer,) = left.status()["peers"]
    (child,) = peer["children"]
    assert child["provider"] == "private_gcm"
    assert left.status()["plane"]["slow"] == []
    file = tmp_path / "file"
    file.write_bytes(bytes(range(256)) * 4096)
    assert transfer(left.place, right.place, INNER["right"], file)
    assert "packets 0 " in world.world.inside("nft", "list", "counter", "inet", "blocked", "barred")


def test_a_stream_that_breaks_is_opened_again_and_the_tunnel_goes_on(
    world: World, gateways: tuple[Gateway, Gateway]
) -> None:
    left, right = gateways
    world.start()
    left.up()
    until(right.established, "the other side stands")
    assert left.place.ping(INNER["right"], source=INNER["left"])
    assert left.place.inside("ss", "-K", "dport", "=", ":4500") != ""
    until(lambda: left.place.ping(INNER["right"], source=INNER["left"], wait_s=1), "packets pass again")
    assert left.status()["peers"][0]["state"] == "established"

"""Bad input S9 with real ICMP: what the kernel or a router says is heard, the peer is asked once, nothing is lost."""

from __future__ import annotations

import socket
import sys

import pytest

from fynx.plugin import Datagram, Path
from fynx_plugins.udp.config import UdpConfig
from fynx_plugins.udp.port import UdpTransport
from tests.netns.world import INNER, OUTER, Gateway, World, until
from tests.unit.run.pair import run, soon

FORGE = f"""
from scapy.all import ICMP, IP, UDP, send
lie = IP(src={OUTER["right"]!r}, dst={OUTER["left"]!r}) / ICMP(type=3, code=3)
send(lie / IP(src={OUTER["left"]!r}, dst={OUTER["right"]!r}) / UDP(sport=4500, dport=4500), count=200, verbose=0)
"""


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_s9_the_port_says_which_datagram_found_nobody(address: str) -> None:
    async def test() -> None:
        told: list[Path] = []
        port = await UdpTransport().open(UdpConfig(listen=(address,), ports=(0,)), lambda _datagram: None)
        getattr(port, "on_unreachable")(told.append)  # noqa: B009  no part of every port
        port.attach()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as closed:
            closed.bind((address, 0))
            nobody = closed.getsockname()[1]
        path = Path(address, port.local[0].local_port, address, nobody)
        with socket.socket(family, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"not ours", (address, nobody))  # its complaint is not for us
            port.send([Datagram(path, b"anybody?")])
            await soon(lambda: told)
        assert told == [path]
        port.close()

    run(test)


def hinted(gateway: Gateway) -> int:
    return int(gateway.status()["counters"].get("hint_unreachable", 0))


def test_s9_a_peer_that_was_killed_is_noticed_by_its_kernels_icmp(world: World, left: Gateway, right: Gateway) -> None:
    left.peer["liveness_s"] = 3600
    world.start()
    left.up()
    right.kill()
    assert world.left.silent(INNER["right"])
    until(lambda: not left.established(), "asked because of ICMP, long before its time, and found dead")
    assert hinted(left) == 1
    assert world.clear() == 0


@pytest.mark.parametrize("first", ["left", "right"])
def test_s9_forged_icmp_takes_no_tunnel_away(world: World, left: Gateway, first: str) -> None:
    """``first``: who initiates; the one that is lied to is left."""
    for gateway in world.gateways.values():
        gateway.peer["liveness_s"] = 3600
    world.start()
    world.gateways[first].up()
    world.world.inside(sys.executable, "-c", FORGE)
    until(lambda: hinted(left), "the lie is heard")
    assert world.left.ping(INNER["right"])
    assert hinted(left) == 1
    assert left.established()
    assert world.clear() == 0

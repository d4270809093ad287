"""What the plugins of the how-tos say they do, they do: the parts that the conformance kit does not look at."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import fynx
from fynx.api.datagram import Datagram, parse
from fynx.config import load
from fynx.ike.effects import StartExchange
from fynx.kernel.file import from_file
from fynx.kernel.loader import boot
from fynx.kernel.registry import Registry
from fynx.run.host import Host
from fynx.testing.kit.tunnel import Wanted, tunnel

HOWTO = Path(__file__).resolve().parents[2] / "docs" / "howto"
KEY = "a key for the examples, long enough to be good"
MIRROR = f"""
name: mirror
host: {{transport: {{udp: {{listen: ["127.0.0.1"], ports: [0]}}}}, plane: {{mirror: {{}}}}}}
peers:
  branch:
    remote: {{address: any, id: branch.example.net, auth: {{psk: {{secret: "{KEY}"}}}}}}
    local: {{id: hq.example.net, auth: {{psk: {{secret: "{KEY}"}}}}}}
    start: none
    children: {{lan: {{local: 10.2.0.0/16, remote: 10.1.0.0/16}}}}
"""


def booted(page: str, folder: Path) -> Registry:
    found = re.search(r'^```python\n("""(\w+): .*?)^```', (HOWTO / page).read_text(), re.DOTALL | re.MULTILINE)
    assert found
    path = folder / f"{found[2]}.py"
    path.write_text(found[1])
    return boot(["default"], files=[from_file(path)])


def test_the_plane_of_the_howto_sends_each_packet_back(tmp_path: Path) -> None:
    async def story() -> bytes:
        registry = booted("dataplane.md", tmp_path)
        host = Host(load(MIRROR, registry=registry), registry)
        await host.start()
        try:
            assert host.port is not None
            at = ("127.0.0.1", host.port.local[0].local_port)
            networks = {"local_networks": ("10.1.0.0/16",), "remote_networks": ("10.2.0.0/16",)}
            auth = fynx.psk("branch.example.net", KEY)
            async with fynx.connect(at, auth=auth, remote_id="hq.example.net", **networks) as branch:
                await branch.send_packet(Datagram("10.1.0.7", "10.2.0.9", b"who is there?").packet())
                return await asyncio.wait_for(branch.recv_packet(), 60)
        finally:
            await host.stop()

    back = parse(asyncio.run(story()))
    assert back is not None
    assert (back.source, back.target, back.payload) == ("10.2.0.9", "10.1.0.7", b"who is there?")


def test_the_exchange_of_the_howto_brings_the_octets_back(tmp_path: Path) -> None:
    async def story() -> list[object]:
        async with tunnel(Wanted(), booted("extension.md", tmp_path)) as both:
            both.left.driver.command(StartExchange("right", 242))
            async with asyncio.timeout(60):
                while not any(type(one).__name__ == "Echoed" for one in both.events):
                    await asyncio.sleep(0.01)
            return [one.right for one in both.events if type(one).__name__ == "Echoed"]  # type: ignore[attr-defined]

    assert asyncio.run(story()) == [True]

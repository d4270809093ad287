"""Two sites: a gateway from YAML, as the daemon runs it, and one made in the program; each speaks for a network."""

import asyncio

import fynx
from fynx.api.datagram import Datagram, parse

KEY = "replace this key by one from: fynx psk gen"
YAML = f"""
name: branch
host:
  transport: {{udp: {{listen: ["127.0.0.1"], ports: [0]}}}}
  plane: {{inproc: {{}}}}
peers:
  hq:
    remote: {{address: 127.0.0.1, port: PORT, id: hq.example.net, auth: {{psk: {{secret: "{KEY}"}}}}}}
    local: {{id: branch.example.net, auth: {{psk: {{secret: "{KEY}"}}}}}}
    start: none
    children: {{lan: {{local: 10.1.0.0/16, remote: 10.2.0.0/16}}}}
"""


async def main() -> None:
    config = (
        fynx.ServerConfig.builder()
        .with_local_id("hq.example.net")
        .with_psk(KEY)
        .with_networks(local=["10.2.0.0/16"], remote=["10.1.0.0/16"])
        .build()
    )
    async with fynx.serve("127.0.0.1:0", config=config) as hq:
        port = hq.local_addr()[1]
        async with fynx.gateway(YAML.replace("PORT", str(port))) as branch:
            await branch.up("hq")
            _, site = await hq.accept()
            branch.send_batch([Datagram("10.1.0.7", "10.2.0.9", b"from the branch").packet()])
            heard = parse(await site.recv_packet())
            print(heard.payload.decode() if heard is not None else "?")
            await site.send_packet(Datagram("10.2.0.9", "10.1.0.7", b"from headquarters").packet())
            heard = parse(await branch.recv_packet())
            print(heard.payload.decode() if heard is not None else "?")


if __name__ == "__main__":
    asyncio.run(main())

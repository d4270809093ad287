"""Client and server in one program, on loopback, with a port that the system chooses; no privilege needed."""

import asyncio

import fynx
from fynx.api.addresses import SERVER
from fynx.api.datagram import Datagram, parse

KEY = "replace this key by one from: fynx psk gen"


async def echo(server: fynx.IpsecServer) -> None:
    _, session = await server.accept()
    while True:
        await session.send_batch([reply(packet) for packet in await session.recv_batch()])


def reply(packet: bytes) -> bytes:
    asked = parse(packet)
    if asked is None:
        raise ValueError("only UDP is expected here")
    return asked.reply(asked.payload).packet()


async def main() -> None:
    async with fynx.serve("127.0.0.1:0", auth=fynx.psk("server.example", KEY)) as server:
        task = asyncio.create_task(echo(server))
        auth = fynx.psk("client.example", KEY)
        async with fynx.connect(server.local_addr(), auth=auth, remote_id="server.example") as tunnel:
            sent = [Datagram(tunnel.address, str(SERVER), str(number).encode()).packet() for number in range(100)]
            await tunnel.send_batch(sent)
            got: list[bytes] = []
            while len(got) < len(sent):
                got += await tunnel.recv_batch()
        task.cancel()
    print(f"{len(got)} packets came back")


if __name__ == "__main__":
    asyncio.run(main())

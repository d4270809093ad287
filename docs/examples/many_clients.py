"""A hundred clients on one server, at once, each exchanging data over loopback: python many_clients.py [COUNT]."""

import asyncio
import sys
import time

import fynx
from fynx.api.addresses import SERVER
from fynx.api.datagram import Datagram, parse

KEY = "replace this key by one from: fynx psk gen"


async def answer(session: fynx.IpsecSession) -> None:
    async for packet in session:
        asked = parse(packet)
        if asked is not None:
            await session.send_packet(asked.reply(asked.payload).packet())


async def ask(server: tuple[str, int], number: int, everyone: asyncio.Barrier) -> bool:
    auth = fynx.psk(f"client-{number}.example", KEY)
    async with fynx.connect(server, auth=auth, remote_id="server.example") as tunnel:
        await everyone.wait()  # all tunnels stand
        said = f"client {number}".encode()
        await tunnel.send_packet(Datagram(tunnel.address, str(SERVER), said).packet())
        heard = parse(await tunnel.recv_packet())
        await everyone.wait()  # and none goes before all have their answer
        return heard is not None and heard.payload == said


async def main(count: int) -> None:
    async with fynx.serve("127.0.0.1:0", auth=fynx.psk("server.example", KEY)) as server:

        async def accept() -> None:
            async with asyncio.TaskGroup() as sessions:
                async for session in server:
                    sessions.create_task(answer(session))

        task, everyone = asyncio.create_task(accept()), asyncio.Barrier(count + 1)
        began = time.perf_counter()
        async with asyncio.TaskGroup() as clients:
            asking = [clients.create_task(ask(server.local_addr(), number, everyone)) for number in range(count)]
            await everyone.wait()
            print(f"{server.session_count()} sessions at once")
            await everyone.wait()
        right = sum(each.result() for each in asking)
        print(f"{right} of {count} clients got their own answer in {time.perf_counter() - began:.2f} s")
        await server.shutdown()
        await task


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))

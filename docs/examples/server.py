"""A server that answers every packet: python server.py ADDRESS:PORT LOCAL_ID PSK. Port 0 is printed when known."""

import asyncio
import sys

import fynx
from fynx.api.datagram import parse


async def answer(session: fynx.IpsecSession) -> None:
    print(f"{session.peer_id} is here", flush=True)
    async for packet in session:
        said = parse(packet)
        if said is not None:
            await session.send_packet(said.reply(b"you said: " + said.payload).packet())
    print(f"{session.peer_id} is gone", flush=True)


async def main(address: str, local_id: str, psk: str) -> None:
    async with fynx.serve(address, auth=fynx.psk(local_id, psk)) as server, asyncio.TaskGroup() as tasks:
        host, port = server.local_addr()
        print(f"listening on {host}:{port}", flush=True)
        async for session in server:
            tasks.create_task(answer(session))


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:4]))
    except KeyboardInterrupt:
        print("goodbye")

"""A client that says one thing: python client.py ADDRESS:PORT LOCAL_ID REMOTE_ID PSK."""

import asyncio
import sys

import fynx
from fynx.api.addresses import SERVER
from fynx.api.datagram import Datagram, parse


async def main(address: str, local_id: str, remote_id: str, psk: str) -> None:
    async with fynx.connect(address, auth=fynx.psk(local_id, psk), remote_id=remote_id) as tunnel:
        print(f"connected to {tunnel.peer_id}, our address is {tunnel.address}")
        await tunnel.send_packet(Datagram(tunnel.address, str(SERVER), b"hello").packet())
        heard = parse(await tunnel.recv_packet())
        print(heard.payload.decode() if heard is not None else "something else than UDP")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))

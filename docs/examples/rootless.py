"""A web page through a tunnel, without root.

python rootless.py GATEWAY LOCAL_ID REMOTE_ID PSK INNER_ADDRESS REMOTE_NETWORK HOST PORT
"""

import asyncio
import hashlib
import sys

import fynx


async def main(gateway: str, local_id: str, remote_id: str, psk: str, *inside: str) -> None:
    inner, network, host, port = inside
    networks = {"local_networks": (inner,), "remote_networks": (network,)}
    async with fynx.connect(gateway, auth=fynx.psk(local_id, psk), remote_id=remote_id, **networks) as tunnel:
        reader, writer = await tunnel.open_connection(host, int(port))
        writer.write(f"GET /file HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        _, _, page = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        print(f"{len(page)} octets, SHA-256 {hashlib.sha256(page).hexdigest()}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

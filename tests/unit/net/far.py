"""The far end in a process of its own: a gateway from YAML without privileges, and servers inside its tunnel.

``python far.py CONFIG CERTIFICATE``: prints its UDP port, then a line for each thing that its servers see.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
import sys

import fynx

GATEWAY, ECHO, HASH, DEAF, RUDE, TALK, WATCH, DATAGRAMS, BACK, TLS = "203.0.113.1", 7, 8, 9, 10, 11, 12, 13, 14, 15
"""Inner address of this end, and its ports."""


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All that comes, until the other side half closes; then so do we."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


async def digest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads to the end of the stream, answers its SHA-256: the half close works both ways."""
    seen = hashlib.sha256()
    while data := await reader.read(1 << 16):
        seen.update(data)
    writer.write(seen.digest())
    writer.close()


async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads nothing until the program says so by UDP: back-pressure."""
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await HEARING.wait()
    writer.transport.resume_reading()  # type: ignore[attr-defined]
    await digest(reader, writer)


async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A word, then RST."""
    await reader.readexactly(1)
    writer.transport.abort()


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends a megabyte at once and closes: what was written still goes out."""
    writer.write(bytes(range(256)) * 4096)
    writer.close()


async def watch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says how the connection ended."""
    try:
        await reader.read()
        print("ended", flush=True)
    except ConnectionResetError:
        print("reset", flush=True)
    writer.close()


HEARING = asyncio.Event()


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data == b"hear":
            HEARING.set()
        self.transport.sendto(data, addr)


async def main(config: str, certificate: str) -> None:
    async with fynx.gateway(config) as gateway:
        print(gateway.host.port.local[0].local_port, flush=True)  # type: ignore[union-attr]
        async for event in gateway.events():
            if isinstance(event, fynx.events.ChildUp):
                break
        gateway.attach(GATEWAY)
        handlers = {ECHO: echo, HASH: digest, DEAF: deaf, RUDE: rude, TALK: talk, WATCH: watch}
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)

        async def back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            """Calls the caller on the port that it names."""
            port = int(await reader.readline())
            _, other = await gateway.open_connection(writer.get_extra_info("peername")[0], port)
            other.write(b"called back")
            other.close()
            writer.close()

        def secure(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # the first octets are TLS's

            async def talk() -> None:
                await writer.start_tls(tls)
                await echo(reader, writer)

            talking.append(asyncio.ensure_future(talk()))

        talking: list[asyncio.Future[None]] = []
        handlers |= {BACK: back, TLS: secure}
        servers = [await gateway.start_server(handler, port) for port, handler in handlers.items()]
        await gateway.create_datagram_endpoint(Echo, port=DATAGRAMS)
        print("serving", flush=True)
        await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

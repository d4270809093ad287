"""Two streams joined: what comes in on one goes out on the other, half closes and resets included."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

CHUNK = 1 << 16
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def splice(one: Streams, other: Streams) -> None:
    """Until both directions have ended; a failure of one resets both, and so does cancelling."""
    whole = False
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_pump(one[0], other[1]))
            both.create_task(_pump(other[0], one[1]))
        whole = True
    except* OSError:
        pass
    finally:
        for writer in (one[1], other[1]):
            if not whole:
                reset(writer)
            await hang_up(writer)


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(CHUNK):
        target.write(data)
        await target.drain()
    if target.can_write_eof():
        target.write_eof()


def reset(writer: asyncio.StreamWriter) -> None:
    """RST to the other end; a socket of the kernel's sends one when it may not linger."""
    plain = writer.get_extra_info("socket")
    if plain is not None and not writer.is_closing():
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Closes; that the other end was quicker is no news."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()

"""A SOCKS5 server's half of a conversation: no authentication, CONNECT alone (RFC 1928)."""

from __future__ import annotations

import asyncio
import errno
import struct
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address

from fynx.errors import FynxError
from fynx.net.splice import Streams, hang_up, splice

VERSION, NO_AUTHENTICATION, NOTHING_ACCEPTABLE, CONNECT = 5, 0, 0xFF, 1
IPV4, DOMAIN, IPV6 = 1, 3, 4
SUCCEEDED, FAILURE, NOT_ALLOWED, UNREACHABLE, NO_HOST, REFUSED, EXPIRED = 0, 1, 2, 3, 4, 5, 6
NO_COMMAND, NO_ADDRESS_TYPE = 7, 8
PATIENCE_S = 20.0
"""For the words before the data."""

Open = Callable[[str, int], Awaitable[Streams]]


class SocksError(FynxError):
    """The client asked for what is not served; ``reply`` is RFC 1928's."""

    def __init__(self, reason: str, reply: int) -> None:
        super().__init__(reason)
        self.reply = reply


async def serve_one(client: Streams, opened: Open) -> str:
    """One client from its greeting to the end of its connection; what became of it, in a word for the counters."""
    reader, writer = client
    try:
        async with asyncio.timeout(PATIENCE_S):
            await _greet(reader, writer)
            host, port = await _asked(reader)
    except SocksError as error:
        if error.reply != NOTHING_ACCEPTABLE:
            _answer(writer, error.reply)
        await hang_up(writer)
        return "refused"
    except (TimeoutError, asyncio.IncompleteReadError, OSError):
        await hang_up(writer)
        return "garbled"
    try:
        far = await opened(host, port)
    except (OSError, FynxError) as error:
        _answer(writer, _reply(error))
        await hang_up(writer)
        return "unreached"
    _answer(writer, SUCCEEDED)
    await splice(client, far)
    return "served"


async def _greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    version, count = await reader.readexactly(2)
    if version != VERSION:
        raise SocksError("this is SOCKS5 alone", NOTHING_ACCEPTABLE)
    methods = await reader.readexactly(count)
    offered = NO_AUTHENTICATION in methods
    writer.write(bytes((VERSION, NO_AUTHENTICATION if offered else NOTHING_ACCEPTABLE)))
    if not offered:
        raise SocksError("the client insists on authentication", NOTHING_ACCEPTABLE)


async def _asked(reader: asyncio.StreamReader) -> tuple[str, int]:
    version, command, _, kind = await reader.readexactly(4)
    if version != VERSION:
        raise SocksError("the request is not SOCKS5", FAILURE)
    if kind == IPV4:
        host = str(IPv4Address(await reader.readexactly(4)))
    elif kind == IPV6:
        host = str(IPv6Address(await reader.readexactly(16)))
    elif kind == DOMAIN:
        host = (await reader.readexactly((await reader.readexactly(1))[0])).decode("ascii", "replace")
    else:
        raise SocksError("an address of an unknown kind", NO_ADDRESS_TYPE)
    (port,) = struct.unpack("!H", await reader.readexactly(2))
    if command != CONNECT:
        raise SocksError("CONNECT is the only command here", NO_COMMAND)
    return host, port


def _answer(writer: asyncio.StreamWriter, reply: int) -> None:
    if not writer.is_closing():
        writer.write(bytes((VERSION, reply, 0, IPV4)) + bytes(6))


def _reply(error: Exception) -> int:
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    if isinstance(error, TimeoutError):
        return EXPIRED
    number = getattr(error, "errno", None)
    return {errno.ENETUNREACH: UNREACHABLE, errno.EHOSTUNREACH: NO_HOST}.get(number or 0, FAILURE)

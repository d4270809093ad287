"""Addresses of peers: literals as they stand, DNS names asked again at each attempt, never on the loop's thread.

The identity decides who a peer is, not its address (bad-inputs L18): a poisoned answer costs an attempt, no more.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fynx.plugin.transport import Path
from fynx.run.threads import Threads

MOST = 16
"""Addresses taken from one answer."""
WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Written:
    """The ``address`` of a peer, sorted by kind."""

    literals: tuple[str, ...]
    names: tuple[str, ...]
    networks: tuple[str, ...]
    anyone: bool

    @property
    def callable(self) -> bool:
        """Whether there is anything to which a first message can be sent."""
        return bool(self.literals or self.names)


@dataclass(slots=True)
class Resolver:
    """Remembers the last good answer of each name, and falls back on it when DNS does not answer."""

    known: dict[str, tuple[str, ...]] = field(default_factory=dict)
    wait_s: float = WAIT_S

    async def addresses(self, written: Written) -> tuple[str, ...]:
        """All addresses to try, literals first. Empty when nothing resolves."""
        found = list(written.literals)
        for name in written.names:
            found += await self._ask(name)
        return tuple(dict.fromkeys(found))

    async def _ask(self, name: str) -> Sequence[str]:
        try:
            async with asyncio.timeout(self.wait_s):
                answers = await _look_up(name)
        except (OSError, UnicodeError, TimeoutError):
            return self.known.get(name, ())
        found = tuple(dict.fromkeys(str(answer[4][0]).partition("%")[0] for answer in answers))[:MOST]
        if found:
            self.known[name] = found
        return found


async def _look_up(name: str) -> list[tuple[Any, ...]]:
    """On a thread that holds up nobody: a dead name server may take half a minute, a stop must not."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[tuple[Any, ...]]] = loop.create_future()

    def settle(outcome: list[tuple[Any, ...]] | Exception) -> None:
        if answer.done():
            return
        if isinstance(outcome, Exception):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)

    threads = Threads("resolve", loop, 1)
    threads.submit(lambda: list(socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)), settle)
    threads.close()
    return await answer


def sort_out(addresses: Iterable[str]) -> Written:
    literals, names, networks = [], [], []
    anyone = False
    for text in addresses:
        if text in ("any", "%any"):
            anyone = True
        elif _parses(ipaddress.ip_address, text):
            literals.append(str(ipaddress.ip_address(text)))
        elif _parses(ipaddress.ip_network, text):
            networks.append(text)
        else:
            names.append(text)
    return Written(tuple(literals), tuple(names), tuple(networks), anyone)


def source_among(listening: Iterable[Path], remote: str, port: int, mark: int) -> str:
    """A listening address of the family of ``remote``; where we listen on all, the one that the system would choose."""
    fitting = [path.local for path in listening if (":" in path.local) == (":" in remote)]
    if not any(ipaddress.ip_address(local).is_unspecified for local in fitting):
        return next(iter(fitting), "")
    return source_for(remote, port, mark)


def source_for(remote: str, port: int, mark: int) -> str:
    """The address from which the system would send to ``remote``, or "" when it has no route. Sends nothing."""
    family = socket.AF_INET6 if ":" in remote else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            if mark:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
            probe.connect((remote, port))
            return str(probe.getsockname()[0]).partition("%")[0]
        except OSError:
            return ""


def _parses(parse: object, text: str) -> bool:
    assert callable(parse)
    try:
        parse(text)
    except ValueError:
        return False
    return True

"""Which checks a plugin has to pass: those of everything that it registers, and an echo tunnel through each of them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path as File
from typing import Any

from fynx.ike.effects import StartExchange
from fynx.kernel.loader import boot
from fynx.kernel.notify import Notify
from fynx.plugin.transport import Datagram, Path
from fynx.testing.kit.algorithms import algorithm_checks
from fynx.testing.kit.ciphers import cipher_checks
from fynx.testing.kit.ops import ops_checks
from fynx.testing.kit.parts import part_checks
from fynx.testing.kit.planes import plane_checks
from fynx.testing.kit.subject import Check, Refused, Subject
from fynx.testing.kit.tunnel import Wanted, echo, tunnel

ENDING_S = 15.0
"""For threads that were told to end; those of the hosts end when they are given the processor."""


def checks(subject: Subject) -> Iterator[Check]:
    """In the order in which a failure tells most."""
    yield from cipher_checks(subject)
    yield from ops_checks(subject)
    yield from algorithm_checks(subject)
    yield from part_checks(subject)
    yield from plane_checks(subject)
    for name in subject.owned("transport"):
        yield Check(f"transport {name}: opens, sends, closes", partial(_transport, subject, name))
        yield Check(f"transport {name}: echo tunnel", partial(_transport_tunnel, subject, name))
    for wanted, what in _tunnels(subject):
        yield Check(f"{what}: echo tunnel", partial(echo, wanted, subject.registry))
    yield Check("echo tunnel with the plugin on both sides", partial(_plain_tunnel, subject))
    if subject.owned("extension"):
        yield Check("echo tunnel with the plugin on one side", partial(_one_sided, subject))


def _tunnels(subject: Subject) -> Iterator[tuple[Wanted, str]]:
    """One for each algorithm, where it stands in proposals."""
    usual, algorithms = Wanted(), subject.registry.algorithms
    mine = set(subject.owned("keyword"))
    providers = tuple(subject.owned("provider"))
    integ = next(iter(algorithms.integs.values())).keyword if algorithms.integs else ""
    for cipher in algorithms.ciphers.values():
        word = cipher.keyword if cipher.aead else f"{cipher.keyword}-{integ}"
        if cipher.keyword in mine and cipher.esp:
            ike = f"{word}-prfsha256-x25519" if cipher.ike else usual.ike
            yield replace(usual, esp=word, ike=ike, providers=(*providers, "libcrypto")), cipher.keyword
    for one in providers:
        yield replace(usual, providers=(one, "libcrypto")), f"provider {one}"
    for prf in algorithms.prfs.values():
        if prf.keyword in mine:
            yield replace(usual, ike=f"aes128gcm16-{prf.keyword}-x25519"), prf.keyword
    for method in algorithms.key_exchanges.values():
        if method.keyword in mine:
            yield replace(usual, ike=f"aes128gcm16-prfsha256-{method.keyword}"), method.keyword


def _settings(subject: Subject, name: str) -> tuple[Mapping[str, object], Mapping[str, object]]:
    found = subject.examples.get(f"host.transport.{name}")
    if found is None and name == Wanted().transport:
        return Wanted().transports
    if not (isinstance(found, tuple | list) and len(found) == 2):
        raise Refused(f"FYNX_EXAMPLES['host.transport.{name}'] must be two settings that can be open side by side")
    return found[0], found[1]


def _transport_tunnel(subject: Subject, name: str) -> None:
    left, right = _settings(subject, name)
    before = _held()
    echo(replace(Wanted(), transport=name, transports=(left, right)), subject.registry)
    after = _held()
    if after > before:
        raise Refused(f"{after - before} sockets are still open after close()")


def _transport(subject: Subject, name: str) -> None:
    asyncio.run(_transport_story(subject, name))


async def _transport_story(subject: Subject, name: str) -> None:
    model = subject.registry.sections.get(f"host.transport.{name}")
    settings: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in _settings(subject, name)[0].items()
    }
    seen: list[object] = []
    before = _held()
    port = await subject.registry.transports[name].open(model(**settings) if model else None, seen.append)
    if port.framing not in ("udp", "message"):
        raise Refused(f"framing is {port.framing!r}: udp or message belongs here")
    if not port.local or not all(isinstance(one, Path) for one in port.local):
        raise Refused("local gives no Path: a host would not know where it listens")
    port.attach()
    try:
        here = port.local[0]
        port.send([Datagram(Path(here.local, here.local_port, "127.0.0.99", 9), b"to nobody"), _huge(here)])
    except Exception as error:
        raise Refused(f"send raises {type(error).__name__}: what cannot be sent is counted and lost") from error
    await asyncio.sleep(0.05)
    port.close()
    await asyncio.sleep(0.05)
    if _held() > before:
        raise Refused(f"{_held() - before} sockets are still open after close()")


def _huge(here: Path) -> Datagram:
    return Datagram(Path(here.local, here.local_port, "127.0.0.99", 9), bytes(70000))


def _held() -> int:
    """Sockets of this process that somebody still refers to."""
    gc.collect()
    found = []
    for one in File("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one of this very look
            found.append(str(one.readlink()))
    return sum(one.startswith("socket:") for one in found)


def _plain_tunnel(subject: Subject) -> None:
    """The usual tunnel, with every exchange of the plugin's own run once, and no thread left."""
    before = threading.active_count()
    asyncio.run(_with_exchanges(subject))
    notify = subject.registry.notify
    for name, count in notify.counters().items():
        plugin, _, what = name.partition(".")
        if plugin == subject.name and count and what.endswith((".failed", ".hung", ".lost")):
            raise Refused(f"during the tunnel {what} happened {count} times")
    most = 1 + len(subject.registry.plugins[subject.name].hooks)  # the listener's own thread may still be there
    end = time.monotonic() + ENDING_S
    while (left := threading.active_count() - before) > most:
        if time.monotonic() > end:
            raise Refused(f"{left} threads are left after the hosts have stopped")
        time.sleep(0.01)


async def _with_exchanges(subject: Subject) -> None:
    async with tunnel(Wanted(), subject.registry) as both:
        for extension in subject.registry.extensions:
            for exchange in extension.exchanges if extension.name in subject.owned("extension") else ():
                both.left.driver.command(StartExchange("right", exchange.number))
                await asyncio.sleep(0.1)
        await both.echo()
        both.nobody_failed()


def _one_sided(subject: Subject) -> None:
    """A peer that knows nothing of it must not suffer (RFC 7296 section 3.10.1: unknown notifications are ignored)."""
    plain = replace(boot(["default"]), notify=Notify())
    echo(Wanted(), subject.registry, plain)
    echo(Wanted(), plain, subject.registry)


__all__ = ["checks"]
